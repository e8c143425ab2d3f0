"""What there is room for on a page: who the containers are first, then their counters.

Who was on the last page stays on this one: what is left out is the same from scrape to scrape, and
comes in only when there is room for it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from collectors.kernel.counters import Scalar

if TYPE_CHECKING:
    from agent.exposition.rows import Row
    from collectors.kernel.counters import Counters

log = logging.getLogger(__name__)

_MOST_COUNTERS = len(Scalar) + 400
"""Upper bound of a container's counters: its scalars, and 16 rows of each table."""

_SAY_AGAIN_SECONDS = 60.0


class Shown(NamedTuple):
    """What there is room for on a page."""

    counted: Sequence[tuple[Row, Counters]]
    rows: Sequence[Row]
    dropped: int
    """Series that there was no room for."""


class Room:
    """Takes what fits into so many series, and remembers what that was."""

    def __init__(self) -> None:
        self._counted: frozenset[str] = frozenset()
        self._rows: frozenset[str] = frozenset()
        self._said = 0
        self._said_at = float("-inf")

    def fit(
        self,
        host: tuple[Row, Counters],
        counted: Sequence[tuple[Row, Counters]],
        rows: Sequence[Row],
        limit: int,
        now: float,
    ) -> Shown:
        """Choose what goes on a page of at most ``limit`` series; ``now`` is monotonic.

        The host's own counters go before any container's.
        """
        everything = [host, *counted]
        known = sum(row.series for row in rows)
        if known + len(everything) * _MOST_COUNTERS <= limit:
            self._counted = self._rows = frozenset()
            self._said = 0
            return Shown(everything, rows, 0)
        sizes = {row.id: row.series for row in rows}
        self._rows, room = _take(sizes, self._rows, limit)
        counter_sizes = {row.id: _series(counters) for row, counters in everything}
        first = self._counted | {host[0].id}
        self._counted, _ = _take(counter_sizes, first, room)
        left_out = sum(size for key, size in sizes.items() if key not in self._rows)
        left_out += sum(size for key, size in counter_sizes.items() if key not in self._counted)
        lacking = [row for row, _ in everything if row.id not in self._counted]
        lacking += [r for r in rows if r.id not in self._rows and r.id in self._counted]
        self._say(lacking, limit, left_out, now)
        return Shown(
            [item for item in everything if item[0].id in self._counted],
            [row for row in rows if row.id in self._rows],
            left_out,
        )

    def _say(self, lacking: Sequence[Row], limit: int, series: int, now: float) -> None:
        """Log whose series are left out when they are more or fewer, but not all the time."""
        if not lacking:
            self._said = 0
        elif len(lacking) != self._said and now - self._said_at >= _SAY_AGAIN_SECONDS:
            log.warning(
                "%d series of %d containers are left out, as containers.max_series is %d; "
                "for instance of %s",
                series,
                len(lacking),
                limit,
                ", ".join(repr(row.container.name or row.container.id) for row in lacking[:3]),
            )
            self._said, self._said_at = len(lacking), now


def _take(sizes: dict[str, int], before: frozenset[str], room: int) -> tuple[frozenset[str], int]:
    """Take those first that were taken before; give them and the room that is left."""
    kept = set()
    for key in sorted(sizes, key=lambda key: key not in before):
        if sizes[key] <= room:
            kept.add(key)
            room -= sizes[key]
    return frozenset(kept), room


def _series(counters: Counters) -> int:
    scalars = len(counters.scalars) - counters.scalars.count(None)
    return scalars + sum(len(values) for rows in counters.tables.values() for _, values in rows)
