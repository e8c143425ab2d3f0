"""What was true when, and what may therefore be shown of it at a moment."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.soak.oracle.facts import ALIVE, EXITED, PAUSED, RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.soak.oracle.facts import Driver, Truth, Value

EXISTS, STATE, NAME = "existence", "state", "name"
THERE, NOT_THERE = "there", "not there"
"""Values of the existence."""
ANYTHING = "anything"
"""Stands for every value, where it is not known what an attribute was meanwhile."""
AFTER_ITS_END = frozenset({"dead", "removing"})
_KEPT_SECONDS = 120.0
"""What ended longer ago is forgotten; no look takes as long."""


@dataclass(slots=True)
class Period:
    """A value that was true from a moment on, at the earliest, until another, at the latest."""

    value: Value
    begin: float
    end: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that the page should show soon."""

    key: str
    driver: str
    kind: str
    attribute: str
    value: Value
    at: float
    """When the engine's tool had done it, or first said it."""


@dataclass(slots=True)
class Life:
    """One container: each attribute over time."""

    driver: str
    engine: str
    noticed: float
    forgets: bool = False
    only_by_api: frozenset[str] = frozenset()
    periods: dict[str, list[Period]] = field(default_factory=lambda: defaultdict(list))

    def allowed(self, attribute: str, begin: float, end: float) -> set[Value]:
        """Return what was true at any moment between the two."""
        return {p.value for p in self.periods[attribute] if p.end >= begin and p.begin <= end}

    def note(self, attribute: str, value: Value, since: float, now: float) -> bool:
        """Note what is true now and may be so ``since`` then; return whether it has changed."""
        periods = self.periods[attribute]
        last = next((p for p in reversed(periods) if p.end == math.inf), None)
        if last is not None and last.value == value:
            return False
        if last is not None:
            last.end = now
        periods[:] = [p for p in periods if p.end > now - _KEPT_SECONDS]
        periods.append(Period(value, since if last else -math.inf))
        return last is not None

    def is_over(self, since: float) -> bool:
        """Return whether it has been removed and was not there since then."""
        return THERE not in self.allowed(EXISTS, since, math.inf)

    def now(self, attribute: str) -> Value:
        """Return what is true at present."""
        return next((p.value for p in self.periods[attribute] if p.end == math.inf), None)


class Timeline:
    """Everything that the engines' tools have said so far."""

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}
        self._looked: dict[str, float] = {}

    def observe(
        self,
        driver: Driver,
        truths: Mapping[str, Truth],
        *,
        begin: float | None,
        done: float,
        now: float,
        via: frozenset[str] = frozenset(),
        of: frozenset[str] = frozenset(),
    ) -> list[Change]:
        """Take what an engine's tool said: what changed was done at ``done``, at the latest.

        It was as before until ``begin``, or until the tool was last asked. ``via`` are states in
        which the container ``of`` these names may have been meanwhile.
        """
        name = driver.name
        since = self._looked.get(name, -math.inf) if begin is None else begin
        self._looked[name] = now
        for key in [k for k, life in self.lives.items() if life.is_over(now - _KEPT_SECONDS)]:
            del self.lives[key]
        changes: list[Change] = []
        for key, truth in truths.items():
            changes += self._one(driver, key, truth, since=since, done=done, now=now)
            if truth.name in of and not truth.moves:
                self._via(self.lives[key], via, since, now)
        for key, life in self.lives.items():
            if life.driver == name and key not in truths and life.now(EXISTS) == THERE:
                life.note(EXISTS, NOT_THERE, since, now)
                if via:
                    self._via(life, via, since, now)
                changes.append(
                    Change(
                        key=key,
                        driver=name,
                        kind="removed",
                        attribute=EXISTS,
                        value=NOT_THERE,
                        at=done,
                    )
                )
        return changes

    def _one(
        self, driver: Driver, key: str, truth: Truth, *, since: float, done: float, now: float
    ) -> list[Change]:
        life = self.lives.get(key)
        if life is None:
            life = self.lives[key] = Life(
                driver.name, driver.engine, driver.noticed, driver.forgets
            )
            life.periods[EXISTS].append(Period(NOT_THERE, -math.inf, now))
            life.periods[EXISTS].append(Period(THERE, since))
            was_there = False
        else:
            was_there = not life.note(EXISTS, THERE, since, now)
        life.only_by_api = truth.only_by_api
        told = {NAME: truth.name, STATE: truth.state, **truth.values}
        if truth.moves:
            told = {NAME: truth.name, STATE: ANYTHING}
        before = life.now(STATE) if was_there else None
        changed = {a for a, value in told.items() if life.note(a, value, since, now)}
        if not was_there:
            changed = {STATE} if truth.state == RUNNING and not truth.moves else set()
        return [
            Change(
                key=key,
                driver=driver.name,
                kind=kind,
                attribute=attribute,
                value=told[attribute],
                at=done,
            )
            for attribute in changed
            if (kind := _kind(attribute, before, told[attribute], truth.state))
        ]

    def _via(self, life: Life, states: frozenset[str], since: float, now: float) -> None:
        life.periods[STATE] += [Period(state, since, now) for state in states]
        if EXITED in states:  # and so it had an exit code, no limits and no health for a moment
            for attribute in life.periods.keys() - {EXISTS, STATE, NAME}:
                life.periods[attribute].append(Period(ANYTHING, since, now))


def _kind(attribute: str, before: Value, value: Value, state: str) -> str:
    """Return what one calls a change, for the table; empty if it is part of another one."""
    if attribute == STATE:
        if value == RUNNING:
            return "unpaused" if before == PAUSED else "started"
        return {PAUSED: "paused", EXITED: "stopped"}.get(str(value), "")
    if attribute in ("memory", "quota", "threads"):
        return "limits changed" if state in ALIVE and before in ALIVE else ""
    if attribute == "health":
        return "health changed" if value in ("healthy", "unhealthy") else ""
    if value is None:
        return ""
    return {
        NAME: "renamed",
        "exit code": "exit code",
        "OOM kills": "OOM counted",
        "restarts": "restart counted",
    }.get(attribute, "")
