"""Which changes of the process table may mean that a container came, went or became another."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.inventory.inventory import InventoryPass
    from agent.model import Container
    from collectors.facts import HostFacts, Process, ProcessId, ProcessTable


@dataclass(frozen=True, slots=True)
class KnownProcesses:
    """What the last inventory contained, to decide whether a process can change the containers."""

    inits: frozenset[ProcessId] = frozenset()
    """The first process of each container."""
    all: frozenset[ProcessId] = frozenset()
    filesystems: frozenset[object] = frozenset()
    """Where there were processes: OpenVZ container, mount namespace, root directory."""

    @classmethod
    def of(cls, inventory: InventoryPass, table: ProcessTable) -> Self:
        """Return what an inventory contained that was taken of this table."""
        return cls(
            frozenset(group.leader.id for group in inventory.groups.values()),
            frozenset(process.id for process in table),
            frozenset(map(_filesystem, table)),
        )

    def can_change_containers(self, process: Process, host: HostFacts) -> bool:
        """Return whether a process that appeared may be of a new container, or of a changed one."""
        if process.id in self.inits:
            return True
        if process.envid in (None, "", "0") and process.namespaces.mnt == host.namespaces.mnt:
            # The host's own, or its mount namespace cannot be read on this kernel. Of a container
            # that shares the host's mount namespace, the engine reports the start.
            return process.namespaces.mnt is None and process.state not in "ZX"
        return _filesystem(process) not in self.filesystems

    def is_changed_program(self, process: Process, host: HostFacts) -> bool:
        """Return whether a process that appeared was there before, in a container, as another.

        It has executed another program in place, say.
        """
        return process.id in self.all and process.namespaces.mnt not in (None, host.namespaces.mnt)


def _filesystem(process: Process) -> object:
    return process.envid, process.namespaces.mnt, process.root


def event_lag(
    known: KnownProcesses, before: Mapping[str, Container], judged: Mapping[str, Container]
) -> float | None:
    """Return the seconds since the first start or end of a container after the last inventory.

    None if there was none. A process that was there before, and became a container by what it did,
    does not count.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)  # btime of /proc/stat is in whole seconds
    ages = [
        uptime - c.init.start_ticks / ticks
        for c in judged.values()
        if c.init is not None and c.init not in known.all
    ]
    for key, old in before.items():
        now = judged.get(key)
        if old.init and now and not now.init and now.finished:
            ages.append(time.time() - now.finished)
    return max(0.0, *ages) if ages else None
