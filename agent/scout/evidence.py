"""Reads what the verdict on each container is based on, and keeps it while nothing seems to change.

Reading inside a container is expensive, and an untrusted process can block it. So what was read is
kept while the container's processes stay the same, and is read again only now and then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.classifier.claims import claimants, unproven
from agent.classifier.identity import identify
from agent.classifier.jobs import cron_tables, sshd_configuration
from agent.classifier.programs import Role
from agent.scout.limits import LimitReader
from agent.scout.sockets import shown_sockets
from collectors.facts import (
    Descriptors,
    FileId,
    FilesystemUsage,
    Isolation,
    Limits,
    Listener,
    Mount,
    NetworkFacts,
    Process,
    RootFacts,
    ServiceFiles,
)
from collectors.hostfs import HostReadError, or_none
from collectors.kernel.descriptors import read_descriptors, socket_owners
from collectors.kernel.filesystem import (
    read_container_filesystem,
    read_host_mounts,
    upper_directory,
)
from collectors.kernel.isolation import read_isolation
from collectors.kernel.network import read_listeners, read_network
from collectors.kernel.processes import read_mounts
from collectors.kernel.rootfs import read_root
from collectors.kernel.service_files import read_cron_jobs, read_sshd_rules

if TYPE_CHECKING:
    from agent.inventory.groups import Group
    from agent.model import Container, Socket
    from collectors.facts import HostFacts, ProcessId
    from collectors.hostfs import HostFS
    from collectors.kernel.descriptors import SocketOwners

_REFRESH = 600.0
"""Seconds after which everything is read again though nothing seems to have changed."""

_FILESYSTEM_REFRESH = 50.0
"""The same for the usage of its filesystem: once in each full pass."""

_YOUNG = 30.0
"""A container that started less than so many seconds ago is read again each time its age has
doubled: its services open their sockets, make their users, write their files."""

_SETTLED = 3.0
"""The same for one whose processes changed: what is new in it opens its sockets. It is read again
for as long as a young one while something in it claims to be a service and does nothing yet."""

_YOUNGEST = 1.0
"""Shortest time in seconds between two such readings."""

_REAPED_WITHIN = 30.0
"""Seconds from the start of a process after which it counts as unreaped if it is a zombie."""

_NEVER = float("inf")

_NAME_SERVER_OF_DOCKER = "127.0.0.11"
"""Where dockerd listens in the network namespace of a container: libnetwork's resolver.go."""


@dataclass(slots=True)
class CachedEvidence:
    """What was read of a container, and when. Times are in seconds since the epoch."""

    init: ProcessId
    signature: tuple[object, ...]
    read_at: float
    due: float
    """When it is to be read again though nothing seems to have changed."""
    mounts: tuple[Mount, ...] | None
    root: RootFacts | None
    network: NetworkFacts | None
    isolation: Isolation
    limits: Limits = Limits()
    filesystem: FilesystemUsage | None = None
    filesystem_at: float = 0.0
    descriptors: Mapping[int, Descriptors] = field(default_factory=dict)
    """By pid, of the processes whose descriptors can refute what they claim to be."""
    files: ServiceFiles = field(default_factory=ServiceFiles)
    """What the tables of its cron and the configuration of its sshd say."""
    sockets: tuple[Socket, ...] = ()
    """Its sockets of TCP and UDP on which something can arrive, also in the host's network."""
    changed_at: float = 0.0
    """When its processes were last seen to have changed; 0 where that was not seen."""


