"""The messages between serve and the scout.

The scout sends pickled dataclasses, each after its length. Pickle is safe here because the scout is
the more trusted side; what untrusted processes wrote into names crosses as plain strings. Serve,
the less trusted side, sends a single line of JSON.
"""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO

from agent.model import CollectorHealth, Container, Details, LookAlike, Snapshot
from collectors.facts import HostFacts  # noqa: TC001 - pickle and mypy both want it

_HEAD = struct.Struct("!I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What changed since the last update; a container that changed is sent whole."""

    host: HostFacts
    changed: tuple[Container, ...] = ()
    removed: tuple[str, ...] = ()
    everyone: frozenset[str] = frozenset()
    """Ids of all containers, in the first complete update of a scout; empty in all others."""
    look_alikes: tuple[LookAlike, ...] | None = None
    """None if they are unchanged."""
    collectors: tuple[CollectorHealth, ...] = ()
    complete: bool = False
    as_of: float = 0.0
    event_lag_seconds: float | None = None
    dropped: int = 0
    details: Mapping[str, bytes] = field(default_factory=dict)
    """Packed details by container, of those that changed; empty bytes where there are none now."""
    fresh: bool = False
    """The first complete update of a new scout: what serve knows from the scout before it, and is
    not in ``everyone``, is gone. Parts may have been sent before. Set by the supervisor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the scout is started with: the configuration in force, and what it must not read."""

    file: str = ""
    text: str | None = None
    """What was in the file when it was read and found valid; it may have changed since."""
    flags: Mapping[str, object] = field(default_factory=dict)
    quarantine: frozenset[str] = frozenset()
    once: bool = False

    def to_line(self) -> bytes:
        """Return the orders as one line of JSON."""
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
        """Read orders from a line; raises ValueError or KeyError if it contains none."""
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
    """The scout ends: a collector's thread has hung for too long and cannot be stopped."""

    subject: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The scout of a one-shot run has sent all.

    It may live on: a thread that hangs in the kernel, in a read from a hung FUSE, keeps the process
    and its end of the pipe.
    """


_PACKED_BYTES = 16 << 10
"""Most bytes that the details of one container take; what a stranger calls his processes and mounts
compresses badly if he wants it to."""


def pack(details: Details) -> bytes:
    """Return details as bytes, with fewer processes and mounts where they would be too many."""
    while True:
        packed = zlib.compress(pickle.dumps(details, protocol=pickle.HIGHEST_PROTOCOL), 1)
        if len(packed) <= _PACKED_BYTES:
            return packed
        details = _halved(details)


def unpack(packed: bytes) -> Details:
    """Return the details that ``pack`` was given."""
    details: Details = pickle.loads(zlib.decompress(packed))  # noqa: S301 - see above
    return details


def _halved(details: Details) -> Details:
    processes, mounts = details.processes, details.mounts
    kept = processes[: len(processes) // 2], mounts[: len(mounts) // 2]
    return replace(
        details,
        processes=kept[0],
        more_processes=details.more_processes + len(processes) - len(kept[0]),
        mounts=kept[1],
        more_mounts=details.more_mounts + len(mounts) - len(kept[1]),
    )


def send(stream: IO[bytes], message: object) -> None:
    """Write one message and flush it. Raises BrokenPipeError when serve has ended."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_HEAD.pack(len(data)))
    stream.write(data)
    stream.flush()


class Frames:
    """Puts messages together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> Iterator[object]:
        """Add a piece, and yield the messages that are complete by now."""
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
    """Return the snapshot after an update; the one before stays as it is."""
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
    details = base.details
    if update.details or update.removed or update.fresh:
        merged = {**({} if update.fresh else details), **update.details}
        details = {k: packed for k, packed in merged.items() if packed and k in containers}
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
        details=details,
    )
