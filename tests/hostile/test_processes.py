"""Processes that lie about what they are, that are too many, or that hang their readers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness.agent import assert_found_once, ls, rows_about, running_agent
from tests.engines.harness.need import need
from tests.engines.harness.programs import run, wait_until
from tests.hostile.conftest import Neighbour, only
from tests.hostile.stranger import fuse_root, stranger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.harness.agent import Row
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

INIT_NAMES = ("systemd", "sshd", "cron", "rsyslogd", "dbus-daemon", "agetty", "udevd", "logind")

_MANY = min(30_000, int(Path("/proc/sys/kernel/pid_max").read_text()) // 5)
"""Maximum processes of a container: the machine's pids are limited."""


def test_a_program_that_calls_itself_a_whole_system(neighbour: Neighbour) -> None:
    """Copies of one program under forged names: neither name, argv nor comm changes a verdict."""

    def forge(root: Path) -> None:
        for name in INIT_NAMES:
            shutil.copy(root / "bin/busybox", root / "bin" / name)

    script = "while [ ! -e /bin/logind ]; do :; done; " + " ".join(
        f"/bin/busybox sh -c 'exec -a /usr/sbin/{name} /bin/sleep 86400' &" for name in INIT_NAMES
    )
    with stranger("/bin/sh", "-c", f"{script} exec /bin/sleep 86400", prepare=forge) as made:
        assert neighbour.wait_row(made).style != "system"
        assert only(made).style != "system"
        neighbour.assert_unharmed()


FORGED = (
    "/usr/bin/containerd-shim-runc-v2 -namespace moby -id {id} -address /run/containerd.sock",
    "/usr/bin/conmon --api-version 1 -c {id} -u {id} -n forged-podman -r /usr/bin/crun",
    "[lxc monitor] /var/lib/lxc forged-lxc",
    "lxc-start -n forged-lxc -P /var/lib/lxc",
    "systemd-nspawn --machine=forged-nspawn --directory=/",
    "dockerd -H unix:///tmp/forged.sock --data-root /tmp",
    "/usr/bin/qemu-lxc libvirt_lxc --name forged-libvirt",
    "bwrap --bind / / forged-bwrap",
)


def test_processes_that_call_themselves_an_engine(neighbour: Neighbour) -> None:
    """False monitors and shims: they create no container, and change no container's engine."""
    identity = "0123456789abcdef" * 4
    lies = " ".join(
        f"/bin/busybox sh -c 'exec -a \"{words.format(id=identity)}\" /bin/sleep 86400' &"
        for words in (*FORGED, FORGED[0].replace("{id}", neighbour.made.name))
    )

    def environment(config: dict[str, Any]) -> None:
        config["process"]["env"] += [
            "container=lxc",
            "KUBERNETES_SERVICE_HOST=x",
            "container_uuid=1",
        ]

    script = f"{lies} exec /bin/sleep 86400"
    with stranger("/bin/sh", "-c", script, change=environment) as made:
        row = neighbour.wait_row(made, style="app")
        wait_until(lambda: len(made.pids()) > len(FORGED), "the liars", 30)
        rows = [row for row in ls() if not row.reason]
        assert not [r for r in rows if "forged" in r.name or identity in r.id]
        assert [(r.id, r.engine) for r in rows if r.pid in made.pids()] == [(row.id, "runc")]
        neighbour.assert_unharmed()


def test_many_processes(neighbour: Neighbour) -> None:
    script = f"i=0; while [ $i -lt {_MANY} ]; do sleep 86400 & i=$((i+1)); done; wait"
    with stranger("/bin/sh", "-c", script) as made:
        _wait_for_tasks(made, _MANY)
        row = neighbour.wait_row(made, style="app", seconds=120)

        def counted() -> bool:
            value = neighbour.agent.scrape().value("container_processes", id=row.id)
            return value is not None and value > _MANY

        wait_until(counted, f"{_MANY} processes to be counted", 120)
        neighbour.assert_unharmed()
    assert not neighbour.scouts_ended()


def test_many_threads(neighbour: Neighbour) -> None:
    need("python3")
    program = (
        "import threading; threading.stack_size(65536); e = threading.Event();"
        f"[threading.Thread(target=e.wait).start() for _ in range({_MANY})]"
    )
    with _python(program) as made:
        _wait_for_tasks(made, _MANY)
        neighbour.wait_row(made, style="app", seconds=120)
        neighbour.assert_unharmed()
    assert not neighbour.scouts_ended()


