"""The inventory: remembers the containers of the host from one pass to the next.

A container keeps the id that it got when it was first seen; after its removal it is shown as it
was last, until the retention is over.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.inventory.identity import (
    Ownership,
    id_of_group,
    id_of_sighting,
    is_named,
    own_cgroups,
)
from agent.inventory.lookalikes import (
    cgroup_look_alikes,
    each_once,
    inner_look_alikes,
    namespace_look_alikes,
    session_look_alikes,
)
from agent.inventory.merge import Key, assign, container_of, key_of, owners
from agent.inventory.newcomers import withheld_seconds
from agent.inventory.partition import partition
from agent.model import as_gone, as_last_judged, is_running
from collectors.facts import ALIVE, State
from collectors.kernel.cgroups import SYSTEMD, UNIFIED

if TYPE_CHECKING:
    from agent.inventory.groups import Group, Mounts, Partition
    from agent.inventory.newcomers import Asked
    from agent.model import Container, LookAlike
    from collectors.facts import HostFacts, ProcessTable, Sighting

log = logging.getLogger(__name__)

Wanted = Callable[["Container"], bool]
"""Returns whether a container is to be shown at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryPass:
    """The outcome of one pass."""

    containers: Mapping[str, Container]
    """By id, also those that are gone."""
    groups: Mapping[str, Group]
    """The processes of those that run, by id."""
    look_alikes: tuple[LookAlike, ...]
    nested: Mapping[str, int]
    """How many containers are nested directly in a container, by its id."""
    dropped: int = 0
    """Containers that were left out because of the cap."""
    withheld: frozenset[int] = frozenset()
    """The processes of new containers that an engine may still name; those are not shown yet."""
    settles_in: float | None = None
    """Seconds until the first of those is to be looked at again; None if there is none."""


