"""Podman: root's and every user's containers, from disk and processes.

Podman has no daemon, and its API service is started by connecting to it, so neither is used: the
database has the containers, the process table shows whether they run. podman(1), conmon(8).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.podman.discovery import find_stores
from collectors.engines.podman.store import StoreReader
from collectors.engines.shared.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from collectors.contract import Context
    from collectors.facts import Sighting


class PodmanCollector:
    """Finds every user's podman containers; ``instance`` is the store, its graphroot.

    A store inside a container is named after that container's cgroup: ``<cgroup>:<graphroot>``.
    """

    name = "podman"

    def __init__(self) -> None:
        self._readers: dict[str, StoreReader] = {}
        self._turns = Turns()

    def close(self) -> None:
        """Nothing is kept open."""

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Read every store's database, and check against the processes what runs.

        Root's own come first, and the stores of users and of containers share a time budget.
        """
        readers, self._readers = self._readers, {}
        sightings: list[Sighting] = []
        untrusted: dict[str, Callable[[], list[Sighting]]] = {}
        for store in find_stores(ctx):
            reader = readers.get(store.instance) or StoreReader()
            self._readers[store.instance] = reader
            if store.uid == 0 and not store.prefix:
                sightings += reader.read(ctx, store)
            else:
                untrusted[store.instance] = partial(reader.read, ctx, store)
            if not store.prefix:
                for folder in (
                    store.graphroot,
                    f"{store.graphroot}/libpod",
                    f"{store.tmpdir}/exits",
                ):
                    ctx.watch(folder, files=True)
        return sightings + self._turns.read(untrusted)
