"""What crosses the pipes between serve and the scout.

Upwards: frames of pickled dataclasses behind a length. Pickle is right here because only the more
trusted side writes; what strangers wrote into names crosses as plain strings. Downwards, where
the less trusted side writes, a single line of JSON.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO

from agent.model import CollectorHealth, Container, LookAlike, Snapshot
from collectors.facts import HostFacts  # noqa: TC001 - pickle and mypy both want it

_HEAD = struct.Struct("!I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What changed since the last one: containers whole, and the rest whenever it is there."""

    host: HostFacts
    changed: tuple[Container, ...] = ()
    removed: tuple[str, ...] = ()
    everyone: frozenset[str] = frozenset()
    """Ids of all containers that there are, with the first whole picture of a scout."""
    look_alikes: tuple[LookAlike, ...] | None = None
    """None: as before."""
    collectors: tuple[CollectorHealth, ...] = ()
    complete: bool = False
    as_of: float = 0.0
    event_lag_seconds: float | None = None
    dropped: int = 0
    fresh: bool = False
    """The first whole picture of a new scout: what is not in it, and is known from the scout
    before it, is gone. Parts of it may have come already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the scout is started with: the configuration that holds, and whom to avoid."""

    file: str = ""
    text: str | None = None
    """What stood in the file when it was read and found right; it may have changed since."""
    flags: Mapping[str, object] = field(default_factory=dict)
    quarantine: frozenset[str] = frozenset()
    once: bool = False

    def to_line(self) -> bytes:
        """Write the orders as one line."""
        values = {
            "file": self.file,
            "text": self.text,
            "flags": dict(self.flags),
            "quarantine": sorted(self.quarantine),
            "once": self.once,
        }
        return json.dumps(values).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Orders:
        """Read orders back; raises ValueError or KeyError when they are none."""
        values = json.loads(line)
        return cls(
            file=values["file"],
            text=values["text"],
            flags=values["flags"],
            quarantine=frozenset(values["quarantine"]),
            once=values["once"],
        )


@dataclass(frozen=True, slots=True)
class Stuck:
    """The scout gives up: a collector's thread has hung for too long and cannot be stopped."""

    subject: str


def send(stream: IO[bytes], message: object) -> None:
    """Write one message and flush it. Raises BrokenPipeError when nobody reads any more."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_HEAD.pack(len(data)))
    stream.write(data)
    stream.flush()


class Frames:
    """Puts messages together out of the pieces in which they come; half a message is none."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> Iterator[object]:
        """Take in a piece, and give the messages that are whole by now."""
        self._data += piece
        while len(self._data) >= _HEAD.size:
            (size,) = _HEAD.unpack_from(self._data)
            end = _HEAD.size + size
            if len(self._data) < end:
                return
            with memoryview(self._data) as view:
                message: object = pickle.loads(view[_HEAD.size : end])  # noqa: S301 - see above
            del self._data[:end]
            yield message


def apply(snapshot: Snapshot | None, update: Update) -> Snapshot:
    """Make the next snapshot out of the last one and what changed; the last one stays as it is."""
    before = snapshot.containers if snapshot is not None else {}
    containers = before
    if update.changed or update.removed or update.fresh:
        containers = {**before, **{c.id: c for c in update.changed}}
        for gone in update.removed:
            containers.pop(gone, None)
        if update.fresh:
            containers = {k: c for k, c in containers.items() if k in update.everyone}
    look_alikes = update.look_alikes
    if look_alikes is None:
        look_alikes = snapshot.look_alikes if snapshot is not None else ()
    base = snapshot if snapshot is not None else Snapshot(host=update.host, containers={})
    return replace(
        base,
        host=update.host,
        containers=containers,
        look_alikes=look_alikes,
        collectors=update.collectors or base.collectors,
        complete=base.complete or update.complete,
        as_of=update.as_of,
        event_lag_seconds=update.event_lag_seconds,
        dropped=update.dropped,
    )
