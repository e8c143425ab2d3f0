"""Which series go on a page when there are more than its limit: identities first, then counters.

What was on the last page stays on this one, so that the same containers are left out from scrape to
scrape; they come in only when there is room.
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

_MOST_COUNTERS = len(Scalar) + 550
"""Upper bound of a container's counters: its scalars, and the most rows of each table."""

_WARNING_INTERVAL = 60.0
"""Least time in seconds between two warnings."""


class Shown(NamedTuple):
    """What goes on a page."""

    counted: Sequence[tuple[Row, Counters]]
    rows: Sequence[Row]
    dropped: int
    """How many series were left out."""


class SeriesLimit:
    """Chooses what goes on a page, and remembers what it chose for the last one."""

    def __init__(self) -> None:
        self._counted: frozenset[str] = frozenset()
        self._rows: frozenset[str] = frozenset()
        self._warned_of = 0
        """How many containers the last warning was about; 0 since everything has fitted again."""
        self._warned_at = float("-inf")

    def choose(
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
        total = sum(row.series for row in rows)
        if total + len(everything) * _MOST_COUNTERS <= limit:
            self._counted = self._rows = frozenset()
            self._warned_of = 0
            return Shown(everything, rows, 0)
        sizes = {row.id: row.series for row in rows}
        self._rows, room = _take(sizes, self._rows, limit)
        counter_sizes = {row.id: _series(counters) for row, counters in everything}
        first = self._counted | {host[0].id}
        self._counted, _ = _take(counter_sizes, first, room)
        left_out = sum(size for key, size in sizes.items() if key not in self._rows)
        left_out += sum(size for key, size in counter_sizes.items() if key not in self._counted)
        incomplete = [row for row, _ in everything if row.id not in self._counted]
        incomplete += [r for r in rows if r.id not in self._rows and r.id in self._counted]
        self._warn(incomplete, limit, left_out, now)
        return Shown(
            [item for item in everything if item[0].id in self._counted],
            [row for row in rows if row.id in self._rows],
            left_out,
        )

    def _warn(self, incomplete: Sequence[Row], limit: int, series: int, now: float) -> None:
        """Log which containers lack series whenever their number changes, once a minute at most."""
        if not incomplete:
            self._warned_of = 0
        elif len(incomplete) != self._warned_of and now - self._warned_at >= _WARNING_INTERVAL:
            log.warning(
                "left out %d series of %d containers, as containers.max_series is %d; "
                "for instance of %s",
                series,
                len(incomplete),
                limit,
                ", ".join(repr(row.container.name or row.container.id) for row in incomplete[:3]),
            )
            self._warned_of, self._warned_at = len(incomplete), now


def _take(sizes: dict[str, int], before: frozenset[str], room: int) -> tuple[frozenset[str], int]:
    """Choose what fits, what was chosen before first; return it, and the room that is left."""
    kept = set()
    for key in sorted(sizes, key=lambda key: key not in before):
        if sizes[key] <= room:
            kept.add(key)
            room -= sizes[key]
    return frozenset(kept), room


def _series(counters: Counters) -> int:
    scalars = len(counters.scalars) - counters.scalars.count(None)
    return scalars + sum(len(values) for rows in counters.tables.values() for _, values in rows)
