"""A host of plain files whose containers have counters."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.metrics import DEFAULT_GROUPS
from collectors.facts import CgroupLayout, CgroupMode, ProcessId
from collectors.hostfs import HostFS
from collectors.kernel.counters import CounterReader, Scalar, Target, calls

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.kernel.counters import Counters

V2 = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"})

CPU = "usage_usec {}\nuser_usec 1\nsystem_usec 1\n"

NET_DEV = "head\nhead\n  eth0: {} 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"

STAT = "{} (sh (x) S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 {} 0 0 0 0 0 0 0 0 0 0 0 0"


class CounterTree:
    """A host of plain files, in which containers come, go and count."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("proc", "sys"):
            (root / name).mkdir()
        self.host = HostFS(str(root / "proc"), str(root / "sys"), str(root))

    def cgroup(self, name: str, **files: str) -> Path:
        """Make a cgroup with some counters."""
        path = self.root / "sys/fs/cgroup" / name
        path.mkdir(parents=True)
        self.write(
            path,
            **{
                "cpu.stat": CPU.format(1),
                "memory.current": "1000\n",
                "memory.stat": "anon 1\ninactive_file 100\n",
                "pids.current": "1\n",
                "cgroup.procs": "7\n",
            }
            | files,
        )
        return path

    @staticmethod
    def write(path: Path, **files: str) -> None:
        """Write files into a directory."""
        for file, text in files.items():
            (path / file).write_text(text)

    def process(self, pid: int, start_ticks: int = 50, received: int = 1) -> Path:
        """Make a process with a network."""
        path = self.root / "proc" / str(pid)
        (path / "net").mkdir(parents=True)
        (path / "stat").write_text(STAT.format(pid, start_ticks))
        (path / "net/dev").write_text(NET_DEV.format(received))
        return path

    def reader(self, first: calls.Calls = calls.RELEASES_GIL) -> CounterReader:
        """Make a reader of its counters."""
        return CounterReader(self.host, V2, DEFAULT_GROUPS, ways=(first, calls.HOLDS_GIL))


def target(name: str, pid: int | None = None, **more: object) -> Target:
    """Return what is to be read of a container of that name, which may have a first process."""
    init = ProcessId(pid, 50) if pid is not None else None
    return replace(Target(id=f"/{name}", cgroups={"": f"/{name}"}, init=init), **more)  # type: ignore[arg-type]


def scalar(counters: Counters | None, which: Scalar) -> bytes | None:
    """Return one value of a container that is there."""
    assert counters is not None
    return counters.scalars[which]


def _pread(fd: int) -> bytes:
    if not os.fstat(fd).st_nlink:
        raise OSError(errno.ENODEV, "No such device")
    return calls.RELEASES_GIL.pread(fd)


GONE_IS_ENODEV = calls.RELEASES_GIL._replace(pread=_pread)
"""Answers as a cgroup does that was removed while a file of it was open."""