class Inventory:
    """Keeps the ids; ``update`` takes in the facts of one pass."""

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
        self._id_of_process: dict[object, str] = {}
        """By what ``_traces`` returns: who was in it, and in which sessions of its own."""
        self._continued: set[str] = set()
        """Ids of those that no engine names, and that have processes of the last pass."""
        self._last: dict[str, Container] = {}
        self._last_update = 0.0
        self.expires = float("inf")
        """When the first of those that are gone will be forgotten, in seconds since the epoch."""

    def update(
        self,
        host: HostFacts,
        table: ProcessTable,
        sightings: Sequence[Sighting],
        mounts: Mounts,
        *,
        now: float,
        empty_cgroups: Iterable[str] = (),
        asked: Asked | None = None,
    ) -> InventoryPass:
        """Return the outcome of one pass. ``mounts`` is called for few processes, if any.

        ``asked`` says what the engines could know when they were asked: a new container that none
        of them names, but may still, is withheld. Without it nothing is.
        """
        parts = partition(host, table, (s for s in sightings if s.init is not None), mounts)
        without_group = assign(parts.groups, sightings)
        waits = self._withheld(parts, table, asked) if asked is not None else {}
        parts = replace(parts, groups=tuple(g for g in parts.groups if g not in waits))
        ids = self._assign_ids(parts, without_group, table)
        containers = {
            container.id: self._carry_over(container, host)
            for container in _containers(host, parts, ids)
            if self._wanted(container)
        }
        shown = self._first(containers)
        self._log_dropped([c for key, c in containers.items() if key not in shown])
        all_shown = {**shown, **self._gone(containers, now)}
        self._remember(all_shown, ids)
        self._last_update = now
        return InventoryPass(
            containers=all_shown,
            groups={
                ids.of_group[group]: group for group in parts.groups if ids.of_group[group] in shown
            },
            look_alikes=each_once(
                (
                    *parts.look_alikes,
                    *namespace_look_alikes(host, table, parts),
                    *session_look_alikes(table, parts),
                    *cgroup_look_alikes(table, parts, empty_cgroups),
                    *inner_look_alikes(
                        parts,
                        {
                            g: (_name_of(all_shown.get(ids.of_group[g])), ids.main_cgroup(g))
                            for g in parts.groups
                        },
                    ),
                )
            ),
            nested=Counter(c.parent_id for c in shown.values() if c.parent_id),
            dropped=len(containers) - len(shown),
            withheld=frozenset(process.pid for group in waits for process in group.members),
            settles_in=min(waits.values(), default=None),
        )

    def judged(self, containers: Mapping[str, Container]) -> None:
        """Take the containers back with their verdicts, which are kept as long as they are."""
        self._last = dict(containers)

    def shift(self, seconds: float) -> None:
        """Adjust all times to a clock that was set by so many seconds."""
        self._last_update += seconds
        self.expires += seconds
        self._last = {key: _shifted(c, seconds) for key, c in self._last.items()}

    def _assign_ids(
        self, parts: Partition, without_group: Sequence[list[Sighting]], table: ProcessTable
    ) -> _Ids:
        """Return the id of every container: the one that it had, else a new one."""
        ids = _Ids()
        self._continued = set()
        ownership = Ownership(parts, {p.pid: p.cgroups for p in table})
        ownership.adopt(parts.groups)
        new = []
        for group in parts.groups:
            earlier = self._earlier_id(group)
            ids.cgroups[group] = own_cgroups(group, ownership, self._cgroups_of(group, earlier))
            if earlier is None or not ids.take(group, earlier):
                new.append(group)
            elif not group.sightings:
                self._continued.add(earlier)
        unknown = []
        for sightings in without_group:
            earlier = next((self._ids[k] for k in map(key_of, sightings) if k in self._ids), None)
            if earlier is None or not ids.take_silent(sightings, (earlier,)):
                unknown.append(sightings)
        wanted = {group: id_of_group(group, ids.cgroups[group]) for group in new}
        # Of two with one name, one has LXC's suffix: the other's id is its cgroup's own name.
        suffixed = [g for g in new if wanted[g] != ids.main_cgroup(g) != ""]
        for group in new:
            if group not in suffixed:
                ids.take_first(group, (wanted[group], *_other_ids(group, ids.main_cgroup(group))))
        for sightings in unknown:
            by_cgroup = id_of_sighting(sightings[0])
            ids.take_silent(sightings, (by_cgroup, id_of_sighting(sightings[0], with_cgroup=False)))
        for group in suffixed:
            ids.take_first(group, (wanted[group], *_other_ids(group, ids.main_cgroup(group))))
        return ids

    def _withheld(self, parts: Partition, table: ProcessTable, asked: Asked) -> dict[Group, float]:
        """Return the groups that are withheld, with the seconds until each is looked at again."""
        return {
            group: seconds
            for group in parts.groups
            if (seconds := withheld_seconds(group, table, asked)) > 0
            and self._earlier_id(group) is None
        }

    def _earlier_id(self, group: Group) -> str | None:
        known = self._id_of_process
        keys = [key_of(sighting) for sighting in group.sightings]
        same = known.get(group.leader.id)
        before = self._last.get(same) if same is not None else None
        if before is not None and (before.engine, before.instance, before.engine_id) in keys:
            return same  # its engine may run another under the same name
        for key in keys:
            if key in self._ids:
                return self._ids[key]
        return next((known[trace] for trace in _traces(group, known) if trace in known), None)

    def _cgroups_of(self, group: Group, container_id: str | None) -> Mapping[str, str]:
        """Return the own cgroups that a container had, if its first process is still the same."""
        before = self._last.get(container_id) if container_id is not None else None
        return before.cgroups if before is not None and before.init == group.leader.id else {}

    def _first(self, containers: dict[str, Container]) -> dict[str, Container]:
        """Return at most as many as are shown: what runs first, and of that what runs longest."""
        if len(containers) <= self._cap:
            return containers
        order = sorted(
            containers.items(), key=lambda item: (item[1].state not in ALIVE, item[1].started or 0)
        )
        return dict(order[: self._cap])

    def _carry_over(self, container: Container, host: HostFacts) -> Container:
        """Return a container with what was known of it and its sources do not tell any more."""
        before = self._last.get(container.id)
        if before is None or before.gone:
            return container
        if container.init is not None and container.seen_by == ("kernel",):
            same_life = container.init == before.init or container.id in self._continued
            if not same_life:
                return container
            if not before.engine_id:
                # Its first process may have ended, while others live on.
                return replace(container, started=before.started)
            # Its engine stopped answering: what it told, such as the name, stays.
            return replace(
                before,
                state=State.RUNNING,
                init=container.init,
                processes=container.processes,
                cgroup=container.cgroup,
                cgroups=container.cgroups,
                last_seen=None,
                seen_by=container.seen_by,
            )
        again = container.created not in (None, before.created)  # another one under its name
        if not again:
            container = replace(container, state=_known_state(container, before, host))
        if container.init is not None:
            return container  # it runs, so it is judged anew
        return replace(
            as_last_judged(container, before),
            style_changes=before.style_changes,
            last_seen=None if is_running(container) else self._last_seen(before),
        )

    def _last_seen(self, container: Container) -> float | None:
        """Return when a container was last seen to run, up to now; None if it never was."""
        return self._last_update if is_running(container) else container.last_seen

    def _log_dropped(self, dropped: Sequence[Container]) -> None:
        """Log which containers are left out, whenever their number has changed."""
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

    def _gone(self, containers: Mapping[str, Container], now: float) -> dict[str, Container]:
        """Return what was removed and is still retained, the most recently removed first.

        The retention begins when it last ran: what never did is not kept. What was shown under
        another id until its engine told its name is not gone.
        """
        running = {c.init for c in containers.values()} - {None}
        retained = []
        for container in self._last.values():
            if container.id not in containers and container.init not in running:
                when = self._last_seen(container) or container.finished
                if when is not None and now - when <= self._retention:
                    retained.append(as_gone(container, when))
        retained.sort(key=lambda c: -(c.last_seen or 0.0))
        del retained[self._retained :]
        oldest = retained[-1].last_seen or 0.0 if retained else float("inf")
        self.expires = oldest + self._retention
        return {c.id: c for c in retained}

    def _remember(self, containers: Mapping[str, Container], ids: _Ids) -> None:
        self._last = dict(containers)
        self._ids = {key: one for key, one in self._ids.items() if one in containers}
        known, self._id_of_process = self._id_of_process, {}
        for group, container_id in ids.of_group.items():
            traces = dict.fromkeys(_traces(group, known), container_id)
            self._id_of_process = {**traces, **self._id_of_process}
            for sighting in group.sightings:
                self._ids[key_of(sighting)] = container_id
        for sightings, container_id in ids.of_silent:
            for sighting in sightings:
                self._ids[key_of(sighting)] = container_id


