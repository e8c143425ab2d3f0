"""Load: makes any number of idle containers, to the kernel like Docker's, in seconds.

Each has a cgroup ``/docker/<64 hex>`` in every hierarchy, pid, mount, network, uts and ipc
namespaces of its own, a root filesystem that is not the host's (shared by all of them) and one
sleeping process. ``python -m tests.bench.load N`` makes them, prints ``id pid`` of each, and
removes them at the end of its standard input.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUPS = Path("/sys/fs/cgroup")
BUSYBOX = Path("/bin/busybox")
"""The static binary from Debian's busybox-static."""

_NEW = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
"""CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET; clone(2)."""
_MS_PRIVATE, _MS_BIND, _MS_REC = 1 << 18, 4096, 16384
_libc = ctypes.CDLL(None, use_errno=True)


class Loaded(NamedTuple):
    """One container of the load."""

    id: str
    pid: int


@contextmanager
def load(count: int) -> Iterator[Loader]:
    """Keep this many containers while the block runs; more can be added meanwhile."""
    loader = Loader()
    try:
        loader.more(count)
        yield loader
    finally:
        loader.close()


class Loader:
    """A process that makes containers; a separate one, because it forks for each of them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.containers: list[Loaded] = []

    def more(self, count: int) -> list[Loaded]:
        """Make this many more, and return them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        made = []
        for _ in range(count):
            container_id, pid = self._process.stdout.readline().split()
            made.append(Loaded(container_id, int(pid)))
        self.containers += made
        return made

    def close(self) -> None:
        """Remove all of them."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _hierarchies() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if (path / "cgroup.procs").exists()]


def _cgroups(container_id: str) -> list[Path]:
    """Make the container's cgroup in every hierarchy."""
    made = []
    for top in _hierarchies():
        if top == CGROUPS:
            _enable(top)
        path = top / "docker" / container_id
        path.mkdir(parents=True, exist_ok=True)
        # A v1 cpuset accepts no process before it has CPUs and memory.
        for name in ("cpuset.cpus", "cpuset.mems"):
            for where in (path.parent, path):
                file = where / name
                if top != CGROUPS and file.exists() and not file.read_text().strip():
                    file.write_text((top / name).read_text())
        made.append(path)
    return made


def _enable(top: Path) -> None:
    """Enable v2's controllers for the containers."""
    (top / "docker").mkdir(exist_ok=True)
    for where in (top, top / "docker"):
        for controller in (where / "cgroup.controllers").read_text().split():
            with suppress(OSError):
                (where / "cgroup.subtree_control").write_text(f"+{controller}")


def _checked(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), what)


def _start(container_id: str, cgroups: list[Path], root: bytes) -> int:
    """Start the container's process and return its pid on the host."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            for path in cgroups:
                (path / "cgroup.procs").write_text(str(os.getpid()))
            _checked(_libc.unshare(_NEW), "unshare")
            name = container_id[:12].encode()
            _checked(_libc.sethostname(name, len(name)), "sethostname")
            inner = os.fork()
            if inner == 0:
                _become_the_process(root)
            os.write(write, str(inner).encode())
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return int(answer)


def _become_the_process(root: bytes) -> None:
    _checked(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "private")
    _checked(_libc.mount(root, root, None, _MS_BIND, None), "bind")
    os.chroot(root)
    os.chdir("/")
    null = os.open("/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.closerange(3, 256)
    os.execve("/busybox", ["sleep", "1000000"], {"PATH": "/"})


def main() -> None:
    """Make as many containers as each line of standard input says; clean up at its end."""
    root = Path(tempfile.mkdtemp(prefix="tallyman-load-"))
    shutil.copy(BUSYBOX, root / "busybox")
    (root / "null").write_bytes(b"")
    seed = f"{time.time()}"
    made: list[tuple[int, list[Path]]] = []
    try:
        for line in sys.stdin:
            for _ in range(int(line)):
                container_id = hashlib.sha256(f"{seed}-{len(made)}".encode()).hexdigest()
                cgroups = _cgroups(container_id)
                pid = _start(container_id, cgroups, os.fsencode(root))
                made.append((pid, cgroups))
                sys.stdout.write(f"{container_id} {pid}\n")
                sys.stdout.flush()
    finally:
        for pid, _ in made:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _, cgroups in made:
            for path in cgroups:
                _remove(path)
        shutil.rmtree(root)


def _remove(path: Path) -> None:
    for _ in range(500):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            # Its process is still exiting.
            time.sleep(0.01)
        else:
            return


if __name__ == "__main__":
    main()
