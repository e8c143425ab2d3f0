"""How long until the page shows each kind of change, as a table."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.soak.oracle.timeline import AFTER_ITS_END, EXISTS, STATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.soak.oracle.timeline import Change
    from tests.soak.oracle.watch import Look, Shown

_GIVEN_UP = 60.0


@dataclass(slots=True)
class _Pending:
    change: Change
    shown: float | None = None
    """The end of the first look of those without a gap that show it."""


@dataclass(slots=True)
class Latencies:
    """Collects them for one agent."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """By driver and kind of change."""
    _pending: list[_Pending] = field(default_factory=list)

    def expect(self, changes: Iterable[Change]) -> None:
        """Wait for changes to be shown; one that is changed again before that does not count."""
        for change in changes:
            about = change.key, change.attribute
            self._pending = [
                p for p in self._pending if (p.change.key, p.change.attribute) != about
            ]
            self._pending.append(_Pending(change))

    def see(self, look: Look) -> None:
        """Take a page; pages come in the order in which they were read."""
        left = []
        for one in self._pending:
            change = one.change
            if not _shows(look.rows, change):
                one.shown = None
            elif one.shown is None:
                one.shown = look.end
            if one.shown is not None and look.end >= change.at:
                late = max(0.0, one.shown - change.at)
                self.seconds[change.driver, change.kind].append(late)
            elif look.end < change.at + _GIVEN_UP:
                left.append(one)
        self._pending = left


def _shows(rows: Sequence[Shown], change: Change) -> bool:
    about = [row for row in rows if change.key in f"{row.id} {row.name}"]
    if change.attribute == EXISTS:
        return all(row.values[STATE] in AFTER_ITS_END for row in about)
    return any(row.values.get(change.attribute) == change.value for row in about)


def table(with_api: Latencies, without: Latencies) -> str:
    """Return the table in Markdown: median and worst of both agents."""
    lines = [
        "| engine | change | with API | without | times |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, kind in sorted(with_api.seconds.keys() | without.seconds.keys()):
        ours, theirs = (found.seconds.get((name, kind), []) for found in (with_api, without))
        number = max(len(ours), len(theirs))
        lines.append(f"| {name} | {kind} | {_cell(ours)} | {_cell(theirs)} | {number} |")
    return "\n".join(lines)


def _cell(seconds: Sequence[float]) -> str:
    if not seconds:
        return "never"
    return f"{statistics.median(seconds):.1f} s ({max(seconds):.1f} s)"
