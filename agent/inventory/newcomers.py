"""Which new containers are withheld for a moment: those that an engine may still name.

A container's process runs before its engine is asked about it, and its runtime prepares it in that
process before it is complete. Shown at once, it would have another id and no name for that moment.
An OCI runtime records a container before the container's program is executed, and removes the
record after the program has ended. So what no engine names, though the engines were asked after
the program was seen to run and before it was seen to run still, belongs to none of them: it is
shown at once.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.inventory.cgroup_names import container_engine, engine_cgroup
from agent.inventory.groups import name_of
from collectors.catalogue import ENGINES

if TYPE_CHECKING:
    from agent.inventory.groups import Group
    from collectors.facts import Process, ProcessTable

_RUNTIME_SECONDS = 10.0
"""How long a container may be prepared by its runtime, from the start of its first process."""

_RECORDED_SECONDS = 30.0
"""The same of one that its runtime has recorded as an engine's: a busy host is slow."""

_ENGINE_SECONDS = 3.0
"""From that start until an engine that certainly has the container must have told its name."""

_OLD_CLOCK_SECONDS = 60.0
_SOON_SECONDS = 0.05
_POLL_SECONDS = 0.25

_RUNTIME_INIT = re.compile(r"(runc|crun|youki)(:\[|$)")
_KEEPERS = re.compile("|".join(pattern for engine in ENGINES for pattern in engine.keepers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the engines could know when they were asked last."""

    processes: ProcessTable
    """As they were read just before."""
    uptime: float
    """The host's, in seconds."""


def withheld_seconds(group: Group, table: ProcessTable, asked: Asked) -> float:
    """Return the seconds until a new container is to be looked at again; 0 if it is to be shown.

    ``table`` is what the group was made of, read after the engines were asked or at that time.
    """
    is_named = any(not sighting.below_engine for sighting in group.sightings)
    if is_named:
        return 0.0
    leader = group.leader
    age = asked.uptime - leader.id.start_ticks / os.sysconf("SC_CLK_TCK")
    # One that seems younger by much is measured by another clock, as LXCFS shows one.
    is_young = age > -_OLD_CLOCK_SECONDS
    if _RUNTIME_INIT.match(leader.comm):
        most = _RECORDED_SECONDS if group.sightings else _RUNTIME_SECONDS
        return _POLL_SECONDS if is_young and age < most else 0.0
    if is_young and age < _ENGINE_SECONDS and _is_an_engines(group, table):
        return _POLL_SECONDS
    return 0.0 if _was_running(leader, asked.processes) else _SOON_SECONDS


def _was_running(leader: Process, before: ProcessTable) -> bool:
    """Return whether a container's first process was already in it, running its own program."""
    then = before.get(leader.pid)
    return (
        then is not None
        and then.id == leader.id
        and then.namespaces.mnt == leader.namespaces.mnt
        and then.root == leader.root
        and not _RUNTIME_INIT.match(then.comm)
    )


def _is_an_engines(group: Group, table: ProcessTable) -> bool:
    """Return whether an engine certainly has a container.

    Its runtime tells so, the process that is its parent, or the name of its cgroup, which stays
    when the container is removed and that process has ended before it.
    """
    if group.sightings or _is_kept(group.leader, table):
        return True
    return container_engine(engine_cgroup(group.leader.cgroups, ())) != ""


def _is_kept(leader: Process, table: ProcessTable) -> bool:
    """Return whether the parent is the process that an engine keeps for each container."""
    parent = table.get(leader.ppid)
    return parent is not None and _KEEPERS.fullmatch(name_of(parent)) is not None
