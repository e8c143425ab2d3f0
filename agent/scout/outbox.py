"""What the scout tells serve: the parts of the picture that changed since it was last told."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from agent import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.inventory.inventory import Picture
    from agent.model import CollectorHealth, Container
    from collectors.facts import HostFacts

_AT_ONCE = 100
"""Containers of the first picture that are sent together while the others are still judged."""


class Outbox:
    """Remembers what was sent, so that only the difference is.

    All that sends raises BrokenPipeError when nobody listens any more.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._part: list[Container] = []
        self._complete = False
        self._dropped = 0
        self.sent: Mapping[str, Container] = {}
        """The containers that serve knows, by id."""
        self.lag: float | None = None
        """Seconds from the start or end of a container to its sight; stands until the next."""

    def part(self, container: Container, host: HostFacts) -> None:
        """Have the first picture on its way while the rest of it is still being judged."""
        self._part.append(container)
        if len(self._part) >= _AT_ONCE:
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
        picture: Picture | None = None,
    ) -> None:
        """Send which containers there are; with a new ``picture`` also what looks like one."""
        changed = tuple(c for key, c in judged.items() if self.sent.get(key) != c)
        removed = tuple(key for key in self.sent if key not in judged)
        first = not self._complete
        self._complete = True
        self.sent = judged
        if picture is not None:
            self._dropped = picture.dropped
        wire.send(
            self._out,
            wire.Update(
                host=host,
                changed=changed,
                removed=removed,
                everyone=frozenset(judged) if first else frozenset(),
                look_alikes=picture.look_alikes if picture is not None else None,
                collectors=health,
                complete=True,
                as_of=now,
                event_lag_seconds=self.lag,
                dropped=self._dropped,
            ),
        )

    def stuck(self, subject: str) -> None:
        """Say that this scout gives up, because ``subject`` has hung for too long."""
        wire.send(self._out, wire.Stuck(subject))
