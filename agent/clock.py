"""Detects steps of the wall clock, so that ages stay right."""

from __future__ import annotations

import time
from collections.abc import Callable

_SMALLEST_STEP = 1.0
"""In seconds; less may be the time between reading the two clocks. Slewing, as NTP does it, moves
both alike, and both go on while the machine is suspended."""


def since_boot() -> float:
    """Return the seconds since the machine was booted, suspended ones included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Compares the wall clock with one that cannot be set."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = self._read_offset()

    def step(self) -> float:
        """Return by how many seconds the wall clock was set since the last call; 0 if not."""
        offset = self._read_offset()
        step = offset - self._offset
        if abs(step) < _SMALLEST_STEP:
            return 0.0
        self._offset = offset
        return step

    def _read_offset(self) -> float:
        # The process may be suspended between the readings: the quickest of some attempts counts.
        attempts = []
        for _ in range(3):
            before = self._steady()
            wall = self._wall()
            after = self._steady()
            attempts.append((after - before, wall - after))
        return min(attempts)[1]
