"""What is news in a process table: whether a container may have come, gone or become another."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.inventory.inventory import Picture
    from agent.model import Container
    from collectors.facts import HostFacts, Process, ProcessId, ProcessTable


@dataclass(frozen=True, slots=True)
class Known:
    """By what of a picture it is told whether a process is news."""

    first: frozenset[ProcessId] = frozenset()
    """The first process of each container."""
    processes: frozenset[ProcessId] = frozenset()
    places: frozenset[object] = frozenset()
    """Mount namespaces, with the root directories in them, in which there were processes."""

    @classmethod
    def of(cls, picture: Picture, table: ProcessTable) -> Self:
        """Take from a picture what will be asked about."""
        return cls(
            frozenset(group.leader.id for group in picture.groups.values()),
            frozenset(process.id for process in table),
            frozenset(map(_place, table)),
        )

    def is_news(self, process: Process, host: HostFacts) -> bool:
        """Return whether a new process may mean a new container, or one that became another."""
        if process.id in self.first:
            return True
        if process.envid in (None, "", "0") and process.namespaces.mnt == host.namespaces.mnt:
            # One of the host's own, also where the host's are not to be read. A container of
            # which no mount namespace tells has an engine that tells.
            return process.namespaces.mnt is None and process.state not in "ZX"
        return _place(process) not in self.places


def _place(process: Process) -> object:
    return process.envid, process.namespaces.mnt, process.root


def lag(
    known: Known, before: Mapping[str, Container], judged: Mapping[str, Container]
) -> float | None:
    """Return how many seconds ago the containers started and ended that are news; None: none is.

    A process that was there before, and became a container by what it did, tells nothing.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)  # btime of /proc/stat has whole seconds
    ages = [
        uptime - c.init.start_ticks / ticks
        for c in judged.values()
        if c.init is not None and c.init not in known.processes
    ]
    for key, old in before.items():
        ended = judged.get(key)
        if old.init and ended and not ended.init and ended.finished:
            ages.append(time.time() - ended.finished)
    return max(0.0, *ages) if ages else None
