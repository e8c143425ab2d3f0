"""Splits the processes of a host into its own and those of containers.

What the kernel shows decides: mount namespace, root directory and process tree; no names.

The processes in one mount namespace form a set. From the top of the process tree down, each set
either belongs to what surrounds it (the same root: a service with private mounts), or is a
look-alike, or is a container of its own. Pure but for ``mounts``, which is called only to tell a
root filesystem from a sandbox over the host's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from agent.inventory.cgroup_names import engine_cgroup
from agent.inventory.groups import Group, Partition, cgroup_of, name_of, own_kinds
from agent.inventory.lookalikes import empty_root_look_alike, service_look_alike, unit_path
from agent.model import LookAlike
from collectors.catalogue import WRAPPERS

if TYPE_CHECKING:
    from agent.inventory.groups import Mounts, SetKey
    from collectors.facts import FileId, HostFacts, Process, ProcessTable, Sighting


def partition(
    host: HostFacts, table: ProcessTable, sightings: Iterable[Sighting], mounts: Mounts
) -> Partition:
    """Split the processes of a host; ``sightings`` are those that name an init process."""
    return _Splitter(host, table, sightings, mounts).split()


class _Splitter:
    def __init__(
        self, host: HostFacts, table: ProcessTable, sightings: Iterable[Sighting], mounts: Mounts
    ) -> None:
        self.host = host
        self.table = table
        self.mounts = mounts
        self.sightings: dict[int, list[Sighting]] = {}
        for sighting in sightings:
            process = table.get(sighting.init.pid) if sighting.init else None
            # A zombie has ended since its engine was asked.
            if process is not None and process.id == sighting.init and process.state not in "ZX":
                self.sightings.setdefault(process.pid, []).append(sighting)
        self.sets: dict[SetKey, list[Process]] = {}
        self.groups: dict[SetKey, Group | None] = {}
        self.look_alikes: list[LookAlike] = []
        self.by_root: dict[object, Group] = {}
        self.by_place: dict[object, list[Process]] = {}
        """By root directory and pid namespace; filled when first asked for."""

    def split(self) -> Partition:
        unreadable = []
        for process in self.table:
            key = self.key(process)
            if key is None:
                unreadable.append(process)
            else:
                self.sets.setdefault(key, []).append(process)
        for key in list(self.sets):
            self.decide(key)
        self.nest()
        home: dict[int, Group | None] = {}
        for key, processes in self.sets.items():
            group = self.groups[key]
            for process in processes:
                home[process.pid] = self.home_of(process, group)
        self.place_unreadable(unreadable, home)
        for process in self.table:
            group = home.get(process.pid)
            if group is not None:
                group.members.append(process)
        groups = tuple(dict.fromkeys(g for g in home.values() if g is not None))
        for group in groups:
            group.visitors = _visitors(group, self.table)
        self.look_alikes += self.chroots(home)
        return Partition(groups=groups, look_alikes=tuple(self.look_alikes), home=home)

    def key(self, process: Process) -> SetKey | None:
        """Return the key of the set that a process belongs to; None if that cannot be read."""
        envid = process.envid if process.envid not in ("", "0") else None
        mnt = process.namespaces.mnt
        # OpenVZ's 2.6.32 kernel has no /proc/<pid>/ns/mnt: the container's number is enough there.
        return (envid, mnt) if mnt is not None or envid is not None else None

    def decide(self, key: SetKey) -> Group | None:
        """Return the container of a set, after that of the set around it; None for the host."""
        if key in self.groups:
            return self.groups[key]
        self.groups[key] = None  # the host's, also where the process tree comes back to it
        if key == (None, self.host.namespaces.mnt):
            return None
        leader = self.leader(self.sets[key])
        parent = self.table.get(leader.ppid)
        while parent is not None and self.key(parent) == key:
            # The maker of the mount namespace waits in it for its child, the container.
            parent = self.table.get(parent.ppid)
        parent_key = self.key(parent) if parent is not None else None
        around = self.decide(parent_key) if parent_key is not None else None
        group = self.judge(key, leader, parent, around)
        self.groups[key] = group
        return group

    def leader(self, processes: list[Process]) -> Process:
        """Return the first process of a set: one that a collector names, pid 1, or the oldest."""
        alive = [p for p in processes if p.state not in "ZX"] or processes
        return min(
            alive,
            key=lambda p: (p.pid not in self.sightings, p.inner_pid != 1, p.id.start_ticks, p.pid),
        )

    def nest(self) -> None:
        """Find the parent of a container whose maker entered another container from outside.

        A shell that an engine's exec or attach started is a child of a process of the host, but it
        has the pid namespace or the root of the container that it is in. What an engine manages is
        left alone: it may well share the pid namespace of another container.
        """
        groups = [g for g in self.groups.values() if g is not None]
        groups.sort(key=lambda g: -g.leader.id.start_ticks)  # so that of several the oldest stays
        by_pid = {g.leader.namespaces.pid: g for g in groups if g.leader.inner_pid == 1}
        by_pid.pop(self.host.namespaces.pid, None)
        # Several containers may be on the host's root, or share another: such a root is no proof.
        roots = Counter([self.host.root, *(g.leader.root for g in groups)])
        by_root = {g.leader.root: g for g in groups if roots[g.leader.root] == 1}
        for group in groups:
            if group.parent is not None or _is_managed(group.sightings):
                continue
            maker: Process | None = group.leader
            while maker is not None and self.key(maker) == self.key(group.leader):
                around = by_pid.get(maker.namespaces.pid)
                if around is None and maker.root not in (None, group.leader.root):
                    around = by_root.get(maker.root)
                if around is not None and not around.within(group):
                    group.parent = around
                    break
                maker = self.table.get(maker.ppid)

    def judge(
        self, key: SetKey, leader: Process, parent: Process | None, around: Group | None
    ) -> Group | None:
        """Return the container that a set of processes is, or belongs to; None for the host."""
        envid = key[0]
        sightings = [s for p in self.sets[key] for s in self.sightings.get(p.pid, ())]
        if envid is not None and around is None:
            return self.group_of_envid(envid) or self.make_group(leader, around, sightings)
        if _is_managed(sightings):
            return self.make_group(leader, around, sightings)
        around_root, around_pid = self.root_and_pid_namespace(around)
        if leader.root is None or (around is not None and around_root is None):
            return around  # the root of a process that is ending cannot be read
        if leader.root == around_root:
            self.note_private_mounts(leader, parent, around)
            return around
        same = self.by_root.get((leader.root, leader.namespaces.pid))
        if same is not None and leader.namespaces.pid != around_pid:
            return same
        programs = [p for p in self.sets[key] if p.root != around_root]
        programs += self.moved_on(leader, around_pid)
        look_alike = service_look_alike(leader, parent, self.manager_of(around), around_pid)
        if look_alike is not None and self.is_beside(leader, around_root):
            look_alike = None
        look_alike = look_alike or self.sandbox_look_alike(leader, programs, sightings)
        if look_alike is None:
            return self.make_group(leader, around, sightings)
        if around is None:
            self.look_alikes.append(look_alike)
        return around

    def is_beside(self, leader: Process, around_root: FileId | None) -> bool:
        """Return whether a unit has processes on the root around it, too, besides a leader's.

        With RootDirectory= all have that one. What made the leader's root was no manager then, but
        a process of the unit, which may have ended: the manager adopts what it leaves.
        """
        unit = unit_path(cgroup_of(leader))
        return around_root is not None and any(
            process.root == around_root and unit_path(cgroup_of(process)) == unit
            for process in self.table
        )

    def make_group(self, leader: Process, around: Group | None, sightings: list[Sighting]) -> Group:
        group = Group(leader=leader, parent=around, sightings=sightings)
        self.by_root[leader.root, leader.namespaces.pid] = group
        return group

    def group_of_envid(self, envid: str) -> Group | None:
        """Return the group of an OpenVZ container that another of its mount namespaces made."""
        groups = (group for key, group in self.groups.items() if key[0] == envid)
        return next((group for group in groups if group is not None), None)

    def root_and_pid_namespace(self, around: Group | None) -> tuple[FileId | None, int | None]:
        """Return the root directory and the pid namespace of a container, or of the host."""
        if around is None:
            return self.host.root, self.host.namespaces.pid
        return around.leader.root, around.leader.namespaces.pid

    def home_of(self, process: Process, group: Group | None) -> Group | None:
        """Return the group that one process of a set belongs to.

        The maker of the mount namespace may still be in it, on the root of what surrounds it, as
        ``unshare --root`` is while its child runs.
        """
        if group is None or process is group.leader or process.root is None:
            return group
        around_root, _ = self.root_and_pid_namespace(group.parent)
        return group.parent if process.root == around_root != group.leader.root else group

    def manager_of(self, around: Group | None) -> Process | None:
        """Return the first process of a container, or of the host: its service manager, if any."""
        return around.leader if around is not None else self.table.get(1)

    def moved_on(self, leader: Process, around_pid: int | None) -> list[Process]:
        """Return the processes on a leader's root, in its pid namespace, but with other mounts."""
        if leader.namespaces.pid == around_pid:
            return []
        if not self.by_place:
            for process in self.table:
                place = (process.root, process.namespaces.pid)
                self.by_place.setdefault(place, []).append(process)
        same_place = self.by_place.get((leader.root, leader.namespaces.pid), ())
        return [p for p in same_place if p.namespaces.mnt != leader.namespaces.mnt]

    def sandbox_look_alike(
        self, leader: Process, processes: list[Process], sightings: list[Sighting]
    ) -> LookAlike | None:
        mounts = self.mounts(leader.pid)
        if mounts is None:
            return None
        return empty_root_look_alike(self.host, leader, processes, mounts, _engine(sightings))

    def note_private_mounts(
        self, leader: Process, parent: Process | None, around: Group | None
    ) -> None:
        """Record what a set on the host's own root is; inside a container it is not recorded."""
        if around is not None or leader.argv[1:2] == ("init",):
            return
        sightings = self.sightings.get(leader.pid, [])
        unit = service_look_alike(leader, parent, self.table.get(1), leader.namespaces.pid)
        kinds = own_kinds(self.host, leader)
        kind = "service" if unit else "sandbox" if kinds or sightings else "mounts"
        own = ", ".join(("mounts", *kinds))
        self.look_alikes.append(
            LookAlike(
                kind=kind,
                name=unit.name if unit else name_of(leader),
                reason=f"of its own are only {own}; it runs on the host's root filesystem",
                pid=leader.pid,
                cgroup=cgroup_of(leader),
                engine=_engine(sightings),
            )
        )

    def chroots(self, home: Mapping[int, Group | None]) -> list[LookAlike]:
        """Return the processes of the host that run in a chroot, one for each root directory."""
        by_root: dict[object, LookAlike] = {}
        if self.host.root is None:
            return []
        for process in self.table:
            of_host = (
                home.get(process.pid, self) is None
                and process.namespaces.mnt == self.host.namespaces.mnt
                and not own_kinds(self.host, process)  # those are sandboxes
            )
            if of_host and process.root not in (None, self.host.root, *by_root):
                by_root[process.root] = LookAlike(
                    kind="chroot",
                    name=name_of(process),
                    reason="a changed root directory in the host's own mount namespace",
                    pid=process.pid,
                )
        return list(by_root.values())

    def by_cgroup(self) -> dict[str, Group]:
        """Return the groups by the cgroup that an engine made; of nested ones the outer."""
        groups = [g for g in self.groups.values() if g is not None]
        groups.sort(key=lambda g: (g.parent is not None, g.leader.id.start_ticks))
        by_path: dict[str, Group] = {}
        for group in groups:
            path = engine_cgroup(group.leader.cgroups, group.sightings)
            if path:
                by_path.setdefault(path, group)
        return by_path

    def place_unreadable(self, processes: list[Process], home: dict[int, Group | None]) -> None:
        """Find the home of the processes whose namespaces could not be read.

        A zombie belongs with its parent. A process that is about to end has no namespaces any
        more: it belongs to the container whose cgroup it is in. Without permission to read, a
        container is known by an init that a collector names, or by a pid namespace of its own
        together with a cgroup that only engines make; its other processes by their cgroup. What
        has no arguments any more is ending, and makes none.
        """
        by_path = self.by_cgroup()
        for process in sorted(processes, key=lambda p: p.id.start_ticks):
            if process.pid in self.sightings:
                group = Group(leader=process, sightings=self.sightings[process.pid], by_cgroup=True)
                home[process.pid] = group
                path = engine_cgroup(process.cgroups, group.sightings)
                if path:
                    by_path[path] = group
        for process in sorted(processes, key=lambda p: p.id.start_ticks):
            if process.pid in home:
                continue
            if process.state in "ZX":
                home[process.pid] = home.get(process.ppid)
                continue
            path = engine_cgroup(process.cgroups, ())
            if path in by_path:
                home[process.pid] = by_path[path]
            elif path and len(process.ns_pids) > 1 and process.argv:
                home[process.pid] = by_path[path] = Group(leader=process, by_cgroup=True)
            else:
                home[process.pid] = home.get(process.ppid)


