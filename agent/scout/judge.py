"""Gathers what is to be known of each container and has it judged, no oftener than it must.

Reading inside a container is dear and a stranger can block it, so what was read is kept as long as
the container's processes stay the same, and is looked at again now and then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.classifier import (
    HeldVerdict,
    classify,
    expected_style,
    findings,
    hold,
    is_mismatch,
    read_scene,
)
from agent.model import Container, Subject, Verdict
from agent.scout.openvz import with_openvz_limits
from collectors.facts import (
    FileId,
    FilesystemUsage,
    Isolation,
    Limits,
    Mount,
    NetworkFacts,
    Process,
    RootFacts,
)
from collectors.hostfs import HostReadError
from collectors.kernel.filesystem import read_container_filesystem, read_host_mounts
from collectors.kernel.isolation import read_isolation
from collectors.kernel.limits import read_limits
from collectors.kernel.network import read_network
from collectors.kernel.processes import read_mounts
from collectors.kernel.rootfs import read_root

if TYPE_CHECKING:
    from agent.inventory.groups import Group
    from agent.inventory.inventory import Picture
    from agent.patterns import Override
    from collectors.facts import HostFacts, ProcessId
    from collectors.hostfs import HostFS

log = logging.getLogger(__name__)

_REFRESH = 600.0
"""Seconds after which facts are read again though nothing seems to have changed."""

_FILESYSTEM_REFRESH = 50.0
"""The same for how full its filesystem is: once in each full reconciliation."""

_YOUNG = 30.0
"""A container that started less than so many seconds ago is read again each time its age has
doubled: its services open their sockets, make their users, write their files."""

_YOUNGEST = 1.0
"""Shortest time in seconds between two such readings."""

_NEVER = float("inf")


@dataclass(slots=True)
class _Known:
    """What was read of one container's life, and when."""

    init: ProcessId
    signature: object
    read_at: float
    due: float
    """When it is to be read again though nothing seems to have changed."""
    mounts: tuple[Mount, ...] | None
    root: RootFacts | None
    network: NetworkFacts | None
    isolation: Isolation
    limits: Limits
    filesystem: FilesystemUsage | None = None
    filesystem_at: float = 0.0
    judged: Container | None = None


