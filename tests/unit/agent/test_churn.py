"""A day of containers that come and go while their number stays the same: nothing may grow."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent import wire
from agent.clock import Clock
from agent.config import load
from agent.exposition import Exposition, Options
from agent.scout.progress import Progress
from agent.scout.schedule import Task
from agent.scout.scout import Scout
from agent.serve.daemon import State
from collectors.hostfs import HostFS
from tests.hosts.archive import load as load_host
from tests.support import CLONE
from tests.support.clocks import Times
from tests.support.held import grown, held

HOST = CLONE / "tests" / "hosts" / "v2.txt"

_APP = "851"
_APP_CGROUP = (
    "machine.slice/libpod-9632093113c53599fe32dbd73f1b4f32e1949af73952328c584262a352f82a84.scope"
)
_MONITOR = "875"
_STATE = """{"id": "%s", "init_process_pid": %d, "init_process_start": %d,
"config": {"hostname": "%s", "labels": ["bundle=/nowhere"]}}"""

_HALF = 48
_PASS_SECONDS = 900.0
"""Twice so many passes, each after so many seconds: 24 hours."""

_RUNNING = 6
_REPLACED = 4
_KEPT = 150
"""Containers that are gone and still shown: after half of the time there are as many as allowed."""


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
        while len(self._alive) > _RUNNING - number:
            for path in self._alive.pop(0):
                shutil.rmtree(path)
        while len(self._alive) < _RUNNING:
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


@dataclass
class Agent:
    """The whole of it in one process, without its pipe, threads and sockets between."""

    churn: Churn
    scout: Scout
    state: State
    out: io.BytesIO
    times: Times

    def run(self, passes: int) -> None:
        """Replace most containers, look at the host, and scrape; so many times."""
        frames, first = wire.Frames(), not self.state.ready
        for _ in range(passes):
            self.churn.replace(_REPLACED)
            self.times.steady += _PASS_SECONDS
            self.scout.run_pass(Task.FULL_PASS)
            data = self.out.getvalue()
            self.out.seek(0)
            self.out.truncate()
            for update in frames.feed(data):
                assert isinstance(update, wire.Update)
                self.state.receive(replace(update, fresh=first and update.complete))
                first = False
            b"".join(self.state.metrics(openmetrics=False))


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    churn = Churn(tmp_path)
    paths = [str(tmp_path / name) for name in ("proc", "sys", "root")]
    flags = {
        **dict(zip(("path.procfs", "path.sysfs", "path.rootfs"), paths, strict=True)),
        "containers.retention": "1d",
        "containers.max_retained": _KEPT,
    }
    monkeypatch.setattr("collectors.hostfs._MOST_KINDS", 50)
    out = io.BytesIO()
    times = Times()
    monkeypatch.setattr("time.time", times.read_wall)
    scout = Scout(load("", flags), frozenset(), Progress.create(), out)
    scout._clock = Clock(times.read_wall, times.read_steady)
    exposition = Exposition(HostFS(*paths), Options(retention=86400.0), clock=times.read_wall)
    monkeypatch.setattr(exposition, "_jump", lambda: 0.0)
    made = Agent(churn, scout, State(exposition), out, times)
    scout._watcher.open()
    yield made
    scout.close()


def test_a_day_of_churn_reaches_a_plateau(agent: Agent) -> None:
    agent.run(_HALF)
    before = held(scout=agent.scout, state=agent.state)
    descriptors, threads = _descriptors(), threading.active_count()
    gone = [c for c in agent.state.snapshot().containers.values() if c.gone]
    running = [c for c in agent.state.snapshot().containers.values() if c.init]
    assert len(gone) == _KEPT
    assert len(running) == _RUNNING
    assert {c.engine for c in running} == {"runc", "lxc"}

    agent.run(_HALF)

    after = held(scout=agent.scout, state=agent.state)
    assert grown(before, after, share=0.1, most=20) == {}
    assert _descriptors() <= descriptors
    assert threading.active_count() <= threads


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
