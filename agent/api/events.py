"""The log of events that the streams of /api/v1/events read: one for all, with an end.

A stream has no queue of its own, only a place in the log. One that falls behind by more than the
log holds has missed something, and is told so.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from agent.api.changes import reset_event
from agent.api.encode import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.api import schema

KEPT = 1000
"""Events that are kept for those who read slowly, or come back after a moment."""

_BYTES_KEPT = 4 << 20


class EventLog:
    """The last events as they are sent. Used by several threads."""

    def __init__(self, epoch: str) -> None:
        """``epoch`` tells this agent's events from those of one that ran before."""
        self._epoch = epoch
        self._change = threading.Condition()
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._end = 1
        """Number of the event that comes next."""
        self._closed = False

    @property
    def end(self) -> int:
        """Where a new reader begins."""
        return self._end

    @property
    def closed(self) -> bool:
        """Whether no more events come."""
        return self._closed

    def add(self, events: Iterable[schema.Event]) -> None:
        """Add events, and wake the readers."""
        with self._change:
            for event in events:
                text = self._text(event, self._end)
                self._events.append(text)
                self._bytes += len(text)
                self._end += 1
            while len(self._events) > KEPT or self._bytes > _BYTES_KEPT:
                self._bytes -= len(self._events.popleft())
            self._change.notify_all()

    def read(self, place: int, timeout: float) -> tuple[int, bytes] | None:
        """Wait for events from a place on; return the next place and the events.

        They are empty where none came in time, and None where some of them are not kept any more.
        """
        with self._change:
            self._change.wait_for(lambda: self._end > place or self._closed, timeout)
            first = self._end - len(self._events)
            if place < first:
                return None
            return self._end, b"".join(list(self._events)[place - first :])

    def place_after(self, last_event_id: str) -> int | None:
        """Return where a reader goes on who has seen that event; None if that is not known."""
        epoch, dash, number = last_event_id.rpartition("-")
        if not dash or epoch != self._epoch or not (number.isascii() and number.isdigit()):
            return None
        if len(number) > 18:
            return None
        place = int(number) + 1
        with self._change:
            return place if self._end - len(self._events) <= place <= self._end else None

    def reset(self, now: float) -> bytes:
        """Return the event that tells a reader to ask for everything anew, before the next one."""
        return self._text(reset_event(now), self._end - 1)

    def close(self) -> None:
        """End all readers."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _text(self, event: schema.Event, number: int) -> bytes:
        head = f"id: {self._epoch}-{number}\nevent: {event.type}\ndata: "
        return head.encode() + as_json(event) + b"\n\n"