BOMB = """
import os, random, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except OSError:  # a shell would end by this, and its container with it
        if os.getpid() != 1 and random.random() < 0.5:
            os._exit(0)
        time.sleep(0.05)
"""


def test_a_fork_bomb_under_its_limit(neighbour: Neighbour) -> None:
    def limit(config: dict[str, Any]) -> None:
        config["linux"]["resources"]["pids"] = {"limit": 300}

    with _python(BOMB, change=limit) as made:
        refused = Path(f"/sys/fs/cgroup/pids/{made.name}/pids.events")
        wait_until(lambda: refused.read_text() != "max 0\n", "the limit to be reached", 60)
        row = neighbour.wait_row(made, seconds=120)
        assert row.style != "system"
        for _ in range(5):
            neighbour.assert_unharmed()
        assert neighbour.wait_row(made, seconds=120).id == row.id


def test_a_root_that_hangs() -> None:
    """Its root answers nothing: this costs one scout, and the culprit is still identified."""
    need("runc", "fusermount3")
    with fuse_root() as fuse, stranger(root=fuse.root) as made, stranger() as other:
        fuse.hang()
        with running_agent("--inventory.deadline=3s") as agent:
            neighbour = Neighbour(other, agent)
            agent.wait_ready(120)
            neighbour.wait_row(other, style="app", seconds=120)
            neighbour.assert_unharmed()
            assert made.handle in {row.id.strip("/") for row in agent.scrape().rows()}
            ended = neighbour.scouts_ended()
            assert ended >= 1
            with stranger() as late:
                neighbour.wait_row(late, style="app", seconds=120)
            assert neighbour.scouts_ended() == ended, "the culprit was looked at again"
        # Of the time that it has, it waits a fifth for each thing that hangs.
        rows = ls("--timeout=30s")
        assert assert_found_once(rows, made).engine == "runc"
        assert assert_found_once(rows, other).style == "app"


PIVOT = (
    "mount -t tmpfs none /mnt && cp -r /bin /mnt && mkdir /mnt/old && cd /mnt && "
    "pivot_root . old && exec /bin/sleep 86400"
)

