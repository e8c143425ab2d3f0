"""Where podman keeps its containers: root's store, and one for each user who runs any.

Users are found from their conmon processes and from /run/user; homes are not searched.
containers-storage.conf(5) and conmon(8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.conmon import exit_command, is_conmon, is_of_podman
from collectors.engines.shared.containers_storage import root_locations, user_locations
from collectors.engines.shared.files import home_of
from collectors.engines.shared.turns import owner_of
from collectors.engines.shared.views import instance_prefix, on_host, shortest
from collectors.formats.command_line import option_value
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.contract import Context
    from collectors.facts import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One user's podman."""

    graphroot: str
    """What stays: images, containers, the database."""
    runroot: str
    """What is gone after a reboot: pid files."""
    tmpdir: str
    """libpod's own: exit files."""
    uid: int = 0
    monitor: Process | None = None
    """A conmon through whose root the paths are reached; None: they are the host's."""
    prefix: str = ""
    """What names the container that the store is in; empty for one on the host."""

    @property
    def instance(self) -> str:
        """Return the engine instance: the store's path, after the container that it is in."""
        return f"{self.prefix}{self.graphroot}"


def root_store(ctx: Context) -> Store:
    """Return root's store in its usual or configured place."""
    locations = root_locations(ctx)
    return Store(graphroot=locations.graphroot, runroot=locations.runroot, tmpdir="/run/libpod")


def monitors_by_owner(ctx: Context) -> dict[str, list[Process]]:
    """Return the conmons by their owner, as ``owner_of`` says, and users who may have a store."""
    monitors: dict[str, list[Process]] = {f"user {uid}": [] for uid in _users(ctx) if uid}
    for process in ctx.processes:
        if is_conmon(process):
            monitors.setdefault(owner_of(ctx, process), []).append(process)
    return monitors


def stores_of(ctx: Context, monitors: Iterable[Process], uid: int = 0) -> list[Store]:
    """Return the stores of one owner, each once; ``uid`` is that of a user of the host.

    A stranger's files may block the caller.
    """
    home = home_of(ctx, uid) if uid else ""
    stores = [_user_store(ctx, uid, home)] if home else []
    stores += filter(None, (_store_of_monitor(ctx, p) for p in monitors))
    return list({store.instance: store for store in reversed(stores)}.values())


def _store_of_monitor(ctx: Context, process: Process) -> Store | None:
    if not is_of_podman(process) or process.uid is None:
        return None
    arguments = exit_command(process)
    graphroot = option_value(arguments, "--root")
    if not graphroot.startswith("/"):
        return None
    inside = not on_host(ctx, process)
    return Store(
        graphroot=shortest(graphroot),
        runroot=option_value(arguments, "--runroot"),
        tmpdir=option_value(arguments, "--tmpdir"),
        uid=process.uid,
        monitor=process if inside else None,
        prefix=instance_prefix(ctx, process),
    )


def _user_store(ctx: Context, uid: int, home: str) -> Store:
    locations = user_locations(ctx, uid, home)
    return Store(
        graphroot=locations.graphroot,
        runroot=locations.runroot,
        tmpdir=f"/run/user/{uid}/libpod/tmp",
        uid=uid,
    )


def _users(ctx: Context) -> list[int]:
    try:
        return [int(name) for name in ctx.host.root.listdir("/run/user") if name.isdecimal()]
    except HostReadError:
        return []
