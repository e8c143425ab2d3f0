"""containerd: what ctr, nerdctl and the kubelet run, from its state directories and database."""

from __future__ import annotations

import posixpath
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.containerd.discovery import (
    Installation,
    engine_processes,
    find_installations,
    installations_of,
)
from collectors.engines.containerd.metadata import DATABASE
from collectors.engines.containerd.reader import InstallationReader
from collectors.engines.shared.pods import with_hostnames
from collectors.engines.shared.turns import STRANGERS_DATABASE, Turns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from collectors.contract import Context
    from collectors.facts import Process, Sighting

_MOST_OF_ONE = 100
"""Installations of one stranger that are read: any user can start more containerds."""


class ContainerdCollector:
    """Finds containers of every containerd; ``instance`` is ``<state directory>/<namespace>``.

    Where containerd runs in a container itself, that one's cgroup comes first, and a user's id
    where it is not root's.
    """

    name = "containerd"

    def __init__(self) -> None:
        self._readers: dict[str, InstallationReader] = {}
        self._of_strangers: dict[str, dict[str, InstallationReader]] = {}
        """By owner and installation; those of one owner are used by one thread at a time."""
        self._turns: Turns[Sighting] = Turns()

    def close(self) -> None:
        """Nothing is kept open."""

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Read every installation's bundles and database, root's own first.

        All that users and containers own shares a time budget.
        """
        processes = engine_processes(ctx)
        own = find_installations(ctx, processes.pop("", ()))
        readers, self._readers = self._readers, {}
        sightings: list[Sighting] = []
        for installation in own:
            reader = readers.get(installation.name) or InstallationReader()
            self._readers[installation.name] = reader
            found = [s for s in reader.read(ctx, installation) if s is not None]
            if found or installation.is_running:
                ctx.daemons["containerd", installation.name] = installation.is_running
            sightings += found
            if installation.root:
                _watch(ctx, installation)
        kept = self._of_strangers
        self._of_strangers = {owner: kept.get(owner, {}) for owner in processes}
        taken = frozenset(installation.name for installation in own)
        strangers = {
            owner: partial(_read_all, ctx, processes[owner], self._of_strangers[owner], taken)
            for owner in processes
        }
        return with_hostnames(sightings + self._turns.read(strangers, ctx.wake, first=ctx.first))


def _read_all(
    ctx: Context,
    processes: Sequence[Process],
    readers: dict[str, InstallationReader],
    taken: Collection[str],
) -> Iterator[Sighting | None]:
    """Read all installations of one stranger, to whom those of root are not left."""
    installations: dict[str, Installation] = {}
    for installation in installations_of(ctx, processes):
        yield None
        if installation.name not in taken:
            known = installations.get(installation.name)
            if known is None or (not known.root and installation.root):
                installations[installation.name] = installation
        if len(installations) >= _MOST_OF_ONE:
            break
    for name in [name for name in readers if name not in installations]:
        del readers[name]
    for name, installation in installations.items():
        reader = readers.setdefault(name, InstallationReader(database_limit=STRANGERS_DATABASE))
        yield from reader.read(ctx, installation)
        if installation.user:
            _watch(ctx, installation)


def _watch(ctx: Context, installation: Installation) -> None:
    ctx.watch(posixpath.dirname(f"{installation.root}/{DATABASE}"), files=True)
