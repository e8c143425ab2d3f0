"""Podman: root's and every user's containers, from disk and processes.

Podman has no daemon, and its API service is started by connecting to it, so neither is used: the
database has the containers, the process table shows whether they run. podman(1), conmon(8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.podman.discovery import Store, monitors_by_owner, root_store, stores_of
from collectors.engines.podman.store import StoreReader
from collectors.engines.shared.files import remember
from collectors.engines.shared.pods import with_hostnames
from collectors.engines.shared.turns import STRANGERS_DATABASE, Turns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from collectors.contract import Context
    from collectors.facts import Process, Sighting

_MOST_OF_ONE = 20
"""Stores of one owner that are remembered, and of one stranger that are read: any user can name
more."""


class PodmanCollector:
    """Finds every user's podman containers; ``instance`` is the store, its graphroot.

    A store inside a container is named after that container's cgroup: ``<cgroup>:<graphroot>``.
    One in another place than the usual (``podman --root``) is known by the monitors of what runs in
    it, and remembered when all of that has ended.
    """

    name = "podman"

    def __init__(self) -> None:
        self._readers: dict[str, StoreReader] = {}
        self._seen: dict[str, Store] = {}
        """Root's stores in which something ran, by instance."""
        self._of_strangers: dict[str, _Stranger] = {}
        """By owner; what is one owner's is used by one thread at a time."""
        self._turns: Turns[Sighting] = Turns()

    def close(self) -> None:
        """Nothing is kept open."""

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Read every store's database, and check against the processes what runs.

        Root's own come first, and the stores of users and of containers share a time budget.
        """
        monitors = monitors_by_owner(ctx)
        named = stores_of(ctx, monitors.pop("", ()))
        remembered = _with_remembered(ctx, named, self._seen)
        own = {s.instance: s for s in (root_store(ctx), *remembered)}
        readers, self._readers = self._readers, {}
        sightings: list[Sighting] = []
        for instance, store in own.items():
            self._readers[instance] = readers.get(instance) or StoreReader()
            sightings += filter(None, self._readers[instance].read(ctx, store))
            _watch(ctx, store)
        kept = self._of_strangers
        self._of_strangers = {owner: kept.get(owner) or _Stranger() for owner in monitors}
        strangers = {
            owner: partial(_read_all, ctx, owner, monitors[owner], self._of_strangers[owner], own)
            for owner in monitors
        }
        return with_hostnames(sightings + self._turns.read(strangers, ctx.wake, first=ctx.first))


@dataclass(slots=True)
class _Stranger:
    """What is kept of a user, or of what runs in a container."""

    readers: dict[str, StoreReader] = field(default_factory=dict)
    """By store."""
    seen: dict[str, Store] = field(default_factory=dict)
    """Stores of the host in which something ran, by instance."""


def _read_all(
    ctx: Context,
    owner: str,
    monitors: Sequence[Process],
    kept: _Stranger,
    taken: Collection[str],
) -> Iterator[Sighting | None]:
    """Read all stores of one stranger, to whom those of root are not left."""
    uid = int(owner.removeprefix("user ")) if owner.startswith("user ") else 0
    every = _with_remembered(ctx, stores_of(ctx, monitors, uid), kept.seen)
    stores = [s for s in every if s.instance not in taken][:_MOST_OF_ONE]
    instances, readers = {store.instance for store in stores}, kept.readers
    for instance in [instance for instance in readers if instance not in instances]:
        del readers[instance]
    for store in stores:
        reader = readers.get(store.instance)
        if reader is None:
            reader = readers[store.instance] = StoreReader(database_limit=STRANGERS_DATABASE)
        yield from reader.read(ctx, store)
        if not store.prefix:
            _watch(ctx, store)


def _with_remembered(ctx: Context, stores: Sequence[Store], seen: dict[str, Store]) -> list[Store]:
    """Return stores and those that were seen before and are there still."""
    found = {store.instance for store in stores}
    for instance, store in [*seen.items()]:
        if instance not in found and not ctx.host.root.exists(store.graphroot.lstrip("/")):
            del seen[instance]
    for store in stores:
        if not store.prefix:
            remember(seen, store.instance, store, most=_MOST_OF_ONE)
    return [*stores, *(store for instance, store in seen.items() if instance not in found)]


def _watch(ctx: Context, store: Store) -> None:
    for folder in (store.graphroot, f"{store.graphroot}/libpod", f"{store.tmpdir}/exits"):
        ctx.watch(folder, files=True)
