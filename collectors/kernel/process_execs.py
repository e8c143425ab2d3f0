"""Finds running processes that execute another program in place, execve(2).

That causes no event and changes no number that could be polled: the pid stays, nothing starts or
ends. So the processes of containers are checked in turn, each within ``WITHIN`` seconds, by the
link to the binary. Where that can be many programs (busybox, an interpreter, a shell with a
script), the memory map is compared in its place: the kernel lays each program out anew,
proc_pid_stat(5). Neither read can block.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError
from collectors.kernel.processes import parse_mark

if TYPE_CHECKING:
    from collectors.facts import Process, ProcessTable
    from collectors.hostfs import HostFS

WITHIN = 8.0
"""Seconds in which every process has its turn, unless there are more than ``SHARE`` allows."""

SHARE = 0.0005
"""Share of one CPU that this may take: enough for 500 to 1,000 processes in time."""

_LONGEST = 0.02
"""Most seconds of CPU for one call, however long ago the last one was."""


class ProcessExecs:
    """Checks the processes of containers in turn, some of them in each call.

    ``mark`` returns what ``parse_mark`` read of a process's memory map when the table was read.
    """

    def __init__(
        self,
        host: HostFS,
        mark: Callable[[int], object],
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._host = host
        self._mark = mark
        self._spent = spent  # seconds of CPU
        self._left: list[int] = []
        self._looked_at: float | None = None

    def changed(self, table: ProcessTable, pids: Iterable[int], now: float) -> list[int]:
        """Return the pids, of ``pids``, of those that run another program than the table says.

        ``now`` is monotonic.
        """
        elapsed = WITHIN if self._looked_at is None else now - self._looked_at
        end = self._spent() + min(_LONGEST, elapsed * SHARE)
        self._looked_at = now
        of_all = list(pids)
        if not self._left:
            self._left = of_all
        due = math.ceil(len(of_all) * elapsed / WITHIN)
        others = []
        while self._left and due > 0 and self._spent() < end:
            due -= 1
            process = table.get(self._left.pop())
            if process is not None and process.state not in "ZX" and self._has_changed(process):
                others.append(process.pid)
        return others

    def _has_changed(self, process: Process) -> bool:
        try:
            if process.exe is None or _is_many(process):
                data = self._host.proc.read_head(f"{process.pid}/stat", 4096)
                return parse_mark(data) != self._mark(process.pid)
            # The link begins with the path of its root, where that is not the host's.
            return not self._host.proc.readlink(f"{process.pid}/exe").endswith(process.exe)
        except HostReadError:
            return False  # it has ended, or may not be read


def _is_many(process: Process) -> bool:
    """Return whether its arguments, and not its binary alone, say which program it is."""
    name = process.exe.rpartition("/")[2] if process.exe else ""
    called = process.argv[0].rpartition("/")[2] if process.argv else ""
    return called != name or any("/" in word for word in process.argv[1:4])
