"""Containers that no engine manages, and look-alikes."""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness.made import Made, argv, namespace, unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import (
    Daemon,
    hierarchies,
    parent_of,
    remove_cgroups,
    workplace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


@contextmanager
def sleeping_in(engine: str, *words: str | Path, parent: Made | None = None) -> Iterator[Made]:
    """Start ``words`` followed by a sleep; return the container that the sleep runs in."""
    with program_in(engine, words, sleep(), parent=parent) as made:
        yield made


@contextmanager
def program_in(
    engine: str, words: tuple[str | Path, ...], command: tuple[str, ...], parent: Made | None = None
) -> Iterator[Made]:
    """Start ``words`` followed by a unique command; return the container that it runs in.

    It has no name, so the agent is not expected to show one.
    """
    with workplace(engine) as place:
        daemon = Daemon(*words, *command, log=place / "log", env={"USER": "root"})
        try:
            pid = daemon.wait_for(partial(running, *command), f"{' '.join(command)} to run", 60)
            yield Made(
                name="",
                engine=engine,
                handle=unique("nameless"),
                pid=outermost(pid),
                parent=parent,
            )
        finally:
            # From the inside out: unshare ignores SIGTERM.
            if left := running(*command):
                os.kill(left, signal.SIGKILL)
            daemon.stop()


def sleep() -> tuple[str, str]:
    """Return a command that sleeps for a unique time."""
    return "/bin/sleep", f"{os.getpid()}{next(_numbers):04}"


def running(*command: str) -> int | None:
    """Return the process that has exactly these arguments, if there is one."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and argv(int(entry)) == list(command):
            return int(entry)
    return None


def outermost(pid: int) -> int:
    """Return the first ancestor of ``pid`` with its mounts and root, if they are not ours."""
    parent = parent_of(pid)
    while parent > 1 and _world(parent) == _world(pid) != _world(os.getpid()):
        pid, parent = parent, parent_of(parent)
    return pid


def _world(pid: int) -> tuple[str, int, int]:
    root = os.stat(f"/proc/{pid}/root/")
    return namespace(pid, "mnt"), root.st_dev, root.st_ino


@contextmanager
def cgroup(path: str, *, with_host_process: bool = False) -> Iterator[Made]:
    """Make a cgroup in every hierarchy, empty or with a process of the host in it."""
    need()
    directories = [hierarchy / path.strip("/") for hierarchy in hierarchies()]
    daemon = None
    try:
        for directory in directories:
            directory.mkdir(parents=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                # v1's cpuset accepts no process before these are set.
                with suppress(FileNotFoundError):
                    _inherit(directory, name)
        with workplace("cgroup") as place:
            if with_host_process:
                daemon = Daemon(*sleep(), log=place / "log")
                for directory in directories:
                    (directory / "cgroup.procs").write_text(str(daemon.pid))
            pid = daemon.pid if daemon else None
            yield Made(name="", engine="none", handle=Path(path).name, pid=pid)
    finally:
        if daemon:
            daemon.stop()
        remove_cgroups(path.strip("/"))


def _inherit(directory: Path, name: str) -> None:
    above = directory.parent / name
    if not (directory / name).read_text().strip():
        if not above.read_text().strip():
            _inherit(directory.parent, name)
        (directory / name).write_text(above.read_text())
