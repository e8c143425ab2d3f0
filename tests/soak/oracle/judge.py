"""Compares what was shown at a moment with what was true in the seconds before it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.soak.oracle.facts import CREATED, EXITED, UNKNOWN
from tests.soak.oracle.timeline import (
    AFTER_ITS_END,
    ANYTHING,
    EXISTS,
    NAME,
    NOT_THERE,
    STATE,
    THERE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.oracle.timeline import Life, Timeline
    from tests.soak.oracle.watch import Look, Shown


WITH_API, WITHOUT_API = "page", "page without API"
"""Where it looks: at an agent that may ask the engines, and at one that may not."""

_LONGEST_LOOK = 10.0
"""Seconds, without those that the machine kept the agent waiting; a page that took longer to be
read is of no moment that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How late, in seconds, the agent may be, on a machine that keeps it waiting for nothing."""

    missing: float = 2.0
    value: float = 5.0
    retention: float = 2.0
    """What the agent was told; what is removed is shown for so long."""


@dataclass(slots=True)
class Judge:
    """Says what was false in a look, once for each container and attribute in a row of looks."""

    timeline: Timeline
    limits: Limits
    before: Callable[[float, float], float]
    """Returns the moment so many seconds before another, without those in which the machine kept
    the agent waiting."""
    belongings: Callable[[tuple[int, int]], str]
    mark: str
    """In names, cgroups or arguments of everything that the oracle makes."""
    _said: dict[str, frozenset[str]] = field(default_factory=dict)

    def judge(self, look: Look) -> list[str]:
        """Return what is false in this look and was not in the one before it."""
        found = {text: text for text in look.wrong}
        if self.before(look.end, _LONGEST_LOOK) <= look.begin:
            found |= self._false(look)
        before = self._said.get(look.where, frozenset())
        self._said[look.where] = frozenset(found)
        return [f"{look.where}: {text}" for about, text in found.items() if about not in before]

    def _false(self, look: Look) -> dict[str, str]:
        """Return what is false, by what it is about."""
        false: dict[str, str] = {}
        rows = self._mine(look)
        for key, shown in rows.items():
            if not key:
                for row in shown:
                    false[f"stray {row.id}"] = f"a stray row: {row}"
            elif len(shown) > 1:
                false[f"twice {key}"] = f"{key} is there {len(shown)} times: {shown}"
        for key, life in self.timeline.lives.items():
            for attribute, text in self._of(look, life, rows.get(key, [])):
                false[f"{attribute} {key}"] = f"{life.engine} {life.now(NAME)} ({key}): {text}"
        return false

    def _mine(self, look: Look) -> dict[str, list[Shown]]:
        """Return the rows about each container, and under the empty key those about none."""
        rows: dict[str, list[Shown]] = defaultdict(list)
        for row in look.rows:
            process = row.process()
            texts = (
                f"{row.id} {row.cgroup} {row.name} {self.belongings(process) if process else ''}"
            )
            keys = [key for key in self.timeline.lives if key in texts]
            if keys:
                rows[max(keys, key=len)].append(row)
            elif self.mark in texts:
                rows[""].append(row)
        return rows

    def _since(self, look: Look, seconds: float) -> float:
        return self.before(look.begin, seconds)

    def _of(self, look: Look, life: Life, rows: list[Shown]) -> list[tuple[str, str]]:
        if not rows:
            there = life.allowed(
                EXISTS, self._since(look, self.limits.missing + life.noticed), look.end
            )
            return [] if NOT_THERE in there else [("missing", "is missing")]
        soon = self._since(look, self.limits.value + life.noticed)
        if THERE not in life.allowed(EXISTS, soon - self.limits.retention, look.end):
            return [("left", f"is there though it was removed: {rows[0]}")]
        false = []
        row = rows[0]
        if row.engine != life.engine:
            false.append(("engine", f"is said to be of {row.engine}"))
        was_removed = NOT_THERE in life.allowed(EXISTS, soon - self.limits.retention, look.end)
        unknown = life.only_by_api if look.where == WITHOUT_API else frozenset()
        for attribute in (look.compared & life.periods.keys()) - unknown:
            allowed = life.allowed(attribute, soon, look.end)
            if attribute == STATE and life.forgets and look.where == "ls":
                allowed |= {UNKNOWN} if allowed & {CREATED, EXITED} else set()
            if attribute == STATE and was_removed:
                allowed |= AFTER_ITS_END
            elif attribute != NAME and was_removed:
                continue
            value = row.values.get(attribute)
            if ANYTHING not in allowed and value not in allowed:
                of = " or ".join(map(repr, sorted(allowed, key=str)))
                late = f"{look.begin - soon:.1f}"
                text = f"{attribute} is said to be {value!r}, in the last {late} s it was {of}"
                false.append((attribute, text))
        return false
