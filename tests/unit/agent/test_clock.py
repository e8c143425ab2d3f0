"""The wall clock is set while the scout looks: nothing becomes old, young or forgotten by it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import pytest

from agent.classifier.hysteresis import hold
from agent.clock import Clock
from agent.inventory.inventory import Inventory
from agent.model import Style, Verdict
from agent.scout.schedule import Task
from tests.support.inventory import DOCKER, NS, only, update
from tests.support.processes import process, sighting
from tests.unit.agent.scout.test_scout import Watched, watched

__all__ = ["watched"]


@dataclass
class Times:
    """Two clocks; the steady one goes on by a bit with each look at it."""

    wall: float = 1_700_000_000.0
    steady: float = 1000.0
    bit: float = 0.000_001

    def read_wall(self) -> float:
        return self.wall + self.steady

    def read_steady(self) -> float:
        self.steady += self.bit
        return self.steady


@pytest.mark.parametrize("seconds", [3600.0, -7200.0, 1.5])
def test_a_jump_is_told_once(seconds: float) -> None:
    times = Times()
    clock = Clock(times.read_wall, times.read_steady)
    assert clock.step() == 0
    times.wall += seconds
    assert clock.step() == pytest.approx(seconds, abs=0.01)
    assert clock.step() == 0


def test_time_that_passes_is_no_jump() -> None:
    times = Times()
    clock = Clock(times.read_wall, times.read_steady)
    times.steady += 86400  # also while the machine is suspended
    assert clock.step() == 0


def test_who_stands_still_between_two_readings_takes_that_for_no_jump() -> None:
    times = Times()
    waits = iter([0.0, 30.0, 0.0, 0.0, 0.0, 0.0])

    def read_wall() -> float:
        found = times.read_wall()
        times.steady += next(waits, 0.0)
        return found

    clock = Clock(read_wall, times.read_steady)
    assert clock.step() == 0


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_what_is_gone_is_remembered_as_long_as_ever(seconds: float) -> None:
    inventory = Inventory(retention=300)
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    update(inventory, init, sightings=[sighting(init)], now=10_000)
    update(inventory, now=10_010)
    inventory.shift(seconds)
    gone = only(update(inventory, now=10_020 + seconds))
    assert (gone.gone, gone.last_seen) == (True, 10_000 + seconds)
    assert update(inventory, now=10_299 + seconds).containers
    assert not update(inventory, now=10_301 + seconds).containers


def test_who_started_in_the_future_is_no_newborn_for_an_hour() -> None:
    app, system = (Verdict(style=style, services=1) for style in (Style.APP, Style.SYSTEM))
    before = hold(None, app, now=5000, started=1000)
    after = hold(before, system, now=5001, started=8600)
    assert (after.verdict.style, after.candidate) == (Style.APP, Style.SYSTEM)


@pytest.fixture
def set_clock(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    scout = watched.scout
    scout._clock = Clock(times.read_wall, times.read_steady)
    monkeypatch.setattr("agent.scout.scout.time.time", times.read_wall)
    scout.facts = replace(scout.facts, boot_time=times.wall)
    scout.run_pass(Task.FULL_PASS)
    watched.sent()
    return times


@pytest.mark.parametrize("seconds", [86400.0, -86400.0])
def test_a_scout_follows_its_clock(seconds: float, watched: Watched, set_clock: Times) -> None:
    assert watched.snapshot is not None
    before = watched.snapshot.containers
    set_clock.wall += seconds

    watched.scout.check_for_changes()

    watched.sent()
    after = watched.snapshot.containers
    assert after.keys() == before.keys()
    by_the_kernel = 0
    for key, container in after.items():
        if container.init is None or container.started is None:
            continue
        since_boot = container.init.start_ticks / os.sysconf("SC_CLK_TCK")
        if before[key].started == pytest.approx(Times().wall + since_boot, abs=0.1):
            assert container.started == pytest.approx(set_clock.wall + since_boot, abs=0.1)
            by_the_kernel += 1
    assert by_the_kernel
    for key, container in after.items():
        assert container.style_changes == before[key].style_changes == 0
        assert container.verdict == before[key].verdict
