"""One time budget for all that strangers own: what takes long, or never ends, costs its owner only.

Strangers are the users of the host but root, and whoever is in a container. Their engines are read
on threads, as a file of theirs (on FUSE, for instance) may never answer, and a thread cannot be
stopped.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from collectors.engines.shared.background import wake_after
from collectors.engines.shared.views import instance_prefix

if TYPE_CHECKING:
    from collectors.contract import Context
    from collectors.facts import Process

log = logging.getLogger(__name__)

T = TypeVar("T")

Reader: TypeAlias = Callable[[], Iterable[T | None]]
"""Reads all that one owner has, a container at a time; None where one cannot be read."""

STRANGERS_DATABASE = 8 << 20
"""Largest database of a stranger's that is read, in bytes: it takes a second or two to parse."""

_SECONDS = 1.0
"""For all owners together in one pass."""

_FIRST_SECONDS = 3.0
"""The same in the first pass: ``tallyman ls`` has no other, and a daemon shows nothing yet that
could be late."""

_SHORTEST = 0.02
"""Seconds for one owner; with more of them than fit, it is not each one's turn in each pass."""

_GRACE = 0.05
"""Seconds after its time for which a thread is waited for: it may be about to end."""

_OWNERS = 256
"""Most owners that are remembered, and so read, at a time."""

_CONTAINERS = 1000
"""Most that are read of one owner: each can claim to have any number."""

_STUCK = 16
"""Threads that may hang at a time; then nobody's turn comes until one of them answers."""

_EAGER_TURNS = 10
"""Turns of an owner of whom not all has been read yet that are asked for at once."""

_LATE_SECONDS = 1.0
"""For which a reading goes on that was held up until its pass was over: the next turn may be far
away."""

_BETWEEN_LATE = 2.0
"""Seconds between two passes that are asked for as a reading has ended after its pass: an owner can
have each of his be late."""


def owner_of(ctx: Context, process: Process) -> str:
    """Return the stranger whose engine a process is: a user, or a container; "" for root's own.

    A user can make any number of mount namespaces, so what is known by that alone is the user's.
    """
    prefix = instance_prefix(ctx, process)
    if process.uid not in (0, None) and (not prefix or prefix.startswith("mnt:")):
        return f"user {process.uid}"
    return prefix


@dataclass(slots=True)
class _Owner(Generic[T]):
    """How far the reading of one owner's containers is."""

    last: list[T] = field(default_factory=list)
    """What was found when all was last read to the end."""
    is_read: bool = False
    turns: int = 0
    last_turn: float = 0.0
    reading: Iterator[T | None] | None = None
    """A reading that is not at its end, and goes on at the next turn."""
    found: list[T] = field(default_factory=list)
    error: Exception | None = None
    idle: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    def read(self, reader: Reader[T], until: float, ended_late: Callable[[], None]) -> None:
        """Read on until that time; this runs on a thread of its own.

        ``ended_late`` is called when there is news for which nobody has waited.
        """
        before, was_read, end = self.last, self.is_read, until
        try:
            if self.reading is None:
                self.reading, self.found = iter(reader()), []
            for one in self.reading:
                if one is not None:
                    self.found.append(one)
                if len(self.found) >= _CONTAINERS:
                    break
                now = monotonic()
                if now >= end:
                    if end > until or now <= until + _GRACE:
                        return
                    end = now + _LATE_SECONDS  # the pass has gone on without it
            self.last, self.reading, self.is_read = self.found, None, True
        except Exception as error:  # noqa: BLE001 - logged where the next turn begins
            self.error, self.reading = error, None
        finally:
            is_news = self.last != before or not was_read
            self.idle.set()
            if is_news and monotonic() > until + _GRACE:
                ended_late()


class Turns(Generic[T]):
    """Reads what strangers own in turn, the longest unread first, while there is time.

    ``read`` is called by one thread; the readers of one owner by one at a time.
    """

    def __init__(self) -> None:
        self._owners: dict[str, _Owner[T]] = {}
        self._has_logged = False
        self._late_at = float("-inf")
        self._late = threading.Lock()

    def read(
        self,
        readers: Mapping[str, Reader[T]],
        wake: Callable[[], None] = lambda: None,
        *,
        first: bool = True,
    ) -> list[T]:
        """Return what the readers return, or returned last where they are not at their end.

        The time is over after the first of them in any case; there is more of it in the ``first``
        pass. ``wake`` is called, from any thread, where the next pass should come soon: an owner's
        containers have never been read to the end, or their reading ended after this has returned.
        """
        order = sorted(readers, key=self._last_turn)[:_OWNERS]
        self._owners = {key: self._owners.get(key) or _Owner() for key in order}
        end = monotonic() + (_FIRST_SECONDS if first else _SECONDS)
        for index, key in enumerate(order):
            left = end - monotonic()
            if index and left <= 0:
                break
            owner = self._owners[key]
            if owner.idle.is_set() and self._may_start():
                self._take_turn(owner, readers[key], left / (len(order) - index), wake)
        owners = self._owners.values()
        if any(not o.is_read and o.idle.is_set() and o.turns < _EAGER_TURNS for o in owners):
            wake()
        return [one for owner in owners for one in owner.last]

    def is_busy(self, owner: str) -> bool:
        """Return whether a thread still reads what is this owner's."""
        return owner in self._owners and not self._owners[owner].idle.is_set()

    def _last_turn(self, key: str) -> float:
        owner = self._owners.get(key)
        return owner.last_turn if owner is not None else 0.0

    def _may_start(self) -> bool:
        return sum(not owner.idle.is_set() for owner in self._owners.values()) < _STUCK

    def _take_turn(
        self, owner: _Owner[T], reader: Reader[T], seconds: float, wake: Callable[[], None]
    ) -> None:
        seconds = max(_SHORTEST, seconds)
        owner.turns += 1
        owner.last_turn = monotonic()
        owner.idle.clear()
        arguments = (reader, owner.last_turn + seconds, partial(self._ended_late, wake))
        threading.Thread(target=owner.read, args=arguments, name="turn", daemon=True).start()
        owner.idle.wait(seconds + _GRACE)
        error, owner.error = owner.error, None
        if error is not None and not self._has_logged:
            self._has_logged = True
            log.warning("what a stranger owns cannot be read", exc_info=error)

    def _ended_late(self, wake: Callable[[], None]) -> None:
        with self._late:
            now = monotonic()
            if now < self._late_at:
                return  # the pass that comes then sees this, too
            self._late_at = max(now, self._late_at + _BETWEEN_LATE)
            seconds = self._late_at - now
        wake_after(seconds, wake)
