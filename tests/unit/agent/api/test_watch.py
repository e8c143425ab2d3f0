"""Counters are read while somebody watches, and not at all while nobody does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from agent.api.watch import Watch
from agent.exposition import Reading
from collectors.kernel.counters import Counters, Scalar
from tests.support.snapshots import NOW

if TYPE_CHECKING:
    from agent.api.watch import Pair

LIMIT = 60.0


class Readings:
    """Counts how often the counters are read."""

    def __init__(self, cost: float = 0.0) -> None:
        self.number = 0
        self.cost = cost
        self.broken = False

    def __call__(self) -> Reading:
        if self.broken:
            raise OSError("broken")
        self.number += 1
        host = Counters((None,) * len(Scalar), {})
        return Reading(as_of=NOW, at=time.monotonic(), cost=self.cost, host=host, containers={})


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_has_never_looked_has_nothing_read() -> None:
    readings = Readings()
    watch = Watch(readings)
    assert not watch.is_watched
    assert readings.number == 0


def test_it_reads_on_while_somebody_looks_and_then_stops() -> None:
    readings, clock, third = Readings(), Time(), threading.Event()

    def seen(pair: Pair) -> None:
        if pair.number >= 3:
            third.set()

    watch = Watch(readings, seen, interval=0.01, clock=clock)
    first = watch.look()
    assert (first.number, first.before) == (1, None)
    assert third.wait(LIMIT)
    second = watch.look()
    assert second.before is not None
    assert second.last.at > second.before.at
    clock.now += 16.0  # nobody has looked for longer than it goes on
    until(lambda: not watch.is_watched)
    until(lambda: not any(thread.name == "readings" for thread in threading.enumerate()))
    number = readings.number  # without a thread there is nothing that could read more
    # And it begins anew, without what it has read before that.
    again = watch.look()
    assert again.before is None
    assert again.number == number + 1
    watch.stop()


def test_many_who_look_share_a_reading() -> None:
    readings = Readings()
    watch = Watch(readings, interval=LIMIT)
    for _ in range(50):
        watch.look()
    assert readings.number == 1
    watch.stop()


def test_expensive_readings_are_rare() -> None:
    watch = Watch(Readings())
    assert [watch._pause(cost) for cost in (0.0, 0.001, 0.01, 0.02, 5.0)] == [2, 2, 2.5, 5, 10]


def test_a_reading_that_fails_ends_it_and_the_next_look_begins_anew() -> None:
    readings = Readings()
    watch = Watch(readings, interval=0.01)
    watch.look()
    readings.broken = True
    until(lambda: not watch.is_watched)
    readings.broken = False
    assert watch.look().before is None
    watch.stop()


def until(condition: object) -> None:
    end = time.monotonic() + LIMIT
    assert callable(condition)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
