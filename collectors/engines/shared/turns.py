"""One time budget for all that users own: what takes long costs its owner's own containers only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.facts import Sighting

_SECONDS = 1.0
"""For all of them in one pass."""

_LIMIT = 256
"""Most that are remembered, and so read, at a time."""


class Turns:
    """Reads what is untrusted in turn, the longest unread first, while there is time."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._last: dict[str, list[Sighting]] = {}
        self._read_at: dict[str, float] = {}

    def read(self, readers: Mapping[str, Callable[[], list[Sighting]]]) -> list[Sighting]:
        """Return what the readers return, or returned last where it is not their turn.

        They are called until the time is over, the first of them in any case.
        """
        order = sorted(readers, key=lambda key: self._read_at.get(key, 0.0))[:_LIMIT]
        before = self._last
        self._last = {key: before[key] for key in order if key in before}
        self._read_at = {key: self._read_at[key] for key in order if key in self._read_at}
        end = monotonic() + self._seconds
        for index, key in enumerate(order):
            if index and monotonic() >= end:
                break
            self._last[key] = readers[key]()
            self._read_at[key] = monotonic()
        return [sighting for sightings in self._last.values() for sighting in sightings]
