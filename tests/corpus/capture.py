"""Reads the host once, as the scout does, and returns the subjects of some of its containers."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING

from agent.inventory.inventory import Inventory
from agent.model import Subject
from agent.scout.evidence import EvidenceReader
from collectors.contract import Context, Options, PartlySeen
from collectors.hostfs import HostFS, HostReadError
from collectors.kernel.host import read_host_facts
from collectors.kernel.network import read_network
from collectors.kernel.processes import ProcessReader, read_mounts
from collectors.registry import COLLECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.inventory.inventory import InventoryPass
    from agent.model import Container
    from collectors.facts import HostFacts, Mount, Sighting

_NEEDED = ("docker", "podman", "lxc", "nspawn", "runc", "sandboxes")


def subjects(wanted: Callable[[Container], bool]) -> list[Subject]:
    """Return the subjects of the containers that are wanted. Raises ``HostReadError``."""
    host = HostFS()
    facts = read_host_facts(host)
    now = time.time()
    table = ProcessReader(host).read()
    context = Context(
        host=host,
        facts=facts,
        processes=table,
        options=Options(environment=os.environ),
        now=now,
    )
    inventory = Inventory().update(
        facts, table, list(_sightings(context)), lambda pid: _mounts(host, pid), now=now
    )
    return [
        _subject(container, inventory, host, facts, now)
        for container in inventory.containers.values()
        if wanted(container)
    ]


def _sightings(context: Context) -> Iterator[Sighting]:
    for name in _NEEDED:
        collector = COLLECTORS[name]()
        try:
            yield from collector.collect(context)
        except PartlySeen as partly:
            yield from partly.sightings  # a daemon of a test that has ended is still reported
        finally:
            collector.close()


def _subject(
    container: Container, inventory: InventoryPass, host: HostFS, facts: HostFacts, now: float
) -> Subject:
    group = inventory.groups.get(container.id)
    if group is None:
        return Subject(container=container, host=facts, now=now)
    evidence = EvidenceReader(host).read(container, group, facts, now)
    network = evidence.network
    if network is None:
        network = read_network(host, group.leader.pid)  # the host's own
    return Subject(
        container=dataclasses.replace(
            container, isolation=evidence.isolation, limits=evidence.limits
        ),
        host=facts,
        now=now,
        processes=tuple(group.members),
        entered_from_outside=group.visitors,
        nested=inventory.nested.get(container.id, 0),
        mounts=evidence.mounts,
        root=evidence.root,
        network=network,
        descriptors=evidence.descriptors,
        files=evidence.files,
    )


def _mounts(host: HostFS, pid: int) -> tuple[Mount, ...] | None:
    try:
        return read_mounts(host, pid)
    except HostReadError:
        return None
