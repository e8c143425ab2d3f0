"""Has the containers of an inventory judged: gathers the evidence on each, and its verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.classifier import expected_style
from agent.model import Container, Subject, Verdict
from agent.scout.details import details_of
from agent.scout.evidence import unreaped
from agent.scout.openvz import with_openvz_limits
from agent.wire import pack
from collectors.kernel.cpu_weight import shares_of_weight

if TYPE_CHECKING:
    from agent.classifier.scene import Scene
    from agent.inventory.inventory import InventoryPass
    from agent.scout.evidence import CachedEvidence, EvidenceReader
    from agent.scout.verdicts import Verdicts
    from collectors.facts import HostFacts, Limits
    from collectors.kernel.disk_walk import DiskWalk

log = logging.getLogger(__name__)


class Judge:
    """Judges no more often than it must: a verdict stands until its evidence is read again."""

    def __init__(
        self,
        evidence: EvidenceReader,
        verdicts: Verdicts,
        walk: DiskWalk | None = None,
        *,
        show_arguments: bool = False,
    ) -> None:
        """Judge by evidence; ``walk`` measures writable layers, where that is configured."""
        self._show_arguments = show_arguments
        self._evidence = evidence
        self._verdicts = verdicts
        self._walk = walk
        self._judged: dict[str, tuple[CachedEvidence, Container]] = {}
        self._logged: set[str] = set()
        self.details: Mapping[str, bytes] = {}
        """Of each container that runs, packed; another object when they have changed."""
        self._changed_details: dict[str, bytes] = {}
        self.failed = 0
        """Containers that could not be judged in the last pass over all."""

    def is_due(self, now: float) -> bool:
        """Return whether there is a container that ``judge_due`` would judge."""
        return bool(self._verdicts.turning()) or self._evidence.is_due(now)

    def shift(self, seconds: float) -> None:
        """Move all times along with a clock that was set by so many seconds."""
        self._evidence.shift(seconds)
        self._verdicts.shift(seconds)

    def judge_due(
        self,
        inventory: InventoryPass,
        judged: Mapping[str, Container],
        facts: HostFacts,
        now: float,
    ) -> dict[str, Container]:
        """Judge again what is due, though the inventory is the same; return all containers.

        ``judged`` are the containers as they were judged last.
        """
        due = self._verdicts.turning() | self._evidence.due(now)
        again = {
            key: self._judge_safely(inventory.containers[key], inventory, facts, now)
            for key in due
            if key in inventory.containers
        }
        self._evidence.end_pass()
        self._publish_details()
        return {**judged, **again}

    def judge_all(
        self,
        inventory: InventoryPass,
        facts: HostFacts,
        now: float,
        each: Callable[[Container], None] = lambda _: None,
    ) -> dict[str, Container]:
        """Judge every container of an inventory; ``each`` is called with one when it is done."""
        self.failed = 0
        self._evidence.begin_pass()
        judged = {}
        for key, container in inventory.containers.items():
            judged[key] = self._judge_safely(container, inventory, facts, now)
            each(judged[key])
        there = {key for key, container in judged.items() if not container.gone}
        # Of what has stopped nothing is read, so what was due of it would stay due for ever.
        self._evidence.retain(inventory.groups.keys())
        self._verdicts.retain(there)
        self._judged = {key: kept for key, kept in self._judged.items() if key in inventory.groups}
        self._publish_details()
        if not self.details.keys() <= inventory.groups.keys():
            self.details = {k: d for k, d in self.details.items() if k in inventory.groups}
        self._logged &= there
        if self._walk is not None:
            self._walk.want(self._evidence.unmeasured())
        self._evidence.end_pass()
        return judged

    def _judge_safely(
        self, container: Container, inventory: InventoryPass, facts: HostFacts, now: float
    ) -> Container:
        """Judge one container; an error that was not foreseen costs the verdict of this one."""
        try:
            return self._judge(container, inventory, facts, now)
        except Exception:
            self.failed += 1
            if container.id not in self._logged:
                self._logged.add(container.id)
                log.exception("%s (%s) cannot be judged", container.name, container.id)
            return container

    def _judge(
        self, container: Container, inventory: InventoryPass, facts: HostFacts, now: float
    ) -> Container:
        if container.gone:
            return container
        expected = expected_style(container.engine, container.boots)
        group = inventory.groups.get(container.id)
        if group is None:
            limits = with_openvz_limits(container.limits, container.openvz)
            container = replace(container, expected_style=expected, limits=limits)
            if container.verdict != Verdict():
                return container  # it does not run: its last verdict stands
            return self._verdicts.judge(Subject(container=container, host=facts, now=now))
        evidence = self._evidence.read(container, group, facts, now)
        root, network = evidence.root, evidence.network
        container = replace(
            container,
            expected_style=expected,
            isolation=evidence.isolation,
            limits=with_openvz_limits(
                _with_shares(evidence.limits, container.cpu_shares), container.openvz
            ),
            filesystem=evidence.filesystem,
            writable_layer_bytes=self._written(container),
            os_name=root.os_name if root is not None else "",
            os_version=root.os_version if root is not None else "",
            default_route=network.default_route if network is not None else None,
            listeners=len(network.listeners) if network is not None else None,
            sockets=evidence.sockets,
        )
        judged_on, last = self._judged.get(container.id, (None, container))
        if judged_on is evidence and not self._verdicts.is_turning(container.id):
            return _with_judgement(container, last)
        subject = Subject(
            container=container,
            host=facts,
            now=now,
            processes=tuple(p for p in group.members if p.state not in "ZX"),
            entered_from_outside=group.visitors,
            unreaped=len(unreaped(group, facts, now)),
            nested=inventory.nested.get(container.id, 0),
            mounts=evidence.mounts,
            root=evidence.root,
            network=network,
            descriptors=evidence.descriptors,
            files=evidence.files,
        )
        judged = self._verdicts.judge(subject)
        self._judged[container.id] = evidence, judged
        scene = self._verdicts.scene
        if scene is not None and scene.subject is subject:
            self._keep_details(container.id, scene)
        return judged

    def _keep_details(self, key: str, scene: Scene) -> None:
        packed = pack(details_of(scene, show_arguments=self._show_arguments))
        if self.details.get(key) != packed:
            self._changed_details[key] = packed

    def _publish_details(self) -> None:
        if self._changed_details:
            self.details = {**self.details, **self._changed_details}
            self._changed_details.clear()

    def _written(self, container: Container) -> int | None:
        measured = self._walk.size(container.id) if self._walk is not None else None
        return container.writable_layer_bytes if measured is None else measured


def _with_shares(limits: Limits, configured: int | None) -> Limits:
    """Return the limits with the CPU shares that the engine was given, if its weight has them."""
    if limits.cpu_weight is None or configured is None:
        return limits
    return replace(limits, cpu_shares=shares_of_weight(limits.cpu_weight, configured))


def _with_judgement(container: Container, judged: Container) -> Container:
    return replace(
        container,
        verdict=judged.verdict,
        style_changes=judged.style_changes,
        mismatch=judged.mismatch,
        findings=judged.findings,
    )
