"""One page: a reading and the inventory of one moment, turned into bytes family by family.

Nothing that a page refers to changes any more, so a slow client may take its time over one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.exposition.fast import SCALARS, TABLES, Cell, Column
from agent.exposition.rows import ORDER
from agent.exposition.text import braces, header, label_value, number, pairs
from agent.metrics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agent.exposition.options import Options
    from agent.exposition.rows import Row
    from agent.exposition.samples import Sample
    from collectors.kernel.counters import Counters

_LAST_SEEN = "container_last_seen"


class Page:
    """The page of one scrape; ``pieces`` gives its bytes, as often as one likes."""

    def __init__(
        self,
        options: Options,
        rows: Sequence[Row],
        counted: Sequence[tuple[Row, Counters]],
        seen: Mapping[bytes, float],
        others: Iterable[Sample],
    ) -> None:
        self._options = options
        self._rows = rows
        self._counted = counted
        self._seen = seen
        """``container_last_seen`` by label text."""
        self._others: dict[int, list[bytes]] = {}
        for name, value, labels in others:
            line = braces(pairs(labels)) + number(value)
            self._others.setdefault(ORDER[name], []).append(line)

    def pieces(self, *, openmetrics: bool = False) -> Iterator[bytes]:
        """Give the page in pieces of one family each."""
        first = True
        for place, metric in enumerate(CATALOGUE):
            if not self._options.shows(metric.name):
                continue
            lines = self._lines(place, metric.name)
            if not lines:
                continue
            head = header(metric, openmetrics=openmetrics)
            name = b"\n" + metric.name.encode()
            yield name.join([head if first else b"\n" + head, *lines])
            first = False
        yield b"\n# EOF\n" if openmetrics else b"\n"

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
