"""Runs programs: commands with a deadline, daemons with a log; and cleans up after both."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

MARK = f"tm{os.getpid()}-"
"""The beginning of every name that this test run gives."""


SYSTEMD = Path("/run/systemd/system").is_dir()
"""Whether the host was booted by systemd (sd_booted(3))."""


class CommandError(Exception):
    """A command failed; the message holds its output."""


def run(
    *argv: str | Path,
    timeout: float = 300,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Run a command and return its output; raises ``CommandError`` unless it exits with 0."""
    words = [os.fspath(word) for word in argv]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
        env={**os.environ, **env} if env else None,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
    )
    if done.returncode:
        tail = (done.stderr + done.stdout)[-2000:]
        raise CommandError(f"{' '.join(words)}: exit status {done.returncode}\n{tail}")
    return done.stdout


def wait_until(look: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """Call until the result is true, and return it; fail at the deadline."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.05)


class Daemon:
    """A background program in its own session, with its output in a file."""

    def __init__(self, *argv: str | Path, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [os.fspath(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **env} if env else None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, look: Callable[[], T | None], what: str, seconds: float = 60) -> T:
        """Like ``wait_until``, but fail immediately, with the log, if the program fails."""

        def look_while_alive() -> T | None:
            if self.process.poll():
                end = self.output()[-2000:]
                raise AssertionError(f"{self.process.args!r} failed before {what}:\n{end}")
            return look()

        return wait_until(look_while_alive, what, seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, grace: float = 10) -> int:
        """Stop it, and kill its whole session if it does not end; return its exit status."""
        if self.alive():
            self.process.send_signal(number)
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.process.returncode


@contextmanager
def workplace(name: str) -> Iterator[Path]:
    """Return a short directory for sockets and state; afterwards all of it is removed.

    A unix socket's path is limited to 107 bytes, and pytest's tmp_path is longer.
    """
    path = Path(tempfile.mkdtemp(prefix=f"{MARK}{name}-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        sweep(path)
        shutil.rmtree(path)


def sweep(path: Path) -> None:
    """Kill each process that has ``path`` in its command line or its root there; unmount below."""
    for _ in range(5):
        pids = _users(str(path))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            break
        time.sleep(0.1)
    for target in reversed(mounts_below(path)):
        run("umount", "-l", target)


def mounts_below(path: Path) -> list[str]:
    """Return the mount points of this mount namespace at or below ``path``, outermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    targets = [line.split(" ")[4].replace("\\040", " ") for line in lines]
    return [t for t in targets if t == str(path) or t.startswith(f"{path}/")]


def remove_cgroups(*names: str) -> None:
    """Remove these cgroups and everything below them from each hierarchy."""
    for hierarchy in hierarchies():
        for name in names:
            for directory, _, _ in os.walk(hierarchy / name, topdown=False):
                wait_until(partial(_rmdir, directory), f"{directory} to be empty")


def disk_of(path: Path) -> str | None:
    """Return the block device that a path is on; None if there is none."""
    number = path.stat().st_dev
    uevent = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/uevent")
    if not uevent.exists():
        return None
    name = next(line for line in uevent.read_text().splitlines() if line.startswith("DEVNAME="))
    return f"/dev/{name.partition('=')[2]}"


def hierarchies() -> list[Path]:
    """Return where cgroup hierarchies are mounted: several on v1, one on v2."""
    top = Path("/sys/fs/cgroup")
    if (top / "cgroup.procs").exists():
        return [top]
    # Where two controllers share a hierarchy, a link for each controller points to it.
    mounted = [path for path in top.iterdir() if not path.is_symlink()]
    return [path for path in mounted if (path / "cgroup.procs").exists()]


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(_after_name(Path(f"/proc/{pid}/stat").read_text())[1])


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``, nearest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = _after_name((entry / "stat").read_text())
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(children.get(pid, []))
    for child in found:
        found.extend(children.get(child, []))
    return found


def _after_name(stat: str) -> list[str]:
    # The name is in parentheses and may contain parentheses.
    return stat.rpartition(")")[2].split()


def _rmdir(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:  # busy: its last process is still exiting
        return False
    return True


def _users(path: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            named = any(f"{path}{end}".encode() in line for end in "/,")  # of qemu's options
            rooted = os.readlink(entry / "root").startswith(path)
            if named or rooted:
                pid = int(entry.name)
                found += [pid, *descendants(pid)]
    return found
