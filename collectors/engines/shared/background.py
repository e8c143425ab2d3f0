"""A question to an engine that may take long, asked on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_QUICK = 1.0
"""Seconds in which an engine that was slow must answer to be waited for again."""


class Background(Generic[T]):
    """Asks one question at a time, and never makes its caller wait for longer than it wants to.

    An engine that takes long costs only its own answer. A thread cannot be stopped: ``ask`` must
    end by itself. All methods are called by one thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._busy = False
        self._awaited = False
        self._answer: T | None = None
        self._error: Exception | None = None
        self._began = 0.0
        self._seconds = 0.0
        self.is_slow = False
        """The last answer came later than its caller waited for it."""

    @property
    def is_busy(self) -> bool:
        """Return whether a question was asked whose answer has not been taken yet."""
        return self._busy

    @property
    def seconds(self) -> float:
        """Return how long the last question took, or has taken until now."""
        return self._seconds if self._done.is_set() else time.monotonic() - self._began

    def begin(self, name: str, ask: Callable[[], T], wake: Callable[[], None]) -> None:
        """Ask, on a thread of that name; it calls ``wake`` when the answer comes late."""
        self._busy, self._awaited = True, True
        self._began = time.monotonic()
        self._done.clear()
        threading.Thread(target=self._run, args=(ask, wake), name=name, daemon=True).start()

    def finish(self, seconds: float) -> bool:
        """Wait for the answer for so long; return whether it is there, to be taken.

        One that was late the last time is not waited for.
        """
        if self.is_slow:
            if self._done.is_set():
                self.is_slow = self._seconds > _QUICK
                return True
            seconds = 0.0
        if self._done.wait(max(0.0, seconds)):
            return True
        with self._lock:
            self._awaited = self._done.is_set()
        self.is_slow = not self._awaited
        return self._awaited

    def take(self) -> T:
        """Return the answer that is there, or raise what asking for it raised."""
        self._busy = False
        answer, self._answer = self._answer, None
        error, self._error = self._error, None
        if error is not None:
            raise error
        return answer  # type: ignore[return-value] # there is one where there is no error

    def _run(self, ask: Callable[[], T], wake: Callable[[], None]) -> None:
        try:
            self._answer = ask()
        except Exception as error:  # noqa: BLE001 - raised where the answer is taken
            self._error = error
        self._seconds = time.monotonic() - self._began
        with self._lock:
            self._done.set()
            is_late = not self._awaited
        if is_late:
            wake()


def wake_after(seconds: float, wake: Callable[[], None]) -> None:
    """Call ``wake`` after so many seconds, on a thread of its own."""
    timer = threading.Timer(seconds, wake)
    timer.daemon = True
    timer.start()
