from __future__ import annotations

import pytest

from agent.clock import Clock
from tests.support.clocks import Times


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
