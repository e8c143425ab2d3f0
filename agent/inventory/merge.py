"""Makes one container out of what the kernel shows and what several collectors say of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agent.inventory.cgroup_names import container_engine, engine_cgroup
from agent.model import Container
from collectors.catalogue import ENGINES, OTHER_RANK, WRAPPERS
from collectors.facts import ALIVE, HostFacts, Sighting, State

if TYPE_CHECKING:
    from agent.inventory.groups import Group

T = TypeVar("T")

_RANKS = {engine.name: engine.rank for engine in ENGINES}
_LOW_LEVEL = frozenset(engine.name for engine in ENGINES if engine.low_level)

Key = tuple[str, str, str]
"""Engine, engine instance, engine id: the inventory's own key."""


def key_of(sighting: Sighting) -> Key:
    """Return the key by which a sighting names its container."""
    return (sighting.engine, sighting.instance, sighting.engine_id)


def assign(groups: Iterable[Group], sightings: Iterable[Sighting]) -> list[list[Sighting]]:
    """Return each group the sightings that speak of it; return the others, joined by container.

    A group's sightings so far name its init. A sighting without one belongs to it when it names the
    group's cgroup or has the engine id of another sighting: the containerd below a Docker says
    nothing of pids, but it has Docker's id.
    """
    by_id: dict[str, Group] = {}
    by_key: dict[Key, Group] = {}
    by_cgroup: dict[str, Group] = {}
    taken: set[int] = set()
    for group in groups:
        for sighting in group.sightings:
            taken.add(id(sighting))
            by_key[key_of(sighting)] = group
            if _is_unique(sighting.engine_id):
                by_id[sighting.engine_id] = group
        path = engine_cgroup(group.leader.cgroups, group.sightings)
        if path:
            by_cgroup.setdefault(path, group)
    left: list[Sighting] = []
    for sighting in sorted((s for s in sightings if id(s) not in taken), key=_order):
        found = by_key.get(key_of(sighting)) or by_id.get(sighting.engine_id)
        if found is None and sighting.cgroup and sighting.init is None and sighting.state in ALIVE:
            found = by_cgroup.get(sighting.cgroup)
        if found is not None:
            found.sightings.append(sighting)
            continue
        if sighting.engine not in WRAPPERS or sighting.init is None:
            left.append(sighting)  # else its process is there and no container: a look-alike
    for group in groups:
        group.sightings.sort(key=_order)
    return _by_container(left)


def _by_container(sightings: Iterable[Sighting]) -> list[list[Sighting]]:
    """Put together what several collectors say of one container that does not run."""
    found: dict[Key, list[Sighting]] = {}
    alias: dict[str, Key] = {}
    for sighting in sightings:
        key = key_of(sighting)
        if _is_unique(sighting.engine_id):
            key = alias.setdefault(sighting.engine_id, key)
        found.setdefault(key, []).append(sighting)
    return list(found.values())


def _is_unique(engine_id: str) -> bool:
    """Return whether an id is random enough to mean the same container in every engine."""
    return len(engine_id) >= 32


def _order(sighting: Sighting) -> tuple[int, bool, str]:
    return (_RANKS.get(sighting.engine, OTHER_RANK), sighting.init is None, sighting.collector)


def _first(sightings: Sequence[Sighting], name: str, empty: T) -> T:
    """Return a field of the first sighting that has it, so that the best informed engine wins."""
    for sighting in sightings:
        value = getattr(sighting, name)
        if value not in (None, "", ()) and value != {}:
            return value  # type: ignore[no-any-return]
    return empty


