"""Docker's event stream, followed on a connection and a thread of its own.

https://docs.docker.com/reference/api/engine/ (SystemEvents)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.engines.docker.errors import ApiError
from collectors.formats.documents import JsonObject, parse_object

if TYPE_CHECKING:
    from collectors.engines.docker.api import Client

log = logging.getLogger(__name__)

KINDS = (
    "create",
    "start",
    "die",
    "stop",
    "kill",
    "oom",
    "pause",
    "unpause",
    "rename",
    "restart",
    "update",
    "health_status",
    "destroy",
)
"""Events that change what inspecting a container shows; exec, attach and the like do not."""

_LINE_LIMIT = 1 << 20
_CHANGED_LIMIT = 1000
_EVENTS_PER_SECOND = 500  # that are read: an untrusted daemon may send any number
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_OVERLAP = 2
"""Seconds that are asked for again after a break: events carry times, not numbers."""


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended, from the event: one run with --rm can no longer be inspected."""

    exit_code: int | None = None
    finished: float | None = None
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class _Ooms:
    """The OOM kills of a container by the events, and the time of the last one in nanoseconds."""

    count: int = 0
    when: int = 0


class Follower:
    """Collects the ids of containers that changed, until they are taken.

    ``connect`` returns a new connection; it may raise ApiError. ``wake`` is called from the thread
    when there is something to take. The thread ends with ``close``.
    """

    def __init__(self, connect: Callable[[], Client], name: str, wake: Callable[[], None]) -> None:
        self._connect = connect
        self._wake = wake
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._ends: dict[str, End] = {}
        self._ooms: dict[str, _Ooms] = {}
        self._connected = self._was_connected = False
        self._missed = True
        self._client: Client | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"events {name}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; it needs a moment at most."""
        self._closed.set()
        with self._lock:
            client = self._client
        if client is not None:
            client.abort()

    def has_news(self) -> bool:
        """Return whether ``take`` would return anything."""
        with self._lock:
            return self._missed or not self._connected or bool(self._changed)

    def take(self) -> tuple[bool, set[str]]:
        """Return whether events may have been missed, and the ids that changed since the last call.

        While there is no connection, anything may have changed.
        """
        with self._lock:
            missed = self._missed or not self._connected
            self._missed = False
            changed, self._changed = self._changed, set()
        return missed, changed

    def end_of(self, engine_id: str) -> End | None:
        """Return how a container ended that is gone; None where no event told."""
        with self._lock:
            return self._ends.pop(engine_id, None)

    def ooms_of(self, engine_id: str) -> int | None:
        """Return how many OOM kills of a container were told; None before anything is."""
        with self._lock:
            if not self._was_connected:
                return None
            ooms = self._ooms.get(engine_id)
            return ooms.count if ooms is not None else 0

    def _run(self) -> None:
        since = int(time.time())
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            second, count = time.monotonic(), 0
            for event in self._events(since):
                pause = _FIRST_PAUSE
                since = max(since, event.integer("time") or 0)
                self._note(event)
                count += 1
                if count >= _EVENTS_PER_SECOND:
                    self._closed.wait(second + 1 - time.monotonic())
                    second, count = time.monotonic(), 0
            self._hang_up()
            self._closed.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _events(self, since: int) -> Iterator[JsonObject]:
        """Connect, and cut the stream into events, one JSON object a line, until it ends."""
        buffer = b""
        try:
            client = self._connect()
            with self._lock:
                self._client = client
            if self._closed.is_set():
                return
            pieces = client.events(since - _OVERLAP, KINDS)
            # From now on every change is an event; what happened before must be listed.
            with self._lock:
                self._connected = self._was_connected = self._missed = True
            self._wake()
            for piece in pieces:
                if self._closed.is_set():
                    return
                *lines, buffer = (buffer + piece).split(b"\n")
                yield from (event for event in map(parse_object, lines) if event is not None)
                if len(buffer) > _LINE_LIMIT:
                    return  # an event without an end
        except ApiError as error:
            log.debug("%s: %s", self._thread.name, error)

    def _note(self, event: JsonObject) -> None:
        engine_id = event.object("Actor").text("ID") or event.text("id")
        with self._lock:
            self._changed.add(engine_id)
            self._note_end(engine_id, event)
            self._note_oom(engine_id, event)
            if len(self._changed) > _CHANGED_LIMIT:
                self._missed = True
                self._changed.clear()
        self._wake()

    def _note_end(self, engine_id: str, event: JsonObject) -> None:
        action = event.text("Action")
        if action == "start":
            self._ends.pop(engine_id, None)
        elif action in ("die", "oom"):
            end = self._ends.pop(engine_id, End())
            if action == "oom":
                end = replace(end, oom_killed=True)
            else:
                code = event.object("Actor").object("Attributes").text("exitCode")
                end = replace(
                    end,
                    exit_code=int(code) if code.isdecimal() and len(code) < 4 else None,
                    finished=event.integer("time"),
                )
            self._ends[engine_id] = end
            if len(self._ends) > _CHANGED_LIMIT:
                self._ends.pop(next(iter(self._ends)))

    def _note_oom(self, engine_id: str, event: JsonObject) -> None:
        if event.text("Action") == "oom":
            before = self._ooms.pop(engine_id, _Ooms())
            when = event.integer("timeNano") or 0
            # After a break the last seconds are told again.
            again = when and when <= before.when
            self._ooms[engine_id] = before if again else _Ooms(before.count + 1, when)
            if len(self._ooms) > _CHANGED_LIMIT:
                self._ooms.pop(next(iter(self._ooms)))

    def _hang_up(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            was_connected, self._connected = self._connected, False
        if client is not None:
            client.close()
        if was_connected and not self._closed.is_set():
            self._wake()
