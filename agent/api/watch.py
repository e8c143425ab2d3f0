"""Reads the counters every few seconds while somebody watches, and not at all when nobody does."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.exposition import Reading

log = logging.getLogger(__name__)

INTERVAL = 2.0
"""Seconds between two readings; more where one is expensive."""

_LONGEST = 10.0
_SHARE = 0.004
"""Most CPU time that the readings take, as a share of one CPU, up to the longest interval."""

LINGER = 15.0
"""For how many seconds after somebody has looked last it is read on."""


class Pair(NamedTuple):
    """The last two readings."""

    number: int
    """Another for each pair."""
    last: Reading
    before: Reading | None


class Watch:
    """The latest readings, shared by all who watch. Used by several threads."""

    def __init__(
        self,
        read: Callable[[], Reading],
        seen: Callable[[Pair], None] = lambda _: None,
        *,
        interval: float = INTERVAL,
        linger: float = LINGER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seen`` is called with each new pair of readings."""
        self._read = read
        self._seen = seen
        self._interval = interval
        self._linger = linger
        self._clock = clock
        self._change = threading.Condition()
        self._ring: deque[Reading] = deque(maxlen=2)
        self._number = 0
        self._looked_at = 0.0
        self._thread: threading.Thread | None = None
        self._stopped = False

    @property
    def is_watched(self) -> bool:
        """Whether it reads on."""
        return self._thread is not None

    def look(self) -> Pair:
        """Return the last two readings, the first at once if nobody has looked for a while."""
        with self._change:
            self._looked_at = self._clock()
            if self._thread is None:
                self._ring.clear()
                self._take()
                thread = threading.Thread(target=self._go_on, name="readings", daemon=True)
                thread.start()
                self._thread = thread
            return self._pair()

    def stop(self) -> None:
        """Read no more."""
        with self._change:
            self._stopped = True
            self._change.notify_all()

    def _go_on(self) -> None:
        try:
            while self._wait():
                with self._change:
                    self._take()
                    pair = self._pair()
                self._seen(pair)
        except Exception:
            log.exception("the counters cannot be read for those who watch")
        finally:
            with self._change:
                self._ring.clear()
                self._thread = None

    def _wait(self) -> bool:
        """Wait for the next reading; return whether somebody has looked meanwhile."""
        with self._change:
            pause = self._pause(self._ring[-1].cost)
            self._change.wait_for(lambda: self._stopped, pause)
            return not self._stopped and self._clock() - self._looked_at < self._linger

    def _pause(self, cost: float) -> float:
        return min(_LONGEST, max(self._interval, cost / _SHARE))

    def _take(self) -> None:
        self._ring.append(self._read())
        self._number += 1

    def _pair(self) -> Pair:
        before = self._ring[0] if len(self._ring) > 1 else None
        return Pair(self._number, self._ring[-1], before)
