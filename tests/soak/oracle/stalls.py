"""How long the machine kept the agent waiting: what a limit in seconds has to allow for.

A limit of five seconds says something of the agent only where it gets a CPU when it asks for one.
So these are measured, which are not its fault:

- how late a process wakes up that only sleeps: the machine (or the host of this virtual machine)
  stood still;
- how long the threads of an agent were ready to run and did not, as /proc/<pid>/task/*/schedstat
  says (Documentation/scheduler/sched-stats.rst): others had the CPU;
- how much longer its instructions took than on a slow machine: an emulated CPU, as that of the
  cgroup v2 guest, takes many times as long for each;
- how much longer an engine's own tool took to answer than it does at its best: the agent, which
  asks the same engine, or reads what it writes, cannot be faster.

A span counts as so many seconds as are left of it without the longest of these; waits for a CPU and
slow instructions are one, as a thread does one after the other.
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
USUAL = 0.05
"""CPU seconds that ``_count`` takes on a slow machine; a quick one needs a third."""
_LATE = 0.02
_EACH = 0.5
_FIND_EACH = 5.0
"""Seconds between two looks for the processes of the agents: a scout may have been replaced."""
_LONGEST = 90.0


class Stalls:
    """Measures in the background."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        """The agents' first processes."""
        self._found: dict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=9999))
        self._best: dict[str, float] = {}
        self._waited: dict[Path, float] = {}
        self._over = threading.Event()
        self._excess = max(0.0, 1 - USUAL / min(_count() for _ in range(5)))
        """What part of its CPU seconds an agent would not need on a slow machine."""

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

    def before(self, moment: float, seconds: float) -> float:
        """Return the moment since when so many seconds have passed that were not lost."""
        begin = moment - seconds
        while moment - begin < _LONGEST:
            lost = max(self.by_kind(begin, moment + _EACH).values(), default=0)
            if moment - begin - lost >= seconds - _LATE:
                return begin
            begin = moment - seconds - lost
        return begin

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
        asked = time.monotonic()
        found_at, processes = 0.0, list[int]()
        while not self._over.wait(_EACH):
            now = time.monotonic()
            if now - found_at > _FIND_EACH:
                processes = [one for pid in self._pids() for one in (pid, *descendants(pid))]
                found_at = now
            longest = max(map(self._waits_of, processes), default=0.0)
            self._note("without a CPU", min(longest, now - asked))
            asked = now

    def _waits_of(self, pid: int) -> float:
        """Return for how long the threads of a process waited, as if one after the other."""
        sum_of_all = 0.0
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                ran, waited = (int(word) / 1e9 for word in path.read_text().split()[:2])
                lost = waited + ran * self._excess
                sum_of_all += lost - self._waited.get(path, lost)
                self._waited[path] = lost
        return sum_of_all


def _count() -> float:
    """Return how many CPU seconds a million of simple instructions of Python take."""
    begin = time.thread_time()
    number = 0
    while number < 1_000_000:
        number += 1
    return time.thread_time() - begin
