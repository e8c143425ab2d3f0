"""One call shared by all threads that make it at the same time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs a function once for all threads that ask while it runs; a later one runs it again."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._change = threading.Condition()
        self._busy = False
        self._done = 0
        self._result: T | None = None
        self.waiting = 0
        """How many threads wait for a call that another has started."""

    def get(self) -> T:
        """Return the result.

        An exception is raised only in the thread that ran the function; those that waited run it
        anew.
        """
        with self._change:
            while self._busy:
                before = self._done
                self.waiting += 1
                while self._busy and self._done == before:
                    self._change.wait()
                self.waiting -= 1
                if self._done != before and self._result is not None:
                    return self._result
            self._busy = True
        result = None
        try:
            result = self._work()
        finally:
            with self._change:
                self._busy = False
                self._result = result
                self._done += result is not None
                self._change.notify_all()
        return result
