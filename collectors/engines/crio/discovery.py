"""Which stores CRI-O keeps containers in: root's on the host, and those in containers."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.conmon import is_conmon, is_of_podman
from collectors.engines.shared.containers_storage import root_locations
from collectors.engines.shared.processes import claimed_name
from collectors.engines.shared.views import instance_prefix, on_host
from collectors.formats.command_line import option_value

if TYPE_CHECKING:
    from collectors.contract import Context
    from collectors.facts import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One CRI-O's store."""

    graphroot: str
    prefix: str = ""
    """What names the container that CRI-O runs in; empty for one on the host."""
    monitor: Process | None = None
    """A conmon in whose view the path is; None: it is the host's."""

    @property
    def instance(self) -> str:
        """Return the engine instance: the store's path, after the container that it is in."""
        return f"{self.prefix}{self.graphroot}"


def root_store(ctx: Context) -> Store:
    """Return root's store on the host."""
    return Store(graphroot=root_locations(ctx).graphroot)


def has_daemon(ctx: Context) -> bool:
    """Return whether a CRI-O runs as root on the host itself."""
    return any(p.uid == 0 and claimed_name(p) == "crio" and on_host(ctx, p) for p in ctx.processes)


def nested_stores(ctx: Context) -> list[Store]:
    """Return the store of each container in which CRI-O's conmon runs."""
    stores = {}
    for process in ctx.processes:
        if is_conmon(process) and not is_of_podman(process):
            prefix = instance_prefix(ctx, process)
            if prefix:
                stores[prefix] = Store(
                    graphroot=_graphroot(process), prefix=prefix, monitor=process
                )
    return list(stores.values())


def _graphroot(monitor: Process) -> str:
    """Return the store of a conmon, by its bundle: it is below there, or in /run."""
    bundle = option_value(monitor.argv, "-b", "--bundle")
    root = posixpath.normpath(posixpath.join(bundle, "../../.."))
    return root if root.startswith("/var/lib/") else "/var/lib/containers/storage"
