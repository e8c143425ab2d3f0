"""Makes one container out of what the kernel shows and what several collectors say of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agent.inventory.engines import LOW_LEVEL, SANDBOXES, path_engine, rank
from agent.inventory.identity import engine_cgroup
from agent.model import Container
from collectors.facts import ALIVE, HostFacts, Sighting, State

if TYPE_CHECKING:
    from agent.inventory.partition import Group

T = TypeVar("T")

Key = tuple[str, str, str]
"""Engine, engine instance, engine id: the inventory's own key."""


def key_of(claim: Sighting) -> Key:
    """Return the key by which a sighting names its container."""
    return (claim.engine, claim.instance, claim.engine_id)


def assign(groups: Iterable[Group], sightings: Iterable[Sighting]) -> list[list[Sighting]]:
    """Return each group the sightings that speak of it; return the others, joined by container.

    A group's claims so far name its init. A sighting without one belongs to it when it names the
    group's cgroup or has the engine id of another claim: the containerd below a Docker says
    nothing of pids, but it has Docker's id.
    """
    by_id: dict[str, Group] = {}
    by_key: dict[Key, Group] = {}
    by_cgroup: dict[str, Group] = {}
    taken: set[int] = set()
    for group in groups:
        for claim in group.claims:
            taken.add(id(claim))
            by_key[key_of(claim)] = group
            if _is_unique(claim.engine_id):
                by_id[claim.engine_id] = group
        path = engine_cgroup(group.leader.cgroups, group.claims)
        if path:
            by_cgroup.setdefault(path, group)
    left: list[Sighting] = []
    for claim in sorted((s for s in sightings if id(s) not in taken), key=_order):
        found = by_key.get(key_of(claim)) or by_id.get(claim.engine_id)
        if found is None and claim.cgroup and claim.init is None and claim.state in ALIVE:
            found = by_cgroup.get(claim.cgroup)
        if found is not None:
            found.claims.append(claim)
            continue
        if claim.engine not in SANDBOXES or claim.init is None:
            left.append(claim)  # else its process is there and no container: a look-alike
    for group in groups:
        group.claims.sort(key=_order)
    return _by_container(left)


def _by_container(claims: Iterable[Sighting]) -> list[list[Sighting]]:
    """Put together what several collectors say of one container that does not run."""
    found: dict[Key, list[Sighting]] = {}
    alias: dict[str, Key] = {}
    for claim in claims:
        key = key_of(claim)
        if _is_unique(claim.engine_id):
            key = alias.setdefault(claim.engine_id, key)
        found.setdefault(key, []).append(claim)
    return list(found.values())


def _is_unique(engine_id: str) -> bool:
    """Return whether an id is random enough to mean the same container in every engine."""
    return len(engine_id) >= 32


def _order(claim: Sighting) -> tuple[int, bool, str]:
    return (rank(claim.engine), claim.init is None, claim.collector)


def _first(claims: Sequence[Sighting], name: str, empty: T) -> T:
    """Return a field of the first claim that has it, so that the best informed engine wins."""
    for claim in claims:
        value = getattr(claim, name)
        if value not in (None, "", ()) and value != {}:
            return value  # type: ignore[no-any-return]
    return empty


def container_of(
    container_id: str,
    claims: Sequence[Sighting],
    group: Group | None,
    host: HostFacts,
    **placed: Any,
) -> Container:
    """Join all that is known of one container; the verdict comes later.

    ``placed`` are the fields that say where it stands among the others.
    """
    best = claims[0] if claims else None
    runtimes = [c.runtime or (c.engine if c.engine in LOW_LEVEL else "") for c in claims]
    return Container(
        id=container_id,
        engine=best.engine if best else _engine_by_cgroup(placed.get("cgroup", "")),
        instance=best.instance if best else "",
        engine_id=best.engine_id if best else "",
        name=_first(claims, "name", "") or (best.engine_id if best else ""),
        image=_first(claims, "image", ""),
        state=_state(claims, group, host),
        init=group.leader.id if group else None,
        role=_first(claims, "role", ""),
        hostname=_first(claims, "hostname", ""),
        created=_first(claims, "created", None),
        started=_first(claims, "started", None) or (_started(group, host) if group else None),
        finished=None if group else _first(claims, "finished", None),
        exit_code=None if group else _first(claims, "exit_code", None),
        oom_killed=_first(claims, "oom_killed", None),
        restarts=_first(claims, "restarts", None),
        health=_first(claims, "health", None),
        labels=_first(claims, "labels", {}),
        pod=_first(claims, "pod", ""),
        namespace=_first(claims, "namespace", ""),
        container_name=_first(claims, "container_name", ""),
        runtime=next(filter(None, runtimes), ""),
        boots=_first(claims, "boots", None),
        command=_first(claims, "command", ()),
        image_facts=_first(claims, "image_facts", None),
        publishes=_first(claims, "publishes", ()),
        restart_policy=_first(claims, "restart_policy", ""),
        auto_remove=_first(claims, "auto_remove", None),
        tty=_first(claims, "tty", None),
        privileged=_first(claims, "privileged", None),
        writable_layer_bytes=_first(claims, "writable_layer_bytes", None),
        log_bytes=_first(claims, "log_bytes", None),
        openvz=_first(claims, "openvz", None),
        processes=len(group.members) if group else None,
        seen_by=tuple(
            dict.fromkeys([*(["kernel"] if group else []), *(c.collector for c in claims)])
        ),
        **placed,
    )


def _engine_by_cgroup(cgroup: str) -> str:
    """Name the engine of a container that no collector knows by its own cgroup, else ``none``.

    Cgroups are named by the host's side, and nothing but the engine hangs on it.
    """
    parent = cgroup.rpartition("/")[0].rpartition("/")[2]
    return path_engine(cgroup) or (parent if parent in ("docker", "buildkit") else "none")


def _state(claims: Sequence[Sighting], group: Group | None, host: HostFacts) -> State:
    """Return how it is. The kernel decides whether it runs; the engine knows the finer shades."""
    said = next((c.state for c in claims if c.state is not State.UNKNOWN), State.UNKNOWN)
    if group is not None:
        # Created: the runtime's own init waits in it for the start.
        return said if said in ALIVE or said is State.CREATED else State.RUNNING
    sees_all = host.namespaces.mnt is not None and host.all_processes
    from_engine = claims and claims[0].engine != "openvz"
    if said in (State.RUNNING, State.PAUSED) and sees_all and from_engine:
        # Its engine is dead or behind: no process of it is left.
        return State.EXITED
    if said is State.EXITED and not host.all_processes and not any(c.finished for c in claims):
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
