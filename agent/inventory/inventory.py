"""The inventory: remembers who is on the host from one pass to the next.

An id is fixed when its container is first known and kept until it is removed; what is gone is
shown, frozen, until the retention is over.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.inventory.identity import Ownership, id_of_group, id_of_sighting, own_cgroups
from agent.inventory.lookalikes import (
    cgroup_look_alikes,
    inner_look_alikes,
    namespace_look_alikes,
    session_look_alikes,
)
from agent.inventory.merge import Key, assign, container_of, key_of, owners
from agent.inventory.partition import partition
from agent.model import as_gone
from collectors.facts import ALIVE, State

if TYPE_CHECKING:
    from agent.inventory.groups import Group, Mounts, Partition
    from agent.model import Container, LookAlike
    from collectors.facts import HostFacts, ProcessId, ProcessTable, Sighting

log = logging.getLogger(__name__)

Wanted = Callable[["Container"], bool]
"""Says whether a container is to be shown at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The outcome of one pass: the containers of now, and the processes of those that run."""

    containers: Mapping[str, Container]
    groups: Mapping[str, Group]
    look_alikes: tuple[LookAlike, ...]
    nested: Mapping[str, int]
    """How many containers are nested directly in each."""
    dropped: int = 0


class Inventory:
    """Keeps identities; ``update`` makes the next picture from the facts of one pass."""

    def __init__(
        self,
        *,
        retention: float = 300.0,
        retained: int = 1000,
        cap: int = 5000,
        wanted: Wanted = lambda _: True,
    ) -> None:
        self._retention = retention
        self._retained = retained
        self._cap = cap
        self._wanted = wanted
        self._dropped = 0
        self._ids: dict[Key, str] = {}
        self._id_of_init: dict[ProcessId, str] = {}
        self._last: dict[str, Container] = {}
        self._looked_at = 0.0  # when the picture before this one was made
        self.expires = float("inf")
        """When the first of those that are gone is to be forgotten, in seconds since the epoch."""

    def update(
        self,
        host: HostFacts,
        table: ProcessTable,
        sightings: Sequence[Sighting],
        mounts: Mounts,
        *,
        now: float,
        empty_cgroups: Iterable[str] = (),
    ) -> Picture:
        """Take in what one pass saw. ``mounts`` is called for few processes, if any."""
        parts = partition(host, table, (s for s in sightings if s.init is not None), mounts)
        silent = assign(parts.groups, sightings)
        ids = self._name(parts, silent, table)
        seen: dict[str, Container] = {}
        groups: dict[str, Group] = {}
        nets, pids = owners(parts.groups, "net"), owners(parts.groups, "pid")
        for group in parts.groups:
            container_id = ids.of_group[group]
            seen[container_id] = container_of(
                container_id,
                group.sightings,
                group,
                host,
                cgroups=ids.cgroups[group],
                cgroup=ids.main_cgroup(group),
                parent_id=ids.of_group[group.parent] if group.parent is not None else "",
                network=_whose(group, "net", nets, host, ids),
                pid_namespace=_whose(group, "pid", pids, host, ids),
            )
            groups[container_id] = group
        for of_one, container_id in ids.of_silent:
            if container_id not in seen:
                seen[container_id] = container_of(container_id, of_one, None, host)
        seen = {k: self._settle(c) for k, c in seen.items() if self._wanted(c)}
        here = seen
        dropped = max(0, len(seen) - self._cap)
        if dropped:
            # What runs comes first, and of that what has run longest.
            order = sorted(seen.items(), key=lambda i: (i[1].state not in ALIVE, i[1].started or 0))
            seen = dict(order[: self._cap])
        self._say_dropped([c for k, c in here.items() if k not in seen])
        everyone = {**seen, **self._gone(here, now)}
        self._remember(everyone, ids)
        self._looked_at = now
        nested: dict[str, int] = {}
        for container in seen.values():
            if container.parent_id:
                nested[container.parent_id] = nested.get(container.parent_id, 0) + 1
        return Picture(
            containers=everyone,
            groups={k: g for k, g in groups.items() if k in seen},
            look_alikes=(
                *parts.look_alikes,
                *namespace_look_alikes(host, table, parts),
                *session_look_alikes(table, parts),
                *cgroup_look_alikes(table, parts, empty_cgroups),
                *inner_look_alikes(
                    parts,
                    {
                        g: (_name_of(everyone.get(ids.of_group[g])), ids.main_cgroup(g))
                        for g in parts.groups
                    },
                ),
            ),
            nested=nested,
            dropped=dropped,
        )

    def judged(self, containers: Mapping[str, Container]) -> None:
        """Take back the containers with their verdicts, which stand while they are remembered."""
        self._last = dict(containers)

    def shift(self, seconds: float) -> None:
        """Follow a clock that was set by so many seconds: nobody is forgotten sooner or later."""
        self._looked_at += seconds
        self.expires += seconds
        self._last = {key: _shifted(c, seconds) for key, c in self._last.items()}

    def _name(
        self, parts: Partition, silent: Sequence[list[Sighting]], table: ProcessTable
    ) -> _Ids:
        """Return every container its id: the one it had, else a new one that nobody has."""
        ids = _Ids()
        ownership = Ownership(parts, {p.pid: p.cgroups for p in table})
        ownership.adopt(parts.groups)
        new = []
        for group in parts.groups:
            ids.cgroups[group] = own_cgroups(group, ownership)
            known = self._known(group)
            if known is None or not ids.take(group, known):
                new.append(group)
        for sightings in silent:
            known = next((self._ids[k] for k in map(key_of, sightings) if k in self._ids), None)
            wishes = [known] if known else [id_of_sighting(sightings[0]), _own_words(sightings[0])]
            ids.take_silent(sightings, wishes)
        for group in new:
            pid, start_ticks = group.leader.id
            engine = group.sightings[0].engine if group.sightings else "none"
            for wished in (
                id_of_group(group, ids.cgroups[group]),
                # A namesake has the cgroup's name without the suffix, or two share what they have.
                ids.main_cgroup(group),
                f"/{engine}/{pid}-{start_ticks}",
            ):
                if wished and ids.take(group, wished):
                    break
        return ids

    def _known(self, group: Group) -> str | None:
        for sighting in group.sightings:
            if key_of(sighting) in self._ids:
                return self._ids[key_of(sighting)]
        return self._id_of_init.get(group.leader.id)

    def _settle(self, container: Container) -> Container:
        """Carry over what was known of a container, which its sources need not say again."""
        before = self._last.get(container.id)
        if before is None or before.gone:
            return container
        same_life = container.init is not None and container.init == before.init
        if container.seen_by == ("kernel",) and same_life and before.engine_id:
            # Its engine stopped answering: the name does not go away with it.
            return replace(
                before,
                state=State.RUNNING,
                processes=container.processes,
                cgroup=container.cgroup,
                cgroups=container.cgroups,
                last_seen=None,
                seen_by=container.seen_by,
            )
        if container.init is not None:
            return container  # what runs is judged anew
        return replace(
            container,
            verdict=before.verdict,
            style_changes=before.style_changes,
            mismatch=before.mismatch,
            findings=before.findings,
            last_seen=self._looked_at if before.last_seen is None else before.last_seen,
            # A runtime's file of what has ended has neither: the kernel had told them.
            started=before.started if container.started is None else container.started,
            parent_id=container.parent_id or before.parent_id,
            isolation=before.isolation,
            image_facts=container.image_facts or before.image_facts,
            hostname=container.hostname or before.hostname,
        )

    def _say_dropped(self, dropped: Sequence[Container]) -> None:
        """Log what is left out, whenever that is more or less than before."""
        if len(dropped) != self._dropped and dropped:
            engines = Counter(c.engine for c in dropped)
            log.warning(
                "%d containers are left out, as containers.max is %d: %s; for instance %s",
                len(dropped),
                self._cap,
                ", ".join(f"{n} of {engine}" for engine, n in engines.most_common()),
                ", ".join(repr(c.name or c.id) for c in dropped[:3]),
            )
        self._dropped = len(dropped)

    def _gone(self, seen: Mapping[str, Container], now: float) -> dict[str, Container]:
        """Keep what was removed for a while, frozen, the most recent first."""
        removed = (c for c in self._last.values() if c.id not in seen)
        left = [
            as_gone(c, when)
            for c in removed
            if now - (when := self._looked_at if c.last_seen is None else c.last_seen)
            <= self._retention
        ]
        left.sort(key=lambda c: -(c.last_seen or 0.0))
        del left[self._retained :]
        self.expires = (left[-1].last_seen or 0.0) + self._retention if left else float("inf")
        return {c.id: c for c in left}

    def _remember(self, everyone: Mapping[str, Container], ids: _Ids) -> None:
        self._last = dict(everyone)
        self._ids = {k: v for k, v in self._ids.items() if v in everyone}
        self._id_of_init = {}
        for group, found in ids.of_group.items():
            self._id_of_init[group.leader.id] = found
            for sighting in group.sightings:
                self._ids[key_of(sighting)] = found
        for sightings, found in ids.of_silent:
            for sighting in sightings:
                self._ids[key_of(sighting)] = found


class _Ids:
    """The ids of one pass."""

    def __init__(self) -> None:
        self.of_group: dict[Group, str] = {}
        self.of_silent: list[tuple[list[Sighting], str]] = []
        self.cgroups: dict[Group, dict[str, str]] = {}
        self.taken: set[str] = set()

    def take(self, group: Group, wished: str) -> bool:
        if wished in self.taken:
            return False
        self.taken.add(wished)
        self.of_group[group] = wished
        return True

    def take_silent(self, sightings: list[Sighting], wishes: Iterable[str]) -> None:
        for wished in wishes:
            if wished not in self.taken:
                self.taken.add(wished)
                self.of_silent.append((sightings, wished))
                return

    def main_cgroup(self, group: Group) -> str:
        """Return the cgroup path that people know a container by; "" if it has none of its own."""
        paths = self.cgroups[group]
        for controller in ("name=systemd", ""):
            if controller in paths:
                return paths[controller]
        return next(iter(paths.values()), "")


def _name_of(container: Container | None) -> str:
    return (container.name or container.id) if container is not None else "that is not shown"


def _shifted(container: Container, seconds: float) -> Container:
    """Return it as of a clock that was set; of what is there its sources tell the times anew."""
    started, last_seen = container.started, container.last_seen
    return replace(
        container,
        started=None if started is None else started + seconds,
        last_seen=None if last_seen is None else last_seen + seconds,
    )


def _own_words(sighting: Sighting) -> str:
    return id_of_sighting(sighting, with_cgroup=False)


def _whose(group: Group, kind: str, owner: Mapping[int, Group], host: HostFacts, ids: _Ids) -> str:
    """Say whose namespace a container is in: own, host, ``container:<id>``, or "" if unknown."""
    mine = getattr(group.leader.namespaces, kind)
    if mine is None:
        # OpenVZ's 2.6.32 shows no namespaces, and gives each of its containers all of them.
        return "own" if group.leader.envid not in (None, "0") and group.parent is None else ""
    if mine == getattr(host.namespaces, kind):
        return "host"
    return "own" if owner[mine] is group else f"container:{ids.of_group[owner[mine]]}"