def _is_managed(sightings: Iterable[Sighting]) -> bool:
    """Return whether an engine manages the container, instead of only wrapping a program."""
    return any(sighting.engine not in WRAPPERS for sighting in sightings)


def _engine(sightings: Sequence[Sighting]) -> str:
    return sightings[0].engine if sightings else "none"


def _visitors(group: Group, table: ProcessTable) -> frozenset[int]:
    """Return the pids of the processes that entered a container from outside, and their children.

    Their parent is an engine's shim or a shell of the host. Where the container has no pid
    namespace of its own, an orphan has a parent outside, too. It is recognised by its session,
    which it shares with others of the container; a daemon by having no terminal and the parent
    that orphans get: what started the container, or the first process of the namespace.
    """
    inside = {p.pid: p for p in group.members}
    children: dict[int, list[int]] = {}
    for process in group.members:
        children.setdefault(process.ppid, []).append(process.pid)
    own_sessions = {
        p.session for p in group.members if p.pid == group.leader.pid or p.ppid in inside
    }
    visitors: set[int] = set()
    queue = [
        p.pid
        for p in group.members
        if p.pid != group.leader.pid
        and p.ppid not in inside
        and (
            group.leader.inner_pid == 1
            or not (p.session in own_sessions or _is_orphan(p, group.leader, table))
        )
    ]
    while queue:
        pid = queue.pop()
        if pid not in visitors and pid != group.leader.pid:
            visitors.add(pid)
            queue += children.get(pid, ())
    return frozenset(visitors)


def _is_orphan(process: Process, leader: Process, table: ProcessTable) -> bool:
    """Return whether a process may be a daemon of a container that shares the pid namespace."""
    if process.tty:
        return False
    parent = table.get(process.ppid)
    if parent is None or parent.pid == leader.ppid:
        return True
    return parent.inner_pid == 1 and parent.namespaces.pid == process.namespaces.pid
