"""Sends serve the containers that changed since the last update."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from agent import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.inventory.inventory import InventoryPass
    from agent.model import CollectorHealth, Container
    from collectors.facts import HostFacts

_PART_SIZE = 100
"""Containers of the first inventory that are sent together while the others are still judged."""


class Outbox:
    """Remembers what was sent, so that only the difference is.

    Every method that sends raises BrokenPipeError when serve has ended.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._part: list[Container] = []
        self._complete = False
        self._dropped = 0
        self.sent: Mapping[str, Container] = {}
        """The containers that serve knows, by id."""
        self._details: Mapping[str, bytes] = {}
        self.lag: float | None = None
        """Seconds from the last start or end of a container until it was seen."""

    def part(self, container: Container, host: HostFacts) -> None:
        """Add a container to the next part of the first inventory, sent when it is long enough."""
        self._part.append(container)
        if len(self._part) >= _PART_SIZE:
            self.sent = {**self.sent, **{c.id: c for c in self._part}}
            part = wire.Update(host=host, changed=tuple(self._part), as_of=time.time())
            wire.send(self._out, part)
            self._part.clear()

    def containers(
        self,
        judged: Mapping[str, Container],
        host: HostFacts,
        health: tuple[CollectorHealth, ...],
        now: float,
        inventory: InventoryPass | None = None,
        *,
        details: Mapping[str, bytes] | None = None,
    ) -> None:
        """Send what changed of the containers; with a new ``inventory`` also the look-alikes.

        ``details`` are those of the containers that run, packed; None if they are as before.
        """
        changed = tuple(c for key, c in judged.items() if self.sent.get(key) != c)
        removed = tuple(key for key in self.sent if key not in judged)
        first = not self._complete
        self._complete = True
        self.sent = judged
        if inventory is not None:
            self._dropped = inventory.dropped
        wire.send(
            self._out,
            wire.Update(
                host=host,
                details=self._changed_details(details),
                changed=changed,
                removed=removed,
                everyone=frozenset(judged) if first else frozenset(),
                look_alikes=inventory.look_alikes if inventory is not None else None,
                collectors=health,
                complete=True,
                as_of=now,
                event_lag_seconds=self.lag,
                dropped=self._dropped,
            ),
        )

    def _changed_details(self, details: Mapping[str, bytes] | None) -> Mapping[str, bytes]:
        before = self._details
        if details is None or details is before:
            return {}
        self._details = details
        changed = {key: packed for key, packed in details.items() if before.get(key) != packed}
        return changed | {key: b"" for key in before if key not in details}

    def ended(self) -> None:
        """Send that this was all."""
        wire.send(self._out, wire.Ended())

    def stuck(self, subject: str) -> None:
        """Send that this scout ends, because ``subject`` has hung for too long."""
        wire.send(self._out, wire.Stuck(subject))
