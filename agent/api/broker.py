"""Follows the agent while somebody listens to its events, and tells them what happens."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from agent.api.changes import changes, oom_event, oom_kills
from agent.api.events import EventLog
from agent.api.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.api.watch import Pair
    from agent.exposition import Reading
    from agent.model import Container, Snapshot

_LINGER = 60.0
"""For how many seconds after the last listener has left it is followed on: one that only lost its
connection misses nothing."""

_SAME_KILL = 10.0
"""Seconds in which the kernel's counter and an engine's word are taken for one kill."""

_JUST_ENDED = 60.0
"""Seconds since its end in which a container that was not known ended just now."""

PER_ADDRESS = 64
STREAMS = 128


class Source(Protocol):
    """The part of the agent that is followed."""

    @property
    def ready(self) -> bool:
        """Whether the first complete snapshot is there."""

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot."""

    def read_counters(self) -> Reading:
        """Read the counters now."""

    def follow(self, follower: Callable[[Snapshot, Snapshot], None] | None) -> None:
        """Have somebody told of each new snapshot, or nobody any more."""


class Broker:
    """Makes events of what the agent sees, and counts who listens. Used by several threads."""

    def __init__(
        self, source: Source, epoch: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._clock = clock
        self.epoch = epoch
        self.log = EventLog(epoch)
        self.watch = Watch(source.read_counters, self._see_reading)
        self._lock = threading.Lock()
        self._listeners: dict[str, int] = {}
        self._left_at = 0.0
        self._following = False
        self._killed: dict[str, tuple[float, bool]] = {}
        """When an OOM kill of a container was told last, and whether its engine said so."""

    @property
    def listeners(self) -> int:
        """How many streams there are."""
        return sum(self._listeners.values())

    def join(self, address: str) -> str:
        """Count another listener; return why not, as a sentence, if there are too many."""
        with self._lock:
            mine = self._listeners.get(address, 0)
            if mine >= PER_ADDRESS:
                return f"There are {mine} event streams of your address, which is the limit."
            if self.listeners >= STREAMS:
                return f"There are {STREAMS} event streams, which is the limit."
            self._listeners[address] = mine + 1
            if not self._following:
                self._following = True
                self._source.follow(self._see_snapshot)
            return ""

    def leave(self, address: str) -> None:
        """Count one listener less."""
        with self._lock:
            self._listeners[address] -= 1
            if not self._listeners[address]:
                del self._listeners[address]
            self._left_at = self._clock()

    def close(self) -> None:
        """End all streams, and read no more."""
        self.log.close()
        self.watch.stop()

    def _see_snapshot(self, before: Snapshot, after: Snapshot) -> None:
        if not before.complete:
            return  # what there was before the agent came did not happen now
        with self._lock:
            if not self._listeners and self._clock() - self._left_at > _LINGER:
                self._following = False
                self._killed.clear()
                self._source.follow(None)
                return
        now = time.time()
        self.log.add(changes(before, after, now))
        killed = self._fresh(_told_kills(before, after), by_engine=True)
        self.log.add(oom_event(container, None, now) for container, _ in killed)

    def _see_reading(self, pair: Pair) -> None:
        if pair.before is None or not self._following:
            return
        killed = self._fresh(oom_kills(pair.last, pair.before), by_engine=False)
        self.log.add(oom_event(container, kills, pair.last.as_of) for container, kills in killed)

    def _fresh(
        self, kills: Iterator[tuple[Container, int]], *, by_engine: bool
    ) -> list[tuple[Container, int]]:
        """Return the kills that the other of the two sources has not told already."""
        found = []
        now = self._clock()
        with self._lock:
            for container, number in kills:
                at, of_engine = self._killed.get(container.id, (float("-inf"), by_engine))
                if of_engine is by_engine or now - at > _SAME_KILL:
                    self._killed[container.id] = now, by_engine
                    found.append((container, number))
        return found


def _told_kills(before: Snapshot, after: Snapshot) -> Iterator[tuple[Container, int]]:
    """Return the containers of which an engine says that something in them was killed."""
    if before.containers is after.containers:
        return
    for key, new in after.containers.items():
        old = before.containers.get(key)
        if old is new:
            continue
        if old is None:
            # It came and went between two looks.
            killed = new.oom_killed or new.oom_events
            if killed and abs(after.as_of - max(new.finished or 0, new.started or 0)) < _JUST_ENDED:
                yield new, 1
            continue
        more = (new.oom_events or 0) > (old.oom_events or 0) and old.oom_events is not None
        if more or (new.oom_killed and not old.oom_killed):
            yield new, new.oom_events or 1
