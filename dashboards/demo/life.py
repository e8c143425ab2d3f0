"""How the demo's containers live: counters that grow, memory that leaks, restarts."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboards.demo.roster import Actor

RETENTION = 300.0
"""For how long a container that is gone is still shown, as the agent does."""
_LEAK = 2700.0
_RESTART = 120.0


@dataclass(slots=True)
class Life:
    """One container and its counters."""

    actor: Actor
    chance: random.Random
    counters: dict[str, float] = field(default_factory=dict)
    cores: float = 0.0
    memory: float = 0.0
    throttled: float = 0.0
    """Share of its periods in which it is throttled."""
    started: float = 0.0
    wants: float = 0.0

    def alive(self, at: float) -> bool:
        """Return whether it runs; ``at`` is in seconds from the end of the history."""
        return self.actor.state == "running" and self._there(at)

    def shown(self, at: float) -> bool:
        """Return whether the agent knows of it: stopped ones, and for a while removed ones."""
        actor = self.actor
        if actor.state != "running":
            return True
        return actor.created <= at and (actor.gone is None or at < actor.gone + RETENTION)

    def _there(self, at: float) -> bool:
        return self.actor.created <= at and (self.actor.gone is None or at < self.actor.gone)

    def style(self, at: float) -> str:
        """Return its style at that time."""
        turns = self.actor.turns_system
        return "app" if turns is not None and at < turns else self.actor.style

    def turning(self, at: float, step: float) -> bool:
        """Return whether the style turned within the last step.

        The info series is left out once then: history that is written as blocks knows no
        staleness, and for a while Prometheus would see two info series of one container.
        """
        turns = self.actor.turns_system
        return turns is not None and turns <= at < turns + 2 * step

    def advance(self, at: float, step: float) -> None:
        """Let ``step`` seconds go by until ``at``."""
        actor = self.actor
        if not self.alive(at):
            return
        self._restart(at)
        phase = hash_of(actor.id)
        wave = 1 + 0.35 * math.sin(2 * math.pi * (at / 5400 + phase)) + self.chance.gauss(0, 0.08)
        self.wants = actor.cores
        if actor.demand and at >= actor.demand[0]:
            self.wants = actor.demand[1] * min(1.0, (at - actor.demand[0]) / 1800 + 0.4)
        self.wants *= max(0.05, wave)
        self.cores = min(self.wants, actor.quota) if actor.quota else self.wants
        short = self.wants - self.cores
        self.throttled = min(0.95, short / self.wants * 1.6) if self.wants else 0.0
        self._fill(at, step, wave)
        self._count(step, wave, short)

    def _restart(self, at: float) -> None:
        actor = self.actor
        since = actor.restarts_since
        begin = max(actor.created, since) if since is not None and at >= since else actor.created
        if since is not None and at >= since:
            begin += (at - begin) // _RESTART * _RESTART
            if begin > self.started:
                self.grow("restarts", 1)
        if begin != self.started:
            kept = ("restarts", "oom")
            self.counters = {key: self.counters[key] for key in kept if key in self.counters}
            self.started = begin

    def _fill(self, at: float, step: float, wave: float) -> None:
        actor = self.actor
        limit = actor.memory_limit or 1 << 62
        if actor.leaks:
            share = (at % _LEAK) / _LEAK
            self.memory = actor.memory + (limit - actor.memory) * share
            if at % _LEAK < step:
                self.grow("oom", 1)
                self.grow("failures", 12)
            return
        age = min(1.0, (at - self.started + 30) / 900)
        self.memory = min(limit * 0.99, actor.memory * (0.75 + 0.2 * age + 0.05 * wave))

    def _count(self, step: float, wave: float, short: float) -> None:
        actor = self.actor
        used = self.cores * step
        self.grow("cpu", used)
        self.grow("user", used * 0.7)
        self.grow("system", used * 0.3)
        if actor.quota:
            self.grow("periods", step * 10)
            self.grow("throttled_periods", step * 10 * self.throttled)
            self.grow("throttled_seconds", short * step)
        traffic = actor.traffic * max(0.0, wave) * step
        self.grow("received", traffic * 0.4)
        self.grow("sent", traffic * 0.6)
        self.grow("read", traffic * 0.1 + 4000 * step)
        self.grow("written", traffic * 0.2 + 9000 * step)
        self.grow("faults", 900 * self.cores * step)
        self.grow("major", self.chance.random() * step / 60)
        self.grow("cpu_waiting", (0.01 * self.cores + short) * step)
        self.grow("memory_waiting", step * (0.2 if self.pressed else 0.0005))
        self.grow("io_waiting", step * 0.003 * max(0.0, wave))

    @property
    def pressed(self) -> bool:
        """Whether its memory is nearly full."""
        return bool(self.actor.memory_limit) and self.memory > 0.93 * self.actor.memory_limit

    def grow(self, counter: str, by: float) -> None:
        """Count."""
        self.counters[counter] = self.counters.get(counter, 0.0) + by


def hash_of(text: str) -> float:
    """Return a number from 0 to 1 that is the same in every run."""
    return random.Random(text).random()  # noqa: S311 - nothing here is secret
