"""Clocks that a test sets."""

from __future__ import annotations

from dataclasses import dataclass


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
