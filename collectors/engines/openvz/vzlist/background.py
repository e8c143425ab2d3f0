"""Keeps vzlist's last good answer, and asks for a new one in the background.

7 and 9 wait for a lock of each container and can hang, 9 needs 0.15 s a container: no pass waits
for vzlist, and it is not run more often than its duration justifies.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.openvz.vzlist.errors import VzlistError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collectors.engines.openvz.vzlist.fields import Listed

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two runs when all is well."""

LONGEST_PAUSE = 900.0
"""Seconds after which a vzlist that keeps failing is tried again."""

_SHARE = 5
"""A run is followed by a pause this many times as long as the run."""

_SHORTEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A listing, and when it was asked for, in seconds since the epoch."""

    containers: Mapping[str, Listed]
    as_of: float


class Schedule:
    """When vzlist may be run again; times are of any clock that only goes forward."""

    def __init__(self) -> None:
        self._failures = 0
        self._next = float("-inf")
        self._next_in_a_hurry = float("-inf")

    def due(self, now: float, *, hurry: bool) -> bool:
        """Return whether it may run now; sooner when its answer is known to be out of date."""
        return now >= (self._next_in_a_hurry if hurry else self._next)

    def succeeded(self, now: float, duration: float) -> None:
        """Note that a run has succeeded."""
        self._failures = 0
        self._next = now + max(INTERVAL, _SHARE * duration)
        self._next_in_a_hurry = now + max(_SHORTEST_PAUSE, _SHARE * duration)

    def failed(self, now: float, duration: float) -> None:
        """Note that a run has failed: the pause before the next doubles with each failure."""
        pause = min(INTERVAL * 2**self._failures, LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 10)
        self._next = self._next_in_a_hurry = now + max(pause, duration)

    def reset(self) -> None:
        """Forget all runs: the program was replaced."""
        self._failures = 0
        self._next = self._next_in_a_hurry = float("-inf")


class Background:
    """Runs ``ask`` in a thread when it is due, and keeps its answer."""

    def __init__(
        self,
        ask: Callable[[float, threading.Event], Mapping[str, Listed]],
        identity: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._identity = identity
        self._clock = clock
        self._schedule = Schedule()
        self._asked_of: object = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.answer: Answer | None = None
        """The last good answer; it stays when later runs fail."""
        self.problem = ""
        """Why the last run failed; empty when it did not."""
        self.failures = 0
        """How many runs have failed."""

    def refresh(
        self, now: float, *, containers: int, hurry: bool, done: Callable[[], None]
    ) -> bool:
        """Start a run if one is due and none is under way; return whether it was started.

        ``done`` is called in the thread of the run when it has ended. ``now`` is in seconds since
        the epoch, ``containers`` about how many there are: the timeout grows with them.
        """
        if self._thread is not None and self._thread.is_alive():
            return False
        identity = self._identity()
        if identity != self._asked_of:
            self._asked_of = identity
            self._schedule.reset()
        if self._stop.is_set() or not self._schedule.due(self._clock(), hurry=hurry):
            return False
        timeout = min(30.0 + 0.5 * containers, 600.0)
        self._thread = threading.Thread(
            target=self._run, args=(now, timeout, done), name="vzlist", daemon=True
        )
        self._thread.start()
        return True

    def wait(self, seconds: float) -> None:
        """Wait for the run that is under way, if there is one, but not longer than that."""
        if self._thread is not None:
            self._thread.join(seconds)

    def close(self) -> None:
        """Kill the run that is under way and wait for its end."""
        self._stop.set()
        self.wait(10.0)

    def _run(self, now: float, timeout: float, done: Callable[[], None]) -> None:
        started = self._clock()
        problem = "vzlist could not be asked"
        try:
            self.answer = Answer(self._ask(timeout, self._stop), now)
            problem = ""
        except VzlistError as error:
            problem = str(error)
        finally:
            self._ended(started, problem)
            done()

    def _ended(self, started: float, problem: str) -> None:
        now = self._clock()
        if problem:
            self.failures += 1
            self._schedule.failed(now, now - started)
        else:
            self._schedule.succeeded(now, now - started)
        if problem != self.problem and not self._stop.is_set():
            log.warning("%s", problem or "vzlist answers again")
        self.problem = problem
