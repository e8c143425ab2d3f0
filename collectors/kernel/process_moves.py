"""Finds running processes that moved to another mount namespace or another root.

unshare(2), setns(2) and pivot_root(2) cause no event, and change no counter that could be polled.
So the processes on the host's root filesystem, from which alone a new container can come, are
checked in turn, as many as a small share of a CPU allows: some two hundred in each call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.facts import HostFacts, Process, ProcessId, ProcessTable
    from collectors.hostfs import HostFS

SHARE = 0.0003
"""Share of one CPU that this may take."""

_LONGEST = 0.005
"""Most seconds of CPU for one call, however long ago the last one was."""


class ProcessMoves:
    """Checks the processes of the host in turn, some of them in each call of ``moved``.

    ``touch`` is called before a process is read in a way that can block.
    """

    def __init__(
        self,
        host: HostFS,
        touch: Callable[[ProcessId], None],
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._host = host
        self._touch = touch
        self._spent = spent  # seconds of CPU
        self._left: list[int] = []
        self._checked_at = 0.0

    def moved(self, table: ProcessTable, facts: HostFacts, now: float) -> list[int]:
        """Return the pids of those that are not where the table says; ``now`` is monotonic."""
        end = self._spent() + min(_LONGEST, (now - self._checked_at) * SHARE)
        self._checked_at = now
        if not self._left:
            self._left = [p.pid for p in table if p.root == facts.root]
        pids = []
        while self._left and self._spent() < end:
            process = table.get(self._left.pop())
            if process is not None and self._has_moved(process, facts):
                pids.append(process.pid)
        return pids

    def _has_moved(self, process: Process, facts: HostFacts) -> bool:
        try:
            link = self._host.proc.readlink(f"{process.pid}/ns/mnt")
            if link != f"mnt:[{process.namespaces.mnt}]":
                return True
            if process.namespaces.mnt == facts.namespaces.mnt:
                return False  # a chroot at most, which is no container
            self._touch(process.id)
            return self._host.proc.file_id(f"{process.pid}/root/") != process.root
        except HostReadError:
            return False  # it has ended, or may not be read
