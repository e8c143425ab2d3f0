"""Chooses what is done next: a state machine whose choices follow from a seed alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.soak.oracle.facts import Driver


@dataclass(slots=True)
class Subject:
    """A container as the machine believes it to be."""

    number: int
    engine: str
    way: str
    state: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do, and how long to wait afterwards."""

    number: int
    engine: str
    action: str
    """A way of making, if the container is new."""
    subject: Subject
    makes: bool
    dice: random.Random
    wait: float

    def __str__(self) -> str:
        verb = f"make {self.action}" if self.makes else self.action
        return f"{self.number:4} {self.engine:10} {verb:16} {self.subject.name}"


class Machine:
    """Makes steps; it never asks what they led to, so that a seed always gives the same ones."""

    def __init__(self, seed: int, drivers: Mapping[str, Driver], mark: str, most: int) -> None:
        self._random = random.Random(seed)
        self._drivers = drivers
        self._mark = mark
        self._most = most
        self._subjects: list[Subject] = []
        self._free: dict[str, list[str]] = {engine: [] for engine in drivers}
        """Names of removed ones."""
        self._numbers = 0

    def steps(self) -> Iterator[Step]:
        """Return steps without end. Whoever takes one has carried it out when he takes the next."""
        number = 0
        while True:
            number += 1
            crowd = len(self._subjects) / self._most
            if self._random.random() > crowd or not self._subjects:
                yield self._make(number)
            else:
                yield self._change(number)

    def _make(self, number: int) -> Step:
        engine = self._random.choice(sorted(self._drivers))
        ways = self._drivers[engine].ways
        way = self._pick({name: one.weight for name, one in ways.items()})
        subject = Subject(self._numbers, engine, way, ways[way].to, self._name(engine))
        self._subjects.append(subject)
        return self._step(number, subject, way, makes=True)

    def _name(self, engine: str) -> str:
        free = self._free[engine]
        if free and self._drivers[engine].again and self._random.random() < 0.3:
            return free.pop(self._random.randrange(len(free)))
        self._numbers += 1
        return f"{self._mark}{self._numbers:03}"

    def _change(self, number: int) -> Step:
        choices: list[tuple[Subject, str]] = []
        weights: list[int] = []
        for subject in self._subjects:
            for name, action in self._drivers[subject.engine].actions.items():
                if subject.state in action.of and (not action.only or subject.way in action.only):
                    choices.append((subject, name))
                    weights.append(action.weight)
        ((subject, name),) = self._random.choices(choices, weights)
        action = self._drivers[subject.engine].actions[name]
        step = self._step(number, subject, name, makes=False)
        subject.state = action.to or subject.state
        if action.removes:
            self._subjects.remove(subject)
            self._free[subject.engine].append(subject.name)
        return step

    def _step(self, number: int, subject: Subject, action: str, *, makes: bool) -> Step:
        return Step(
            number=number,
            engine=subject.engine,
            action=action,
            subject=subject,
            makes=makes,
            dice=random.Random(self._random.random()),
            # Mostly one thing after the other; now and then long enough for all to be settled.
            wait=self._random.choice((0, 0, 0, 0.3, 1, 3)),
        )

    def _pick(self, weights: Mapping[str, int]) -> str:
        names: Sequence[str] = sorted(weights)
        return self._random.choices(names, [weights[name] for name in names])[0]
