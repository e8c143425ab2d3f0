"""Notices that the wall clock was set, so that nothing is taken for old or young by that."""

from __future__ import annotations

import time
from collections.abc import Callable

_SET_SECONDS = 1.0
"""A smaller difference is none: both clocks cannot be read at the same moment. Slewing, as NTP does
it, moves both alike; a suspended machine's time passes on both."""


def since_boot() -> float:
    """Return the seconds since the machine was booted, suspended ones included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """The wall clock beside the one that nobody can set."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = self._read()

    def jump(self) -> float:
        """Say by how many seconds the wall clock was set since this was asked last; 0 if not."""
        found = self._read()
        jump = found - self._offset
        if abs(jump) < _SET_SECONDS:
            return 0.0
        self._offset = found
        return jump

    def _read(self) -> float:
        # The process may stand still for long between two readings: the best of some counts.
        tries = []
        for _ in range(3):
            before = self._steady()
            wall = self._wall()
            after = self._steady()
            tries.append((after - before, wall - after))
        return min(tries)[1]
