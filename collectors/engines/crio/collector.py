"""CRI-O: a Kubernetes node's containers, from its part of the containers/storage store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.crio.discovery import has_daemon, nested_stores, root_store
from collectors.engines.crio.reader import StoreReader
from collectors.engines.shared.pods import with_hostnames
from collectors.engines.shared.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.contract import Context
    from collectors.facts import Sighting


class CrioCollector:
    """Finds CRI-O's containers and sandboxes; ``instance`` is the store, its graphroot.

    Where CRI-O runs in a container itself, that one's cgroup comes first.
    """

    name = "cri-o"

    def __init__(self) -> None:
        self._reader = StoreReader()
        self._nested: dict[str, StoreReader] = {}
        """By the container that CRI-O runs in; each is used by one thread at a time."""
        self._turns: Turns[Sighting] = Turns()

    def close(self) -> None:
        """Nothing is kept open."""

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Read root's store on the host, and in every container where a monitor of CRI-O runs.

        Those in containers share a time budget.
        """
        store = root_store(ctx)
        own = [s for s in self._reader.read(ctx, store) if s is not None]
        if own:
            ctx.daemons["cri-o", store.instance] = has_daemon(ctx)
        stores = nested_stores(ctx)
        kept = self._nested
        self._nested = {s.prefix: kept.get(s.prefix) or StoreReader() for s in stores}
        nested = {s.prefix: partial(self._nested[s.prefix].read, ctx, s) for s in stores}
        return with_hostnames(own + self._turns.read(nested, ctx.wake, first=ctx.first))