class Judge:
    """Makes judged containers of a picture; keeps what it read between passes."""

    def __init__(
        self,
        host: HostFS,
        *,
        overrides: Sequence[Override] = (),
        skip: frozenset[str] = frozenset(),
        begin: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._host = host.with_tally()
        self.tally = self._host.tally
        self._overrides = tuple(overrides)
        self._skip = skip
        self._begin = begin
        self._known: dict[str, _Known] = {}
        self._mounts: dict[int, tuple[Mount, ...] | None] = {}
        self._host_mounts: Mapping[str, Mount] | None = None
        self._roots: dict[FileId, RootFacts] = {}
        self._networks: dict[int, NetworkFacts] = {}
        self._settled: dict[str, HeldVerdict] = {}
        self._complained: set[str] = set()
        self._due = _NEVER  # when the first of the known ones is to be read again
        self.failed = 0
        """Containers that could not be judged in the last pass."""

    def mounts(self, pid: int) -> tuple[Mount, ...] | None:
        """Read the mounts of a process, once for each pass; None when they cannot be read."""
        if pid not in self._mounts:
            try:
                self._mounts[pid] = read_mounts(self._host, pid)
            except HostReadError:
                self._mounts[pid] = None
        return self._mounts[pid]

    @property
    def pending(self) -> bool:
        """Return whether a verdict is about to turn, and wants to be looked at again."""
        return any(s.candidate is not None for s in self._settled.values())

    def due(self, now: float) -> bool:
        """Return whether there is one that ``again`` would look at."""
        return self.pending or self._due <= now

    def shift(self, seconds: float) -> None:
        """Follow a clock that was set by so many seconds."""
        for known in self._known.values():
            known.read_at += seconds
            known.due += seconds
            known.filesystem_at += seconds
        self._due += seconds
        self._settled = {k: replace(s, since=s.since + seconds) for k, s in self._settled.items()}

    def again(
        self, picture: Picture, judged: Mapping[str, Container], facts: HostFacts, now: float
    ) -> dict[str, Container]:
        """Judge those anew that want to be looked at again though the picture is still the same."""
        waiting = {key for key, s in self._settled.items() if s.candidate is not None}
        waiting |= {key for key, known in self._known.items() if known.due <= now}
        found = {
            key: self._guarded(picture.containers[key], picture, facts, now)
            for key in waiting
            if key in picture.containers
        }
        self._end_pass()
        return {**judged, **found}

    def judge(
        self,
        picture: Picture,
        facts: HostFacts,
        now: float,
        tell: Callable[[Container], None] = lambda _: None,
    ) -> dict[str, Container]:
        """Judge every container of a picture; ``tell`` hears of each as soon as that is done."""
        self.failed = 0
        judged = {}
        for key, container in picture.containers.items():
            judged[key] = self._guarded(container, picture, facts, now)
            tell(judged[key])
        staying = {key for key, container in judged.items() if not container.gone}
        self._known = {k: v for k, v in self._known.items() if k in staying}
        self._settled = {k: v for k, v in self._settled.items() if k in staying}
        self._end_pass()
        return judged

    def _end_pass(self) -> None:
        for kept in (self._mounts, self._roots, self._networks):
            kept.clear()  # good for one pass, in which nobody reads anything twice
        self._host_mounts = None
        self._due = min((known.due for known in self._known.values()), default=_NEVER)

    def _guarded(
        self, container: Container, picture: Picture, facts: HostFacts, now: float
    ) -> Container:
        """Judge one container; what nobody foresaw of a stranger costs his own verdict only."""
        try:
            return self._one(container, picture, facts, now)
        except Exception:
            self.failed += 1
            if container.id not in self._complained:
                self._complained.add(container.id)
                log.exception("%s (%s) cannot be judged", container.name, container.id)
            return container

    def _one(
        self, container: Container, picture: Picture, facts: HostFacts, now: float
    ) -> Container:
        if container.gone:
            return container
        expected = expected_style(container.engine, container.boots)
        group = picture.groups.get(container.id)
        if group is None:
            limits = with_openvz_limits(container.limits, container.openvz)
            container = replace(container, expected_style=expected, limits=limits)
            return self._silent(container, facts, now)
        known, changed = self._facts(container, group, facts, now)
        container = replace(
            container,
            expected_style=expected,
            isolation=known.isolation,
            limits=with_openvz_limits(known.limits, container.openvz),
            filesystem=self._filesystem(known, facts, now),
            listeners=len(known.network.listeners) if known.network is not None else None,
        )
        settled = self._settled.get(container.id)
        waiting = settled is not None and settled.candidate is not None
        if not changed and not waiting and known.judged is not None:
            return _with_judgement(container, known.judged)
        subject = Subject(
            container=container,
            host=facts,
            now=now,
            processes=tuple(p for p in group.members if p.state not in "ZX"),
            entered_from_outside=group.visitors,
            nested=picture.nested.get(container.id, 0),
            mounts=known.mounts,
            root=known.root,
            network=known.network,
        )
        known.judged = self._settle(container, subject)
        return known.judged

    def _silent(self, container: Container, facts: HostFacts, now: float) -> Container:
        """Judge what does not run: by its last verdict, else by what its engine knows."""
        if container.verdict != Verdict():
            return container
        return self._settle(container, Subject(container=container, host=facts, now=now))

    def _settle(self, container: Container, subject: Subject) -> Container:
        scene = read_scene(subject)
        settled = hold(
            self._settled.get(container.id),
            classify(scene, self._overrides),
            now=subject.now,
            started=container.started,
        )
        self._settled[container.id] = settled
        if settled.turned_by:
            log.info(
                "%s (%s) turned to %s-style: %s",
                container.name,
                container.id,
                settled.verdict.style,
                "; ".join(e.sentence for e in settled.turned_by[:3]),
            )
        return replace(
            container,
            verdict=settled.verdict,
            style_changes=settled.changes,
            mismatch=is_mismatch(settled.verdict, container.expected_style),
            findings=findings(scene, settled.verdict),
        )

    def _facts(
        self, container: Container, group: Group, facts: HostFacts, now: float
    ) -> tuple[_Known, bool]:
        """Return what is known of a running container, read again if it is time; says if it was."""
        leader = group.leader
        signature = _signature(container, group)
        known = self._known.get(container.id)
        if (
            known is not None
            and known.init == leader.id
            and known.signature == signature
            and now - known.read_at < _REFRESH
            and now < known.due
        ):
            return known, False
        subject = f"container {leader.pid} {leader.id.start_ticks}"
        mounts = root = network = None
        isolation, limits = Isolation(), Limits()
        if subject not in self._skip:
            self._begin(subject)
            mounts = self.mounts(leader.pid)
            root = self._root(leader, mounts)
            network = self._network(leader, facts)
            isolation = read_isolation(self._host, facts, leader, mounts or ())
            limits = read_limits(self._host, facts.cgroups, container.cgroups)
        found = _Known(
            init=leader.id,
            signature=signature,
            read_at=now,
            due=_due_again(container, now),
            mounts=mounts,
            root=root,
            network=network,
            isolation=isolation,
            limits=limits,
        )
        self._known[container.id] = found
        return found, True

    def _filesystem(self, known: _Known, facts: HostFacts, now: float) -> FilesystemUsage | None:
        """Return how full its filesystem is: that moves while nothing else of a container does."""
        if now - known.filesystem_at >= _FILESYSTEM_REFRESH and known.mounts is not None:
            known.filesystem_at = now
            try:
                known.filesystem = read_container_filesystem(
                    self._host, facts, known.init.pid, known.mounts, self._mounts_of_host
                )
            except HostReadError:
                known.filesystem = None
        return known.filesystem

    def _mounts_of_host(self) -> Mapping[str, Mount]:
        if self._host_mounts is None:
            self._host_mounts = read_host_mounts(self._host)
        return self._host_mounts

    def _root(self, leader: Process, mounts: tuple[Mount, ...] | None) -> RootFacts | None:
        """Read the root filesystem; containers on one and the same directory share the answer."""
        if leader.root is not None and leader.root in self._roots:
            return self._roots[leader.root]
        try:
            found = read_root(self._host, leader.pid, mounts or ())
        except HostReadError:
            return None
        if leader.root is not None:
            self._roots[leader.root] = found
        return found

    def _network(self, leader: Process, facts: HostFacts) -> NetworkFacts | None:
        """Read the network namespace, once for all that share it; the host's own tells nothing."""
        number = leader.namespaces.net
        if number is None or number == facts.namespaces.net:
            return None
        if number not in self._networks:
            try:
                self._networks[number] = read_network(self._host, leader.pid)
            except HostReadError:
                return None
        return self._networks[number]


def _signature(container: Container, group: Group) -> object:
    """Sum up what the verdict hangs on, so that it is worked out again when that has changed."""
    return (
        tuple(sorted((p.id, p.exe, p.argv, p.uid, p.session) for p in group.members)),
        group.visitors,
        container.engine,
        container.name,
        container.image,
        container.state,
        container.restarts,
        container.health,
    )


def _due_again(container: Container, now: float) -> float:
    """Say when a container that was read now is read again because it is young."""
    if container.started is None:
        return _NEVER
    age = now - container.started
    if not -_YOUNG < age < _YOUNG:
        return _NEVER  # one that its engine has started in the future: somebody's clock was wrong
    return now + max(age, _YOUNGEST)


def _with_judgement(container: Container, judged: Container) -> Container:
    return replace(
        container,
        verdict=judged.verdict,
        style_changes=judged.style_changes,
        mismatch=judged.mismatch,
        findings=judged.findings,
    )