def _containers(host: HostFacts, parts: Partition, ids: _Ids) -> Iterator[Container]:
    """Yield the containers of one pass: those with processes, then those without."""
    nets, pids = owners(parts.groups, "net"), owners(parts.groups, "pid")
    for group in parts.groups:
        yield container_of(
            ids.of_group[group],
            group.sightings,
            group,
            host,
            cgroups=ids.cgroups[group],
            cgroup=ids.main_cgroup(group),
            parent_id=ids.of_group.get(group.parent, "") if group.parent is not None else "",
            network=_whose(group, "net", nets, host, ids),
            pid_namespace=_whose(group, "pid", pids, host, ids),
        )
    for sightings, container_id in ids.of_silent:
        yield container_of(container_id, sightings, None, host)


class _Ids:
    """The ids of one pass, no two the same."""

    def __init__(self) -> None:
        self.of_group: dict[Group, str] = {}
        """Of the containers that have processes."""
        self.of_silent: list[tuple[list[Sighting], str]] = []
        """Of the containers that have none."""
        self.cgroups: dict[Group, dict[str, str]] = {}
        self._taken: set[str] = set()

    def take(self, group: Group, wanted: str) -> bool:
        """Give a group an id; return False where another container has it."""
        if wanted in self._taken:
            return False
        self._taken.add(wanted)
        self.of_group[group] = wanted
        return True

    def take_first(self, group: Group, wanted: Iterable[str]) -> None:
        """Give a group the first id that is free: the last one wanted is."""
        any(self.take(group, container_id) for container_id in wanted)

    def take_silent(self, sightings: list[Sighting], wanted: Iterable[str]) -> bool:
        """Give a container without processes the first id that is free; return False for none."""
        for container_id in wanted:
            if container_id not in self._taken:
                self._taken.add(container_id)
                self.of_silent.append((sightings, container_id))
                return True
        return False

    def main_cgroup(self, group: Group) -> str:
        """Return the cgroup path that is shown of a container; "" if it has none of its own."""
        paths = self.cgroups[group]
        for controller in (SYSTEMD, UNIFIED):
            if controller in paths:
                return paths[controller]
        return next(iter(paths.values()), "")


