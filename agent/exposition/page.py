"""One page: a reading and the inventory of one moment, turned into bytes family by family.

Nothing that a page refers to changes any more, so a slow client may take its time over one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from agent.exposition.fast import SCALARS, TABLES, Cell, Column
from agent.exposition.rows import ORDER
from agent.exposition.text import braces, header, label_value, number, pairs
from agent.metrics import CATALOGUE
from collectors.kernel.counters import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agent.exposition.options import Options
    from agent.exposition.rows import Row
    from agent.exposition.samples import Sample
    from collectors.kernel.counters import Counters

_LAST_SEEN = "container_last_seen"

_T = TypeVar("_T")


class Shown(NamedTuple):
    """What there is room for on a page."""

    counted: Sequence[tuple[Row, Counters]]
    rows: Sequence[Row]
    dropped: int
    """Series that there was no room for."""


def fit(counted: Sequence[tuple[Row, Counters]], rows: Sequence[Row], limit: int) -> Shown:
    """Take what fits into ``limit`` series: who the containers are first, then their counters."""
    known = sum(row.series for row in rows)
    if known + len(counted) * _MOST_COUNTERS <= limit:
        return Shown(counted, rows, 0)
    sizes = [_series(counters) for _, counters in counted]
    room = limit
    kept_rows, room, dropped = _take(rows, [row.series for row in rows], room)
    kept_counted, _, dropped_counted = _take(counted, sizes, room)
    return Shown(kept_counted, kept_rows, dropped + dropped_counted)


def _take(items: Sequence[_T], sizes: Sequence[int], room: int) -> tuple[list[_T], int, int]:
    kept, dropped = [], 0
    for item, size in zip(items, sizes, strict=True):
        if size <= room:
            kept.append(item)
            room -= size
        else:
            dropped += size
    return kept, room, dropped


_MOST_COUNTERS = len(Scalar) + 400
"""Upper bound of a container's counters: its scalars, and 16 rows of each table."""


def _series(counters: Counters) -> int:
    scalars = len(counters.scalars) - counters.scalars.count(None)
    cells = sum(len(values) for rows in counters.tables.values() for _, values in rows)
    # Page faults are shown under two scopes each.
    return scalars + cells + 2


class Page:
    """The page of one scrape; ``pieces`` gives its bytes, as often as one likes."""

    def __init__(
        self,
        options: Options,
        shown: Shown,
        seen: Mapping[bytes, float],
        others: Iterable[Sample],
        spent: Callable[[float], None],
    ) -> None:
        self._options = options
        self._rows = shown.rows
        self._counted = shown.counted
        self._seen = seen
        """``container_last_seen`` by label text."""
        self._spent = spent
        """Is told how many seconds it took to make a piece."""
        self._others: dict[int, list[bytes]] = {}
        for name, value, labels in others:
            line = braces(pairs(labels)) + number(value)
            self._others.setdefault(ORDER[name], []).append(line)

    def pieces(self, *, openmetrics: bool = False) -> Iterator[bytes]:
        """Give the page in pieces of one family each."""
        between = b""
        for place, metric in enumerate(CATALOGUE):
            if not self._options.shows(metric.name):
                continue
            started = time.perf_counter()
            lines = self._lines(place, metric.name)
            if not lines:
                continue
            head = between + header(metric, openmetrics=openmetrics)
            piece = (b"\n" + metric.name.encode()).join([head, *lines])
            self._spent(time.perf_counter() - started)
            yield piece
            between = b"\n"
        yield between + b"# EOF\n" if openmetrics else between

    def _lines(self, place: int, name: str) -> list[bytes]:
        lines = [row.lines[place] for row in self._rows if place in row.lines]
        for cell in SCALARS.get(name, ()):
            lines += self._scalars(cell)
        for column in TABLES.get(name, ()):
            lines += self._columns(column)
        if name == _LAST_SEEN:
            lines += [labels + number(when) for labels, when in self._seen.items()]
        lines += self._others.get(place, ())
        return lines

    def _scalars(self, cell: Cell) -> list[bytes]:
        index = cell.scalar
        if not cell.labels:
            return [
                row.base + value
                for row, counters in self._counted
                if (value := counters.scalars[index]) is not None
            ]
        tail = cell.labels + b"} "
        return [
            row.open + tail + value
            for row, counters in self._counted
            if (value := counters.scalars[index]) is not None
        ]

    def _columns(self, column: Column) -> list[bytes]:
        tails: dict[tuple[str, ...], bytes] = {}
        lines = []
        for row, counters in self._counted:
            for key, values in counters.tables.get(column.table, ()):
                value = values[column.column]
                if value is None:
                    continue
                tail = tails.get(key)
                if tail is None:
                    tail = tails[key] = _tail(column, key)
                lines.append(row.open + tail + value)
        return lines


def _tail(column: Column, key: tuple[str, ...]) -> bytes:
    labels = "".join(
        f',{name}="{label_value(value)}"' for name, value in zip(column.labels, key, strict=True)
    )
    return labels.encode() + column.extra + b"} "
