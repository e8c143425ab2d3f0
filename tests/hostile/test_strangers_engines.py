"""An ordinary user whose programs are called like engines: they cost nobody else anything."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.formats import bolt
from tests.engines.harness.agent import ls, watchful_agent
from tests.engines.harness.made import Made, unique
from tests.engines.harness.need import need
from tests.engines.harness.oci import containerd_alone
from tests.engines.harness.programs import (
    CommandError,
    Daemon,
    descendants,
    mounts_below,
    run,
    workplace,
)
from tests.hostile.stranger import abort_fuse, stranger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

EVIL, HONEST = 54321, 54322
MANY = 100_000

COLLECTORS = (
    "docker",
    "podman",
    "containerd",
    "cri-o",
    "runc",
    "lxc",
    "incus",
    "nspawn",
    "libvirt-lxc",
    "sandboxes",
)

# It begins a process in namespaces of its own below it, where it is told to be a monitor.
PROGRAM = r"""
my ($cwd, $is_monitor, $title) = ($ENV{IN}, $ENV{MONITOR}, $ENV{TITLE});
chdir $cwd or die if $cwd;
if ($is_monitor and not fork) {
    exec "unshare", "-U", "-r", "-m", "-p", "-f", "sleep", "86400";
}
$0 = $title if $title;
sleep 86400 while 1;
"""

TASKS = "io.containerd.runtime.v2.task"
DATABASE = "io.containerd.metadata.v1.bolt/meta.db"


@dataclass(frozen=True, slots=True)
class Program:
    """One program of a user's; the words of its command line, and where it is."""

    name: str
    words: tuple[str, ...]
    cwd: str = ""
    is_monitor: bool = False
    title: str = ""


def evil_programs(hung: Path, traps: Path) -> list[Program]:
    """Name all that an engine could be told to read."""
    many = traps / "many"
    store = ("--exit-command-arg", "--root", "--exit-command-arg", str(hung / "store"))
    return [
        Program("containerd", ("--state", f"{hung}/state", "--root", f"{hung}/root")),
        Program("containerd", ("--config", f"{hung}/config.toml")),
        Program("containerd", ("--config", f"{traps}/fifo")),
        Program("containerd", ("--config", f"{traps}/huge")),
        Program("containerd", ("--state", str(many), "--root", f"{traps}/cyclic")),
        Program("containerd", ("--state", f"{traps}/loop", "--root", f"{traps}/loop")),
        Program("containerd", ("--root", "/var/lib/containerd")),
        Program("containerd-shim-runc-v2", ("-namespace", "x"), f"{hung}/state/{TASKS}/x/y"),
        Program("containerd-shim-runc-v2", ("-namespace", "moby"), f"{hung}/state/{TASKS}/x/y"),
        Program("crio", ("--root", f"{hung}/store")),
        Program("conmon", ("--bundle", f"{hung}/store/x")),
        Program("conmon", ("--exit-command", "podman", *store)),
        Program("dockerd", ("--config-file", f"{hung}/daemon.json")),
        Program("dockerd", ("--data-root", f"{hung}/docker")),
        Program("dockerd", ("--data-root", f"{many}/{TASKS}")),
        Program("runc", ("--root", f"{hung}/runc")),
        Program("runc", ("--root", f"{many}/{TASKS}/default")),
        Program("lxc-start", ("-n", "web", "-P", f"{hung}/lxc"), is_monitor=True),
        Program("lxc-start", ("-n", "web", "-P", "/srv", "-f", f"{hung}/rc"), is_monitor=True),
        Program("lxc-start", ("-n", "many", "-P", f"{many}/{TASKS}/default"), is_monitor=True),
        Program("systemd-nspawn", ("-D", f"{hung}/tree"), is_monitor=True),
        Program("systemd-nspawn", ("-M", f"../../..{hung}/tree"), is_monitor=True),
        Program("libvirt_lxc", ("--name", "web"), is_monitor=True),
        Program(
            "incusd",
            (),
            is_monitor=True,
            title=f"[lxc monitor] {hung}/incus/containers forged",
        ),
    ]


def test_strangers_that_call_themselves_engines_cost_only_themselves(docker: Docker) -> None:
    """Each names files that never answer, are endless, or are too many."""
    need("perl", "setpriv", "unshare", "runc", "containerd", "fusermount3")
    first = docker.run(docker.busybox(), "sleep", "86400")
    with ExitStack() as stack:
        place = stack.enter_context(workplace("evil"))
        traps = make_traps(place)
        hung, hang = stack.enter_context(hung_mount(place))
        engine = stack.enter_context(containerd_alone())
        known = engine.start(unique("known"), "/bin/sleep", "86400")
        for program in evil_programs(hung, traps):
            stack.enter_context(running(program, place, EVIL))
        honest = stack.enter_context(honest_lxc())
        hang.touch()
        agent = stack.enter_context(watchful_agent(docker.endpoint))
        agent.wait_row(first)
        agent.wait_row(known)
        agent.wait_row(honest)
        rows = {row.name: row for row in ls()}
        assert (rows[known.name].engine, rows[first.name].engine) == ("containerd", "docker")
        for _ in range(3):
            made = docker.run(docker.busybox(), "sleep", "86400", name=unique("later"))
            later = engine.start(unique("later"), "/bin/sleep", "86400")
            with stranger() as bare:
                assert agent.wait_row(made).engine == "docker"
                assert agent.wait_row(later).engine == "containerd"
                assert agent.wait_row(bare).engine == "runc"
            docker.cli("rm", "--force", made.name)
            assert_all_succeed(agent)
        assert "a new one starts in" not in agent.daemon.output()


