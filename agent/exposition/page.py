"""One page: a reading and the inventory of one moment, turned into bytes family by family.

Nothing that a page refers to changes any more, so a slow client may read it slowly.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from agent.exposition.rows import INDEX
from agent.exposition.text import braces, header, label_value, number, pairs
from agent.metrics import CATALOGUE
from agent.metrics.model import Cell, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agent.exposition.options import Options
    from agent.exposition.samples import Sample
    from agent.exposition.series_limit import Shown
    from agent.metrics import Metric


class Page:
    """The page of one scrape; ``pieces`` returns its bytes, each time anew."""

    def __init__(
        self,
        options: Options,
        shown: Shown,
        kept: Mapping[str, Mapping[bytes, float]],
        others: Iterable[Sample],
        spent: Callable[[float], None],
    ) -> None:
        self._options = options
        self._rows = shown.rows
        self._counted = shown.counted
        self._kept = kept
        """What is kept of containers beside their counters: values by metric and label text."""
        self._spent = spent
        """Called with the seconds that it took to make each piece."""
        self._bases = [row.base for row, _ in shown.counted]
        self._ids = [row.id_only for row, _ in shown.counted]
        self._by_scalar = list(zip(*(c.scalars for _, c in shown.counted), strict=True))
        self._others: dict[int, list[bytes]] = {}
        for name, value, labels in others:
            line = braces(pairs(labels)) + number(value)
            self._others.setdefault(INDEX[name], []).append(line)

    def pieces(self, *, openmetrics: bool = False) -> Iterator[bytes]:
        """Return the page in pieces of one family each."""
        between = b""
        for index, metric in enumerate(CATALOGUE):
            if not self._options.shows(metric.name):
                continue
            started = time.perf_counter()
            parts = self._samples(index, metric)
            if not parts:
                continue
            piece = b"".join([between, header(metric, openmetrics=openmetrics), *parts])
            self._spent(time.perf_counter() - started)
            yield piece
            between = b"\n"
        yield between + b"# EOF\n" if openmetrics else between

    def _samples(self, index: int, metric: Metric) -> list[bytes]:
        """Return the lines of a family, in parts to be joined."""
        # A newline and the name stand before each sample, so that a piece ends without one.
        start = b"\n" + metric.name.encode()
        lines = [row.lines[index] for row in self._rows if index in row.lines]
        for labels, value in self._kept.get(metric.name, {}).items():
            lines.append(labels + number(value))
        lines += self._others.get(index, ())
        parts = _interleave(start, lines)
        for shown in metric.shows:
            if isinstance(shown, Cell):
                parts += self._cell(shown, start, self._heads(metric, shown))
            else:
                parts += _interleave(start, self._column(shown))
        return parts

    def _heads(self, metric: Metric, cell: Cell) -> Sequence[bytes]:
        """Return the labels of each container for a metric."""
        if not metric.name.startswith("container_"):
            return self._ids
        if not cell.labels:
            return self._bases
        tail = _tail(cell.labels)
        return [row.open + tail for row, _ in self._counted]

    def _cell(self, cell: Cell, start: bytes, heads: Sequence[bytes]) -> list[bytes]:
        if not self._by_scalar:
            return []
        values: Sequence[bytes | None] = self._by_scalar[cell.scalar]
        if None in values:
            there = [(head, v) for head, v in zip(heads, values, strict=True) if v is not None]
            return _interleave(start, [head for head, _ in there], [value for _, value in there])
        return _interleave(start, heads, values)

    def _column(self, column: Column) -> list[bytes]:
        tails: dict[tuple[str, ...], bytes] = {}
        lines = []
        for row, counters in self._counted:
            for key, values in counters.tables.get(column.table, ()):
                value = values[column.column]
                if value is None:
                    continue
                tail = tails.get(key)
                if tail is None:
                    tail = tails[key] = _tail(zip(column.label_names, key, strict=True))
                lines.append(row.open + tail + value)
        return lines


def _interleave(start: bytes, *columns: Sequence[Any]) -> list[bytes]:
    """Return ``start`` and then one of each column, line by line, in one list to be joined.

    Ten times as many lines go through here as through all other code of a page, so they are
    placed by slices and not one by one.
    """
    step = len(columns) + 1
    parts = [start] * (len(columns[0]) * step)
    for offset, column in enumerate(columns, 1):
        parts[offset::step] = column
    return parts


def _tail(labels: Iterable[tuple[str, str]]) -> bytes:
    """Return the end of a sample's labels, behind those that all series of a container carry."""
    text = "".join(f',{name}="{label_value(value)}"' for name, value in labels)
    return text.encode() + b"} "
