"""A day of containers that come and go while their number stays the same: nothing may grow."""

from __future__ import annotations

import io
import os
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
from tests.support.churn import RUNNING, Churn
from tests.support.clocks import Times
from tests.support.held import grown, held

_HALF = 48
_PASS_SECONDS = 900.0
"""Twice so many passes, each after so many seconds: 24 hours."""

_REPLACED = 4
_KEPT = 150
"""Containers that are gone and still shown: after half of the time there are as many as allowed."""


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
            self.scout.run_pass(Task.FULL_PASS, patience=600)
            data = self.out.getvalue()
            self.out.seek(0)
            self.out.truncate()
            for update in frames.feed(data):
                assert isinstance(update, wire.Update)
                self.state.receive(replace(update, fresh=first and update.complete))
                first = False
            b"".join(self.state.metrics(openmetrics=False))
        for thread in threading.enumerate():
            if thread.name == "warm-up":
                thread.join(600)


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
    assert len(running) == RUNNING
    assert {c.engine for c in running} == {"runc", "lxc"}

    agent.run(_HALF)

    after = held(scout=agent.scout, state=agent.state)
    assert grown(before, after, share=0.1, most=20) == {}
    assert _descriptors() <= descriptors
    assert threading.active_count() <= threads


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