def _other_ids(group: Group, main_cgroup: str) -> Iterator[str]:
    """Yield the ids of a new container whose usual one another has."""
    if main_cgroup and is_named(main_cgroup, group.sightings):
        yield main_cgroup
    for sighting in group.sightings[:1]:
        yield id_of_sighting(sighting, with_cgroup=False)
    pid, start_ticks = group.leader.id
    yield f"/{group.sightings[0].engine if group.sightings else 'none'}/{pid}-{start_ticks}"


def _known_state(container: Container, before: Container, host: HostFacts) -> State:
    """Return a container's state, by what it was before where its engine does not tell now.

    An engine may keep no note of an end, and a runtime prepares a container for its next life as it
    did for the first: what has run is not "created" any more.
    """
    told = container.state
    has_run = before.state not in (State.CREATED, State.UNKNOWN)
    if told is State.CREATED and has_run:
        return State.EXITED if container.init is None else State.RUNNING
    if told is State.UNKNOWN and container.init is None and host.all_processes:
        if before.state not in ALIVE:
            return before.state
        return State.EXITED if before.init is not None else State.UNKNOWN
    return told


def _name_of(container: Container | None) -> str:
    return (container.name or container.id) if container is not None else "that is not shown"


def _traces(group: Group, known: Collection[object]) -> Iterator[object]:
    """Yield what shows in a later pass that a group is the same container, the surest first.

    Its first process; without a pid namespace of its own others may outlive that, or the children
    that they have since. A process takes neither into another container: that has other mounts.
    """
    yield group.leader.id
    if group.leader.inner_pid == 1:
        return  # its kernel ends all others with it
    pids = {process.pid for process in group.members}
    for process in group.members:
        yield process.id, process.namespaces.mnt
        session = (process.session, process.namespaces.mnt, process.root)
        if process.session in pids or session in known:
            yield session


def _shifted(container: Container, seconds: float) -> Container:
    """Return a container with the times that nothing will tell again as of a clock that was set."""
    started, last_seen = container.started, container.last_seen
    return replace(
        container,
        started=None if started is None else started + seconds,
        last_seen=None if last_seen is None else last_seen + seconds,
    )


def _whose(group: Group, kind: str, owner: Mapping[int, Group], host: HostFacts, ids: _Ids) -> str:
    """Return whose namespace a container is in: own, host, container:<id>, or "" if unknown."""
    number = getattr(group.leader.namespaces, kind)
    if number is None:
        # OpenVZ's 2.6.32 shows no namespaces, but gives each of its containers all of them.
        return "own" if group.leader.envid not in (None, "0") and group.parent is None else ""
    if number == getattr(host.namespaces, kind):
        return "host"
    return "own" if owner[number] is group else f"container:{ids.of_group[owner[number]]}"