CHANGES = {
    "chroot": "exec chroot /tmp /bin/sleep 86400",
    "unshare": "exec unshare -m /bin/sleep 86400",
    "pivot": PIVOT,
    "rename": "hostname {neighbour} && exec /bin/sleep 86400",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_who_changes_after_the_start(change: str, neighbour: Neighbour) -> None:
    """It remains the same container, whatever root or namespaces it enters."""

    def prepare(root: Path) -> None:
        shutil.copytree(root / "bin", root / "tmp/bin", symlinks=True)
        (root / "mnt").mkdir(exist_ok=True)
        for applet in ("unshare", "mount", "cp", "mkdir", "pivot_root", "hostname"):
            (root / "bin" / applet).unlink(missing_ok=True)
            (root / "bin" / applet).symlink_to("busybox")
        (root / "go").touch()

    def capable(config: dict[str, Any]) -> None:
        caps = ["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]
        for kind in config["process"]["capabilities"]:
            config["process"]["capabilities"][kind] = caps
        config["linux"].pop("seccomp", None)

    change = change.format(neighbour=neighbour.made.name)
    script = f"while [ ! -e /go ]; do sleep 0.1; done; {change}"
    with stranger("/bin/sh", "-c", script, prepare=prepare, change=capable) as made:
        assert made.pid
        before = neighbour.wait_row(made)
        wait_until(lambda: _argv0(made.pid) == "/bin/sleep", "the change", 30)
        rows = [row for row in rows_about(ls(), made) if not row.reason]
        assert [(row.id, row.engine) for row in rows] == [(before.id, "runc")]
        neighbour.assert_unharmed()


def test_a_cgroup_named_like_another_container(neighbour: Neighbour) -> None:
    """A cgroup below its own with the neighbour's id: each still has its own numbers."""
    with stranger() as made:
        assert made.pid
        mine = neighbour.wait_row(made)
        name = neighbour.made.name
        folders = [
            Path("/sys/fs/cgroup") / folder / made.name / name
            for folder in ("memory", "pids", "systemd")
        ]
        folders = [folder for folder in folders if folder.parent.exists()]
        for folder in folders:
            folder.mkdir()
            (folder / "cgroup.procs").write_text(str(made.pid))
        try:
            rows = ls()
            for one in (made, neighbour.made):
                about = [r for r in rows_about(rows, one) if not r.reason and r.pid == one.pid]
                assert len(about) == 1, about
            assert [r.id for r in rows if r.pid == made.pid and not r.reason] == [mine.id]
            neighbour.assert_unharmed()
        finally:
            for folder in folders:
                (folder.parent / "cgroup.procs").write_text(str(made.pid))
                folder.rmdir()


def test_numbers_used_again(neighbour: Neighbour) -> None:
    """Short-lived containers in a row: a reused pid is not taken for the dead container."""
    for _ in range(5):
        with stranger("/bin/sh", "-c", "i=0; while [ $i -lt 300 ]; do true; i=$((i+1)); done"):
            neighbour.assert_unharmed()
        page = neighbour.agent.scrape()
        pids = [row.pid for row in ls() if not row.reason and row.pid is not None]
        assert len(pids) == len(set(pids))
        neighbour.assert_unharmed(page)


def test_a_number_of_the_dead_given_to_the_host(neighbour: Neighbour) -> None:
    """A process of the host gets the pid of a container's first process, as soon as that ends."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    if not last.exists():
        pytest.skip("this kernel does not let the next number be chosen")
    with stranger() as made:
        neighbour.wait_row(made)
        assert made.pid
    heir = _with_number(made.pid, last)
    try:
        neighbour.agent.wait_for(lambda p: _has_ended(p.row(made.name)), "its end", 60)
        assert made.pid not in {row.pid for row in ls() if not row.reason}
        neighbour.assert_unharmed()
    finally:
        heir.kill()
        heir.wait()


def _with_number(pid: int, last: Path) -> subprocess.Popen[bytes]:
    """Start a process with that pid; retries while the pid is in use or taken by another."""

    def start() -> subprocess.Popen[bytes] | None:
        last.write_text(str(pid - 1))
        process = subprocess.Popen(["sleep", "86400"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
        return None

    return wait_until(start, f"the number {pid}", 60)


def _has_ended(row: Row | None) -> bool:
    return row is None or row.state != "running"


def test_a_user_namespace_of_its_own_making(neighbour: Neighbour) -> None:
    """Root in a user namespace inside the container: nested or part of it, never outside."""

    def prepare(root: Path) -> None:
        (root / "bin/unshare").symlink_to("busybox")
        (root / "go").touch()

    def free(config: dict[str, Any]) -> None:
        config["process"]["user"] = {"uid": 1000, "gid": 1000}
        config["linux"].pop("seccomp", None)

    script = "while [ ! -e /go ]; do sleep 0.1; done; unshare -U -r -m -p -f sleep 86400"
    with stranger("/bin/sh", "-c", script, prepare=prepare, change=free) as made:
        neighbour.wait_row(made)
        wait_until(lambda: len(made.pids()) > 1, "the namespace", 30)
        rows = [row for row in rows_about(ls(), made) if not row.reason]
        assert [row.name for row in rows if not row.parent_id] == [made.name]
        neighbour.assert_unharmed()


def _python(program: str, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Any:
    """Return a container that runs Python, with the host's programs mounted read-only."""

    def bind(config: dict[str, Any]) -> None:
        for folder in ("/usr", "/lib", "/lib64", *_outside_usr()):
            if Path(folder).exists():
                options = ["rbind", "ro"]
                mount = {"destination": folder, "type": "bind", "source": folder}
                config["mounts"].append({**mount, "options": options})
        config["root"]["readonly"] = False
        config["process"]["rlimits"] = []
        config["linux"].pop("seccomp", None)
        change(config)

    return stranger(sys.executable, "-c", program, change=bind)


def _outside_usr() -> tuple[str, ...]:
    """Return where Python is installed if it is not the system's."""
    return tuple({sys.prefix, sys.base_prefix} - {"/usr"})


def _wait_for_tasks(made: Made, number: int) -> None:
    pids = Path(f"/sys/fs/cgroup/pids/{made.name}/pids.current")
    wait_until(lambda: int(pids.read_text()) > number, f"{number} tasks", 300)


def _argv0(pid: int | None) -> str:
    return run("cat", f"/proc/{pid}/cmdline").split("\0")[0]
