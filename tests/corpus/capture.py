"""Captures what the agent knows of running containers, as labelled cases of the corpus.

``python -m tests.corpus.capture`` looks at the host once, with the collectors' own readers and
the inventory, and gives the ``Subject`` of each container, as the classifier will be given it.
"""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING

from agent.inventory.inventory import Inventory
from agent.model import Subject
from collectors.facts import HostFacts
from collectors.hostfs import HostFS, HostReadError
from collectors.kernel.cgroups import read_layout
from collectors.kernel.isolation import read_isolation
from collectors.kernel.limits import read_limits
from collectors.kernel.network import read_network
from collectors.kernel.processes import ProcessReader, read_mounts, read_namespaces
from collectors.kernel.rootfs import read_root

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.model import Container
    from collectors.facts import Mount, Sighting


def subjects(sightings: Sequence[Sighting], wanted: Callable[[Container], bool]) -> list[Subject]:
    """Look at the host once; ``sightings`` are what engines say. Raises ``HostReadError``."""
    host = HostFS()
    with host.process(os.getpid()) as own:
        # Run on the host itself, so that its own namespaces are the host's.
        facts = HostFacts(
            namespaces=read_namespaces(own),
            root=own.file_id("root/"),
            cgroups=read_layout(host),
            boot_time=time.time() - float(host.proc.read("uptime").split()[0]),
        )
    now = time.time()
    picture = Inventory().update(
        facts, ProcessReader(host).read(), sightings, lambda pid: _mounts(host, pid), now=now
    )
    found = []
    for container in picture.containers.values():
        if not wanted(container):
            continue
        group = picture.groups.get(container.id)
        if group is None:
            found.append(Subject(container=container, host=facts, now=now))
            continue
        mounts = _mounts(host, group.leader.pid)
        isolation = read_isolation(host, facts, group.leader, mounts or ())
        judged: Container = dataclasses.replace(
            container,
            isolation=isolation,
            limits=read_limits(host, facts.cgroups, container.cgroups),
        )
        found.append(
            Subject(
                container=judged,
                host=facts,
                now=now,
                processes=tuple(group.members),
                visitors=group.visitors,
                nested=picture.nested.get(container.id, 0),
                mounts=mounts,
                root=read_root(host, group.leader.pid, mounts or ()),
                network=read_network(host, group.leader.pid),
            )
        )
    return found


def _mounts(host: HostFS, pid: int) -> tuple[Mount, ...] | None:
    try:
        return read_mounts(host, pid)
    except HostReadError:
        return None
