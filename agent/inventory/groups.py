"""The processes of one container as a group, and what can be read off a single process."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.kernel.cgroups import SYSTEMD, UNIFIED

if TYPE_CHECKING:
    from agent.model import LookAlike
    from collectors.facts import HostFacts, Mount, Process, Sighting

Mounts = Callable[[int], "tuple[Mount, ...] | None"]
"""Returns the mounts that a process sees, None when they cannot be read."""

SetKey = tuple[str | None, int | None]
"""Processes that belong together: OpenVZ container (None elsewhere) and mount namespace."""

_KINDS = ("pid", "net", "ipc", "uts", "user", "cgroup", "time")


@dataclass(slots=True, eq=False)
class Group:
    """The processes of one container, without those of containers nested in it."""

    leader: Process
    """Its init: the first process of it."""
    members: list[Process] = field(default_factory=list)
    parent: Group | None = None
    sightings: list[Sighting] = field(default_factory=list)
    """What the collectors know of it, the best informed first once merged."""
    visitors: frozenset[int] = frozenset()
    """Pids of those that came in from outside, and of their children."""
    by_cgroup: bool = False
    """Found by its cgroup and pid namespace alone, as the rest could not be read."""

    def within(self, other: Group | None) -> bool:
        """Return whether this is ``other`` or nested in it."""
        group: Group | None = self
        while group is not None:
            if group is other:
                return True
            group = group.parent
        return other is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The processes of a host, split: containers, look-alikes, and where each process belongs."""

    groups: tuple[Group, ...]
    look_alikes: tuple[LookAlike, ...]
    home: Mapping[int, Group | None]
    """Group by pid; None is the host itself."""


def name_of(process: Process) -> str:
    """Return a name for a process that a person would recognise."""
    return posixpath.basename(process.exe or process.comm or "?").removesuffix(" (deleted)")


def cgroup_of(process: Process) -> str:
    """Return the cgroup by which systemd or the engine knows a process."""
    return process.cgroups.get(SYSTEMD) or process.cgroups.get(UNIFIED, "")


def own_kinds(host: HostFacts, process: Process) -> tuple[str, ...]:
    """Return the kinds of namespace, besides mounts, in which a process is not in the host's."""
    return tuple(
        kind
        for kind in _KINDS
        if getattr(process.namespaces, kind) not in (None, getattr(host.namespaces, kind))
    )