def container_of(
    container_id: str,
    sightings: Sequence[Sighting],
    group: Group | None,
    host: HostFacts,
    **placed: Any,
) -> Container:
    """Join all that is known of one container; the verdict comes later.

    ``placed`` are the fields that say where it stands among the others.
    """
    best = sightings[0] if sightings else None
    runtimes = [c.runtime or (c.engine if c.engine in _LOW_LEVEL else "") for c in sightings]
    return Container(
        id=container_id,
        engine=best.engine if best else _engine_by_cgroup(placed.get("cgroup", "")),
        instance=best.instance if best else "",
        engine_id=best.engine_id if best else "",
        name=_first(sightings, "name", "") or (best.engine_id if best else ""),
        image=_first(sightings, "image", ""),
        state=_state(sightings, group, host),
        init=group.leader.id if group else None,
        role=_first(sightings, "role", ""),
        hostname=_first(sightings, "hostname", ""),
        created=_first(sightings, "created", None),
        started=_first(sightings, "started", None) or (_started(group, host) if group else None),
        finished=None if group else _first(sightings, "finished", None),
        exit_code=None if group else _first(sightings, "exit_code", None),
        oom_killed=_first(sightings, "oom_killed", None),
        restarts=_first(sightings, "restarts", None),
        health=_first(sightings, "health", None),
        labels=_first(sightings, "labels", {}),
        pod=_first(sightings, "pod", ""),
        namespace=_first(sightings, "namespace", ""),
        container_name=_first(sightings, "container_name", ""),
        runtime=next(filter(None, runtimes), ""),
        boots=_first(sightings, "boots", None),
        command=_first(sightings, "command", ()),
        image_facts=_first(sightings, "image_facts", None),
        publishes=_first(sightings, "publishes", ()),
        restart_policy=_first(sightings, "restart_policy", ""),
        auto_remove=_first(sightings, "auto_remove", None),
        tty=_first(sightings, "tty", None),
        privileged=_first(sightings, "privileged", None),
        writable_layer_bytes=_first(sightings, "writable_layer_bytes", None),
        log_bytes=_first(sightings, "log_bytes", None),
        openvz=_first(sightings, "openvz", None),
        processes=len(group.members) if group else None,
        seen_by=tuple(
            dict.fromkeys([*(["kernel"] if group else []), *(c.collector for c in sightings)])
        ),
        **placed,
    )


def _engine_by_cgroup(cgroup: str) -> str:
    """Name the engine of a container that no collector knows by its own cgroup, else ``none``.

    Cgroups are named by the host's side, and nothing but the engine hangs on it.
    """
    return container_engine(cgroup) or "none"


def _state(sightings: Sequence[Sighting], group: Group | None, host: HostFacts) -> State:
    """Return how it is. The kernel decides whether it runs; the engine knows the finer shades."""
    said = next((c.state for c in sightings if c.state is not State.UNKNOWN), State.UNKNOWN)
    if group is not None:
        # Created: the runtime's own init waits in it for the start.
        return said if said in ALIVE or said is State.CREATED else State.RUNNING
    sees_all = host.namespaces.mnt is not None and host.all_processes
    from_engine = sightings and sightings[0].engine != "openvz"
    if said in (State.RUNNING, State.PAUSED) and sees_all and from_engine:
        # Its engine is dead or behind: no process of it is left.
        return State.EXITED
    if said is State.EXITED and not host.all_processes and not any(c.finished for c in sightings):
        return State.UNKNOWN  # its process was looked for where it cannot be seen
    return said


def _started(group: Group, host: HostFacts) -> float | None:
    if not host.boot_time:
        return None
    return host.boot_time + group.leader.id.start_ticks / os.sysconf("SC_CLK_TCK")


def owners(groups: Iterable[Group], kind: str) -> dict[int, Group]:
    """Say whom each namespace of a kind belongs to, by its number.

    Of several containers in one it is the oldest's, as a pod's is its pause container's.
    """
    found: dict[int, Group] = {}
    for group in sorted(groups, key=lambda g: (g.leader.id.start_ticks, g.leader.pid)):
        number = getattr(group.leader.namespaces, kind)
        if number is not None:
            found.setdefault(number, group)
    return found
