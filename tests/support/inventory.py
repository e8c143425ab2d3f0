"""The inventory and the partition of made-up hosts, in a call each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.inventory.partition import partition
from tests.support.processes import HOST, own_root, table

if TYPE_CHECKING:
    from agent.inventory.groups import Group, Partition
    from agent.inventory.inventory import Inventory, InventoryPass
    from agent.inventory.newcomers import Asked
    from agent.model import Container
    from collectors.facts import Mount, Process, Sighting

ID = "a" * 64
DOCKER = f"/system.slice/docker-{ID}.scope"
NS = {"mnt": 30, "pid": 50, "net": 40}
"""The namespaces of a container."""


def update(
    inventory: Inventory,
    *processes: Process,
    sightings: Sequence[Sighting] = (),
    now: float = 2_000_000.0,
    asked: Asked | None = None,
) -> InventoryPass:
    """Return the inventory of a pass over these processes."""
    return inventory.update(HOST, table(*processes), sightings, own_root, now=now, asked=asked)


def only(inventory: InventoryPass) -> Container:
    """Return the only container of an inventory."""
    assert len(inventory.containers) == 1, list(inventory.containers)
    return next(iter(inventory.containers.values()))


def split(
    *processes: Process,
    sightings: Sequence[Sighting] = (),
    mounts: tuple[Mount, ...] | None = None,
) -> Partition:
    """Return the partition of these processes; without ``mounts`` each has a root of its own."""
    read_mounts = own_root if mounts is None else lambda _: mounts
    return partition(HOST, table(*processes), sightings, read_mounts)


def only_group(parts: Partition) -> Group:
    """Return the only group of a partition."""
    assert len(parts.groups) == 1, parts.groups
    return parts.groups[0]


def pids(group: Group) -> set[int]:
    """Return the pids of a group."""
    return {process.pid for process in group.members}
