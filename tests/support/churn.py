"""A host of files whose containers come and go while their number stays the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.hosts.archive import load as load_host
from tests.support import CLONE

HOST = CLONE / "tests" / "hosts" / "v2.txt"

RUNNING = 6
"""Containers that there are at a time."""

_APP = "851"
_APP_CGROUP = (
    "machine.slice/libpod-9632093113c53599fe32dbd73f1b4f32e1949af73952328c584262a352f82a84.scope"
)
_MONITOR = "875"
_STATE = """{"id": "%s", "init_process_pid": %d, "init_process_start": %d,
"config": {"hostname": "%s", "labels": ["bundle=/nowhere"]}}"""


class Churn:
    """A host whose containers are replaced by others, of runc and of LXC, under ever new names."""

    def __init__(self, place: Path) -> None:
        load_host(HOST.read_text()).unpack(place / "whole")
        self.place = place
        self.templates = place / "whole"
        shutil.copytree(self.templates / "proc" / "1", place / "proc" / "1", symlinks=True)
        for name in ("stat", "loadavg", "mounts", "sys"):
            source = self.templates / "proc" / name
            if source.is_dir():
                shutil.copytree(source, place / "proc" / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, place / "proc" / name)
        (place / "sys/fs/cgroup").mkdir(parents=True)
        for file in (self.templates / "sys/fs/cgroup").iterdir():
            if file.is_file():
                shutil.copy(file, place / "sys/fs/cgroup")
        (place / "root/run/runc").mkdir(parents=True)
        (place / "root/proc").mkdir()
        self._pid = 1000
        self._alive: list[list[Path]] = []

    def replace(self, number: int) -> None:
        """End the oldest containers, and start as many others."""
        while len(self._alive) > RUNNING - number:
            for path in self._alive.pop(0):
                shutil.rmtree(path)
        while len(self._alive) < RUNNING:
            self._alive.append(self._with_runc() if len(self._alive) % 3 else self._with_lxc())

    def _with_runc(self) -> list[Path]:
        pid = self._next()
        name = f"job-{pid}-of-a-user"
        state = self.place / "root/run/runc" / name
        state.mkdir()
        (state / "state.json").write_text(_STATE % (name, pid, pid, name))
        # Beside it one that cannot be read, of another name each time.
        broken = state.with_name(f"broken-{pid}")
        broken.mkdir()
        (broken / "state.json").write_text("not JSON")
        return [*self._process(pid, 1, f"job-{pid}.slice/{name}"), state, broken]

    def _with_lxc(self) -> list[Path]:
        monitor, pid = self._next(), self._next()
        title = f"[lxc monitor] /srv/{monitor} box{monitor}\0"
        paths = self._process(monitor, 1, f"lxc.monitor.box{monitor}", _MONITOR)
        (paths[0] / "cmdline").unlink()
        (paths[0] / "cmdline").write_text(title)
        return [*paths, *self._process(pid, monitor, f"lxc.payload.box{monitor}")]

    def _next(self) -> int:
        self._pid += 1
        return self._pid

    def _process(self, pid: int, parent: int, cgroup: str, template: str = _APP) -> list[Path]:
        """Make a process with namespaces, a root and a cgroup that none had before it."""
        process = self.place / "proc" / str(pid)
        source = self.templates / "proc" / template
        fields = (source / "stat").read_text().split(" ")
        fields[0], fields[3], fields[21] = str(pid), str(parent), str(pid)
        process.mkdir()
        (process / "stat").write_text(" ".join(fields))
        (process / "cgroup").write_text(f"0::/{cgroup}\n")
        for name in ("status", "cmdline", "mountinfo", "exe"):
            os.link(source / name, process / name, follow_symlinks=False)
        for name in ("ns", "net"):
            shutil.copytree(source / name, process / name, symlinks=True, copy_function=os.link)
        directory = self.place / "sys/fs/cgroup" / cgroup
        directory.mkdir(parents=True)
        for name in ("cpu.stat", "memory.current", "memory.stat", "memory.max", "pids.current"):
            os.link(self.templates / "sys/fs/cgroup" / _APP_CGROUP / name, directory / name)
        (directory / "cgroup.procs").write_text(f"{pid}\n")
        paths = [process, self.place / "sys/fs/cgroup" / cgroup.split("/", maxsplit=1)[0]]
        root = process / "root"
        if template != _APP:
            root.symlink_to("../../root")
            return paths
        inside = self.place / "roots" / str(pid)
        (inside / "etc").mkdir(parents=True)
        root.symlink_to(os.path.relpath(inside, process))
        for link in (process / "ns").iterdir():
            kind = link.name.removesuffix("_for_children")
            if kind not in ("user", "time"):
                link.unlink()
                link.symlink_to(f"{kind}:[{4026600000 + pid}]")
        return [*paths, inside]
