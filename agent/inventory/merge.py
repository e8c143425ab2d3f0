"""Makes one container of what the kernel shows and what several collectors know of it."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from agent.inventory.cgroup_names import container_engine, engine_cgroup
from agent.model import Container
from collectors.catalogue import ENGINES, OTHER_RANK, WRAPPERS
from collectors.facts import ALIVE, EngineFacts, HostFacts, Sighting, State

if TYPE_CHECKING:
    from agent.inventory.groups import Group

_RANKS = {engine.name: engine.rank for engine in ENGINES}
_LOW_LEVEL = frozenset(engine.name for engine in ENGINES if engine.low_level)
_MAY_RUN_UNSEEN = frozenset(engine.name for engine in ENGINES if engine.may_run_unseen)

_NOTHING = {field.name: getattr(EngineFacts(), field.name) for field in fields(EngineFacts)}
_EMPTY: tuple[object, ...] = (None, "", (), {})

_MOST_MOUNTS = 100
"""Mounts that are kept of a container: its engine may be a stranger's."""

_UNIQUE = re.compile(r"[0-9a-f]{64}")
"""An id in the name of a cgroup that means the same container in every engine."""

_RUNS = (State.RUNNING, State.PAUSED)

Key = tuple[str, str, str]
"""Engine, engine instance, engine id: the inventory's own key."""


def key_of(sighting: Sighting) -> Key:
    """Return the key by which a sighting names its container."""
    return (sighting.engine, sighting.instance, sighting.engine_id)


def assign(groups: Collection[Group], sightings: Iterable[Sighting]) -> list[list[Sighting]]:
    """Add to each group the sightings of it; return the other sightings, by container.

    A group already has the sightings that name its init. One that does not belongs to it by the
    group's cgroup or by the engine id of another sighting: the containerd below a Docker tells no
    pid, but it has Docker's id. An engine that was asked a moment before or after the processes
    were read has its container still created, or ended already: by the cgroup it is the same one.
    """
    index = _Index(groups)
    left: list[Sighting] = []
    for sighting in sorted((s for s in sightings if id(s) not in index.taken), key=_order):
        own = index.find(sighting)
        if own is not None:
            own.sightings.append(sighting)
        elif sighting.engine not in WRAPPERS or sighting.init is None:
            left.append(sighting)  # else its process runs and is no container but a look-alike
    for group in groups:
        group.sightings.sort(key=_order)
    return _by_container(left)


class _Index:
    """Finds the group that a sighting is of, if it does not name its init."""

    def __init__(self, groups: Collection[Group]) -> None:
        self._by_id: dict[str, Group] = {}
        self._by_key: dict[Key, Group] = {}
        self._by_cgroup: dict[str, Group] = {}
        self.taken: set[int] = set()
        """Those that name the init of a group."""
        for group in groups:
            self._add(group)
        for group in groups:
            if group.parent is None:
                for path in set(group.leader.cgroups.values()) - {"/", ""}:
                    self._by_cgroup.setdefault(path, group)

    def _add(self, group: Group) -> None:
        for sighting in group.sightings:
            self.taken.add(id(sighting))
            self._by_key[key_of(sighting)] = group
            if _is_unique(sighting.engine_id):
                self._by_id[sighting.engine_id] = group
        path = engine_cgroup(group.leader.cgroups, group.sightings)
        if path:
            self._by_cgroup.setdefault(path, group)
            unique = _UNIQUE.search(posixpath.basename(path))
            if unique is not None and not group.sightings:
                self._by_id.setdefault(unique[0], group)

    def find(self, sighting: Sighting) -> Group | None:
        """Return the group of a sighting, by its engine's id or by the cgroup; None for none."""
        own = self._by_key.get(key_of(sighting)) or self._by_id.get(sighting.engine_id)
        if own is None and sighting.cgroup and sighting.init is None:
            own = self._by_cgroup.get(sighting.cgroup)
            return own if own is not None and _may_be(own, sighting) else None
        return own


def _may_be(group: Group, sighting: Sighting) -> bool:
    """Return whether a container in the cgroup of a sighting may be the one that was seen.

    What does not run has it only in mind: another of the same engine may have the cgroup by now.
    """
    if sighting.state in ALIVE:
        return True
    return all(
        s.engine in _LOW_LEVEL and sighting.engine not in _LOW_LEVEL for s in group.sightings
    )


def _by_container(sightings: Iterable[Sighting]) -> list[list[Sighting]]:
    """Return sightings of containers that do not run, those of one container together."""
    by_key: dict[Key, list[Sighting]] = {}
    alias: dict[str, Key] = {}
    by_cgroup: dict[tuple[str, str], Key] = {}
    for sighting in sightings:
        key = key_of(sighting)
        if _is_unique(sighting.engine_id):
            key = alias.setdefault(sighting.engine_id, key)
        elif sighting.cgroup:
            # The runtime's record of a container of the engine above it.
            place = (sighting.engine_id, sighting.cgroup)
            if sighting.engine in _LOW_LEVEL:
                key = by_cgroup.get(place, key)
            else:
                by_cgroup[place] = key
        by_key.setdefault(key, []).append(sighting)
    # What a runtime alone has recorded of an engine's container is of its process, which has ended:
    # the engine was asked before it had the container, or has it no longer.
    return [found for found in by_key.values() if not all(s.below_engine for s in found)]