class EvidenceReader:
    """Reads and keeps the evidence of every container.

    ``skip`` names those that are not to be read, as they hung an earlier scout; ``begin`` is called
    with a container's name of that form before it is read.
    """

    def __init__(
        self,
        host: HostFS,
        *,
        skip: frozenset[str] = frozenset(),
        begin: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._host = host.with_tally()
        self.tally = self._host.tally
        self._skip = skip
        self._begin = begin
        self.limits = LimitReader(self._host)
        self._cache: dict[str, CachedEvidence] = {}
        self._first_due = _NEVER
        self._mounts: dict[int, tuple[Mount, ...] | None] = {}
        self._host_mounts: Mapping[str, Mount] | None = None
        self._roots: dict[FileId, RootFacts] = {}
        self._networks: dict[int, NetworkFacts] = {}
        self._host_listeners: tuple[Listener, ...] | None = None

    def mounts(self, pid: int) -> tuple[Mount, ...] | None:
        """Read the mounts of a process, once for each pass; None when they cannot be read."""
        if pid not in self._mounts:
            try:
                self._mounts[pid] = read_mounts(self._host, pid)
            except HostReadError:
                self._mounts[pid] = None
        return self._mounts[pid]

    def read(
        self, container: Container, group: Group, facts: HostFacts, now: float
    ) -> CachedEvidence:
        """Return the evidence of a running container, a new object if it was read again."""
        signature = _signature(container, group)
        evidence = self._cache.get(container.id)
        outdated = (
            evidence is None
            or evidence.init != group.leader.id
            or evidence.signature != signature
            or now - evidence.read_at >= _REFRESH
            or now >= evidence.due
        )
        if evidence is None or outdated:
            evidence = self._read(container, group, evidence, facts, now)
        if _subject(group) not in self._skip:
            within = group.leader.cgroups
            limits = self.limits.read(
                container.id, container.cgroups, within, facts, again=outdated
            )
            if limits != evidence.limits:
                evidence = replace(evidence, limits=limits)
        self._cache[container.id] = evidence
        self._refresh_filesystem(evidence, facts, now)
        return evidence

    def is_due(self, now: float) -> bool:
        """Return whether a container is to be read again: for its age, or for a changed limit."""
        return self.limits.drain() or self._first_due <= now

    def due(self, now: float) -> set[str]:
        """Return the ids of the containers that are to be read again, as ``is_due`` found."""
        aged = {key for key, evidence in self._cache.items() if evidence.due <= now}
        return aged | self.limits.outdated

    def shift(self, seconds: float) -> None:
        """Move all times along with a clock that was set by so many seconds."""
        for evidence in self._cache.values():
            evidence.read_at += seconds
            evidence.due += seconds
            evidence.changed_at += seconds
            evidence.filesystem_at += seconds
        self._first_due += seconds

    def unmeasured(self) -> dict[str, str]:
        """Return, by container, the upper directories of overlays whose use no quota tells."""
        found = {}
        for key, evidence in self._cache.items():
            root = next((m for m in reversed(evidence.mounts or ()) if m.target == "/"), None)
            upper = upper_directory(root) if root is not None else ""
            if upper and (evidence.filesystem is None or evidence.filesystem.used_bytes is None):
                found[key] = upper
        return found

    def retain(self, ids: Collection[str]) -> None:
        """Forget all containers but these."""
        self._cache = {key: e for key, e in self._cache.items() if key in ids}
        self.limits.retain(ids)

    def begin_pass(self) -> None:
        """Note which limits have changed until now."""
        self.limits.drain()

    def end_pass(self) -> None:
        """Forget what is kept for the time of one pass, so that nothing is read twice in it."""
        for kept in (self._mounts, self._roots, self._networks):
            kept.clear()
        self.limits.end_pass()
        self._host_mounts = self._host_listeners = None
        self._first_due = min((e.due for e in self._cache.values()), default=_NEVER)

    def _read(
        self,
        container: Container,
        group: Group,
        before: CachedEvidence | None,
        facts: HostFacts,
        now: float,
    ) -> CachedEvidence:
        signature = _signature(container, group)
        changed_at = before.changed_at if before is not None else 0.0
        if before is not None and before.signature[0] != signature[0]:
            changed_at = now
        leader = group.leader
        subject = _subject(group)
        mounts = root = network = None
        sockets: tuple[Socket, ...] = ()
        isolation = Isolation()
        descriptors: Mapping[int, Descriptors] = {}
        files = ServiceFiles()
        if subject not in self._skip:
            self._begin(subject)
            mounts = self.mounts(leader.pid)
            root = self._root(leader, mounts)
            network, sockets = self._network(group, facts)
            isolation = read_isolation(self._host, facts, leader, mounts or ())
            descriptors = self._descriptors(group)
            files = self._service_files(group)
        due = min(_due_again(container, now), _zombies_due(group, facts, now))
        settles = _YOUNG if unproven(group.members, descriptors) else _SETTLED
        if now - changed_at < settles:
            due = min(due, now + max(now - changed_at, _YOUNGEST))
        return CachedEvidence(
            init=leader.id,
            signature=signature,
            read_at=now,
            due=due,
            mounts=mounts,
            root=root,
            network=network,
            isolation=isolation,
            descriptors=descriptors,
            files=files,
            sockets=sockets,
            changed_at=changed_at,
        )

    def _descriptors(self, group: Group) -> Mapping[int, Descriptors]:
        opened = {
            pid: or_none(read_descriptors, self._host, pid)
            for pid in claimants(group.members, group.visitors)
        }
        return {pid: known for pid, known in opened.items() if known is not None}

    def _service_files(self, group: Group) -> ServiceFiles:
        """Read the tables of its cron and the rules of its sshd, where it has such."""
        pid = group.leader.pid
        tables = cron_tables(group.members, group.visitors)
        configuration = sshd_configuration(group.members, group.visitors)
        return ServiceFiles(
            jobs=or_none(read_cron_jobs, self._host, pid, tables) if tables is not None else None,
            sshd=or_none(read_sshd_rules, self._host, pid, configuration)
            if configuration
            else None,
        )

    def _refresh_filesystem(self, evidence: CachedEvidence, facts: HostFacts, now: float) -> None:
        """Read the usage of its filesystem: it changes while nothing else of a container does."""
        if now - evidence.filesystem_at < _FILESYSTEM_REFRESH or evidence.mounts is None:
            return
        evidence.filesystem_at = now
        try:
            evidence.filesystem = read_container_filesystem(
                self._host, facts, evidence.init.pid, evidence.mounts, self._mounts_of_host
            )
        except HostReadError:
            evidence.filesystem = None

    def _mounts_of_host(self) -> Mapping[str, Mount]:
        if self._host_mounts is None:
            self._host_mounts = read_host_mounts(self._host)
        return self._host_mounts

    def _root(self, leader: Process, mounts: tuple[Mount, ...] | None) -> RootFacts | None:
        """Read the root filesystem, once for all containers that have the same root directory."""
        if leader.root is not None and leader.root in self._roots:
            return self._roots[leader.root]
        try:
            root = read_root(self._host, leader.pid, mounts or ())
        except HostReadError:
            return None
        if leader.root is not None:
            self._roots[leader.root] = root
        return root

    def _network(
        self, group: Group, facts: HostFacts
    ) -> tuple[NetworkFacts | None, tuple[Socket, ...]]:
        """Read the network namespace, with the sockets that the container itself has open.

        It is read once for all that share it. Of the host's own there are only the sockets.
        """
        leader = group.leader
        namespace = leader.namespaces.net
        if namespace is None:
            return None, ()
        if namespace == facts.namespaces.net:
            return None, self._sockets_in_host_network(group)
        if namespace not in self._networks:
            try:
                self._networks[namespace] = read_network(self._host, leader.pid)
            except HostReadError:
                return None, ()
        network = self._networks[namespace]
        owners = self._owners(group, network.listeners)
        own = tuple(
            s
            for s in network.listeners
            if s.inode not in owners.elsewhere and s.address != _NAME_SERVER_OF_DOCKER
        )
        return replace(network, listeners=own), shown_sockets(own, owners.pids, group.members)

    def _sockets_in_host_network(self, group: Group) -> tuple[Socket, ...]:
        """Return its sockets among those of the host: those of which the owner is seen."""
        if self._host_listeners is None:
            pid = group.leader.pid
            self._host_listeners = or_none(read_listeners, self._host, pid) or ()
        owners = self._owners(group, self._host_listeners)
        own = [s for s in self._host_listeners if s.inode in owners.pids]
        return shown_sockets(own, owners.pids, group.members)

    def _owners(self, group: Group, listeners: Iterable[Listener]) -> SocketOwners:
        leader = group.leader
        pids = [p.pid for p in group.members if p is not leader]
        # A service manager holds the sockets of its services as well (systemd.socket(5)).
        is_manager = identify(leader).role is Role.MANAGER
        pids.insert(len(pids) if is_manager else 0, leader.pid)
        inodes = [s.inode for s in listeners if s.inode is not None]
        return socket_owners(self._host, pids, inodes)


def _subject(group: Group) -> str:
    """Return the name by which a container that hung a scout is known to the next one."""
    return f"container {group.leader.pid} {group.leader.id.start_ticks}"


def _signature(container: Container, group: Group) -> tuple[object, ...]:
    """Return what the verdict depends on and each pass knows: if it differs, all is read again.

    Its own processes, without visitors, come first.
    """
    processes = sorted(
        (p.pid in group.visitors, p.id, p.exe, p.argv, p.uid, p.session) for p in group.members
    )
    return (
        tuple(process for process in processes if not process[0]),
        tuple(process for process in processes if process[0]),
        container.engine,
        container.name,
        container.image,
        container.state,
        container.restarts,
        container.health,
    )


def _due_again(container: Container, now: float) -> float:
    """Return when a container that was read now is read again because it is young."""
    if container.started is None:
        return _NEVER
    age = now - container.started
    if not -_YOUNG < age < _YOUNG:
        return _NEVER  # also one that started in the future: the engine's clock, or ours, was wrong
    return now + max(age, _YOUNGEST)


def unreaped(group: Group, facts: HostFacts, now: float) -> list[Process]:
    """Return the zombies that started a while ago: a parent that reaps does so within moments."""
    return [p for p in _zombies(group) if now - _started(p, facts) >= _REAPED_WITHIN]


def _zombies_due(group: Group, facts: HostFacts, now: float) -> float:
    """Return when the youngest zombie will have waited so long that it is unreaped."""
    ages = [now - _started(p, facts) for p in _zombies(group)]
    return min((now + _REAPED_WITHIN - a for a in ages if 0 <= a < _REAPED_WITHIN), default=_NEVER)


def _zombies(group: Group) -> list[Process]:
    return [p for p in group.members if p.state == "Z" and p.pid not in group.visitors]


def _started(process: Process, facts: HostFacts) -> float:
    return (facts.boot_time or 0.0) + process.id.start_ticks / os.sysconf("SC_CLK_TCK")