def assert_all_succeed(agent: Agent) -> None:
    """Assert that no collector failed, nor took long."""
    page = agent.wait_for(lambda p: not _failing(p), "all collectors to succeed")
    for name in COLLECTORS:
        assert (page.value("tallyman_collector_duration_seconds", collector=name) or 0) < 9


def _failing(page: Page) -> list[str]:
    return [
        name
        for name in COLLECTORS
        if page.value("tallyman_collector_success", collector=name) not in (None, 1)
    ]


def make_traps(place: Path) -> Path:
    """Make files that no reader should read to the end, all of them the user's own."""
    traps = place / "traps"
    traps.mkdir()
    run("mount", "-t", "tmpfs", "none", traps)  # the directories are made in no time there
    entries = traps / "many" / TASKS / "default"
    entries.mkdir(parents=True)
    for number in range(MANY):
        os.mkdir(entries / str(number))
    (entries.parent / "containers").symlink_to("default")
    os.mkfifo(traps / "fifo")
    with (traps / "huge").open("wb") as file:
        file.truncate(10 << 30)
    (traps / "loop").symlink_to("loop")
    database = traps / "cyclic" / DATABASE
    database.parent.mkdir(parents=True)
    database.write_bytes(cyclic_database())
    for folder in (traps, traps / "many", entries.parent, entries, traps / "cyclic"):
        os.chown(folder, EVIL, EVIL)
    return traps


def cyclic_database() -> bytes:
    """Return a bbolt database whose branches lead to each other, over and over."""
    size = 4096
    body = bolt._META.pack(bolt._MAGIC, bolt._VERSION, size, 0, 2, 0, 0, 0, 1, 0)[:-8]
    meta = bolt._PAGE.pack(0, 4, 0, 0) + body + struct.pack("<Q", bolt._fnv1a(body))
    count = (size - bolt._PAGE.size) // 16
    pages = [meta, meta]
    for number, target in ((2, 3), (3, 2)):
        entries = bolt._BRANCH.pack(0, 0, target) * count
        pages.append(bolt._PAGE.pack(number, bolt._BRANCH_PAGE, count, 0) + entries)
    return b"".join(page.ljust(size, b"\0") for page in pages).ljust(8 << 20, b"\0")


@contextmanager
def hung_mount(place: Path) -> Iterator[tuple[Path, Path]]:
    """Mount the user's folder through FUSE; it hangs as soon as the second path exists."""
    folder, mount = place / "folder", place / "mount"
    for name in (f"state/{TASKS}/x/y", "root", "store", "docker", "lxc", "runc", "tree"):
        (folder / name).mkdir(parents=True)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, EVIL, EVIL)
    mount.mkdir()
    server = Daemon(
        sys.executable, "-m", "tests.hostile.hung_fuse", folder, mount, log=place / "log"
    )
    try:
        server.wait_for(lambda: mounts_below(mount), "the mount of FUSE", 30)
        yield mount, folder.with_name("folder.hang")
    finally:
        abort_fuse(mount)
        server.stop()
        with suppress(CommandError):
            run("umount", "-l", mount)


@contextmanager
def running(program: Program, place: Path, uid: int) -> Iterator[Daemon]:
    """Run a program of a user's whose binary has an engine's name."""
    binary, script = place / program.name, place / "program.pl"
    if not binary.exists():
        shutil.copy("/usr/bin/perl", binary)
    script.write_text(PROGRAM)
    environment = {
        "IN": program.cwd,
        "MONITOR": "1" if program.is_monitor else "",
        "TITLE": program.title,
    }
    drop = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    daemon = Daemon(
        *drop, binary, script, *program.words, log=place / "programs.log", env=environment
    )
    try:
        daemon.wait_for(lambda: _is_set_up(daemon.pid, program), f"{program}")
        yield daemon
    finally:
        left = descendants(daemon.pid)
        daemon.stop(signal.SIGKILL)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _is_set_up(pid: int, program: Program) -> bool:
    if Path(f"/proc/{pid}/exe").resolve().name != program.name:
        return False
    if not program.is_monitor:
        return True
    outside = os.readlink(f"/proc/{pid}/ns/pid")
    return any(os.readlink(f"/proc/{p}/ns/pid") != outside for p in descendants(pid))


@contextmanager
def honest_lxc() -> Iterator[Made]:
    """Run what another user's LXC would run: a container with a configuration."""
    with workplace("honest") as place:
        name = unique("honest")
        folder = place / "lxc" / name
        folder.mkdir(parents=True)
        (folder / "config").write_text(f"lxc.uts.name = {name}\nlxc.rootfs.path = dir:/\n")
        os.chown(folder.parent, HONEST, HONEST)
        words = ("-n", name, "-P", str(folder.parent))
        with running(Program("lxc-start", words, is_monitor=True), place, HONEST) as daemon:
            yield Made(name=name, engine="lxc", handle=name, pid=daemon.pid, place=place)
