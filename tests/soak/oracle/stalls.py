"""How long the machine kept the agent waiting: what a limit in seconds has to allow for.

A limit of five seconds says something of the agent only where it gets a CPU when it asks for one.
So three waits are measured that are not its fault, and the longest of them within a span is added
to every limit that ends in it:

- how late a process wakes up that only sleeps: the machine (or the host of this virtual machine)
  stood still;
- how long the agent's own processes were ready to run and did not, as /proc/<pid>/schedstat says
  (Documentation/scheduler/sched-stats.rst): others had the CPU;
- how much longer an engine's own tool took to answer than it does at its best: the agent, which
  asks the same engine, or reads what it writes, cannot be faster.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness.programs import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SLEEPER = """
import time
while True:
    begin = time.monotonic()
    time.sleep(0.05)
    print(time.monotonic() - begin - 0.05, flush=True)
"""
_LATE = 0.02
_EACH = 0.5


class Stalls:
    """Measures in the background."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        """The agents' first processes."""
        self._found: dict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=9999))
        self._best: dict[str, float] = {}
        self._waited: dict[int, float] = {}
        self._over = threading.Event()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure until the end of the block."""
        words = (sys.executable, "-S", "-E", "-c", _SLEEPER)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sleeper:
            threads = [
                threading.Thread(target=self._read, args=(sleeper,)),
                threading.Thread(target=self._ask_the_scheduler),
            ]
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._over.set()
                sleeper.kill()
                for thread in threads:
                    thread.join()

    def took(self, what: str, seconds: float) -> None:
        """Note how long an engine's tool took to answer a question that it is often asked."""
        best = self._best[what] = min(self._best.get(what, seconds), seconds)
        self._note(what, seconds - best)

    def within(self, begin: float, end: float) -> float:
        """Return how many seconds were lost within a span."""
        return max(self.by_kind(begin, end).values(), default=0)

    def by_kind(self, begin: float, end: float) -> dict[str, float]:
        """Return the same for each kind of wait."""
        return {
            kind: sum(lost for at, lost in list(found) if begin <= at <= end)
            for kind, found in list(self._found.items())
        }

    def _note(self, kind: str, lost: float) -> None:
        if lost > _LATE:
            self._found[kind].append((time.monotonic(), lost))

    def _read(self, sleeper: subprocess.Popen[str]) -> None:
        assert sleeper.stdout
        for line in sleeper.stdout:
            self._note("asleep", float(line))

    def _ask_the_scheduler(self) -> None:
        while not self._over.wait(_EACH):
            longest = 0.0
            for pid in self._pids():
                for one in (pid, *descendants(pid)):
                    with suppress(OSError):
                        # A process's file is its first thread's: the one that makes the passes.
                        waited = int(Path(f"/proc/{one}/schedstat").read_text().split()[1]) / 1e9
                        longest = max(longest, waited - self._waited.get(one, waited))
                        self._waited[one] = waited
            self._note("without a CPU", longest)