def _is_unique(engine_id: str) -> bool:
    """Return whether an engine made up an id, so that it means the same container in every engine.

    One that a person chose may be that of another in the next namespace or state directory.
    """
    return _UNIQUE.fullmatch(engine_id) is not None


def _order(sighting: Sighting) -> tuple[int, bool, str]:
    return (_RANKS.get(sighting.engine, OTHER_RANK), sighting.init is None, sighting.collector)


def merged(sightings: Sequence[Sighting]) -> dict[str, Any]:
    """Return what the engines know, each field from the best informed engine that says it."""
    return {
        name: next((v for s in sightings if (v := getattr(s, name)) not in _EMPTY), nothing)
        for name, nothing in _NOTHING.items()
    }


def container_of(
    container_id: str,
    sightings: Sequence[Sighting],
    group: Group | None,
    host: HostFacts,
    **placed: Any,
) -> Container:
    """Return one container with all that is known of it; the verdict comes later.

    ``placed`` are the fields that relate it to the host and to other containers.
    """
    best = sightings[0] if sightings else None
    facts = merged(sightings)
    facts["name"] = facts["name"] or (best.engine_id if best else "")
    facts["mounts"] = facts["mounts"][:_MOST_MOUNTS]
    runtimes = [s.runtime or (s.engine if s.engine in _LOW_LEVEL else "") for s in sightings]
    facts["runtime"] = next(filter(None, runtimes), "")
    if group is not None:
        facts["started"] = facts["started"] or _started(group, host)
        facts["finished"] = facts["exit_code"] = None
        # What Docker says of one that has ended, unhealthy, was never said of this life.
        facts["health"] = merged([s for s in sightings if s.state in _RUNS])["health"]
    return Container(
        id=container_id,
        engine=best.engine if best else _engine_by_cgroup(placed.get("cgroup", "")),
        instance=best.instance if best else "",
        engine_id=best.engine_id if best else "",
        state=_state(sightings, group, host),
        init=group.leader.id if group else None,
        processes=sum(p.state not in "ZX" for p in group.members) if group else None,
        seen_by=tuple(
            dict.fromkeys([*(["kernel"] if group else []), *(s.collector for s in sightings)])
        ),
        **facts,
        **placed,
    )


def _engine_by_cgroup(cgroup: str) -> str:
    """Return the engine of a container that no collector knows, by its own cgroup, else ``none``.

    Cgroups are named on the host's side, and only the label ``engine`` depends on it.
    """
    return container_engine(cgroup) or "none"


def _state(sightings: Sequence[Sighting], group: Group | None, host: HostFacts) -> State:
    """Return the state: the kernel decides whether it runs, the engine tells the rest."""
    if group is not None:
        # Only one that names the process is of this moment.
        named = [s for s in sightings if s.init is not None or s.state in ALIVE]
        state = next((s.state for s in named if s.state is not State.UNKNOWN), State.UNKNOWN)
        # The runtime's own init waits in it for the start. That is no new container where the
        # engine above says that it has run before: it is being started again.
        waits = state is State.CREATED and not any(s.state is State.EXITED for s in sightings)
        return state if state in ALIVE or waits else State.RUNNING
    state = next((s.state for s in sightings if s.state is not State.UNKNOWN), State.UNKNOWN)
    sees_all = host.namespaces.mnt is not None and host.all_processes
    would_be_seen = sightings and sightings[0].engine not in _MAY_RUN_UNSEEN
    if state in (State.RUNNING, State.PAUSED) and sees_all and would_be_seen:
        # Its engine is dead or late: it has no process any more.
        return State.EXITED
    if state is State.EXITED and not host.all_processes and not any(s.finished for s in sightings):
        return State.UNKNOWN  # the collector found no process, but cannot see all of them
    return state


def _started(group: Group, host: HostFacts) -> float | None:
    if not host.boot_time:
        return None
    return host.boot_time + group.leader.id.start_ticks / os.sysconf("SC_CLK_TCK")


def owners(groups: Iterable[Group], kind: str) -> dict[int, Group]:
    """Return the container that each namespace of a kind belongs to, by the namespace's number.

    Of several containers in one namespace it is the oldest, as a pod's pause container is.
    """
    by_number: dict[int, Group] = {}
    for group in sorted(groups, key=lambda g: (g.leader.id.start_ticks, g.leader.pid)):
        number = getattr(group.leader.namespaces, kind)
        if number is not None:
            by_number.setdefault(number, group)
    return by_number
