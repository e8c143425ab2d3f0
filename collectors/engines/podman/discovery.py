"""Where podman keeps its containers: root's store, and one for each user who runs any.

Users are found from their conmon processes and from /run/user; nobody's home is searched for.
containers-storage.conf(5) and conmon(8).
"""

from __future__ import annotations

import posixpath
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.files import homes
from collectors.engines.shared.processes import binary_name
from collectors.engines.shared.views import instance_prefix, on_host, shortest
from collectors.formats.command_line import option_value, option_values
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.contract import Context
    from collectors.facts import Process

_CONFIGURATIONS = ("/etc/containers/storage.conf", "/usr/share/containers/storage.conf")


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
    place: str = ""

    @property
    def instance(self) -> str:
        """Name the store: its path, after the container that it is in."""
        return f"{self.place}{self.graphroot}"


def find_stores(ctx: Context) -> list[Store]:
    """Find every store of which there may be containers, each once."""
    found = [root_store(ctx)]
    monitors = [p for p in ctx.processes if binary_name(p) == "conmon"]
    uids = {p.uid for p in monitors if p.uid and on_host(ctx, p)} | set(_users(ctx))
    known = homes(ctx) if uids else {}
    found += [_user_store(ctx, uid, known[uid]) for uid in uids if uid and uid in known]
    found += filter(None, (_store_of_monitor(ctx, p) for p in monitors))
    return list({store.instance: store for store in reversed(found)}.values())


def monitor_arguments(process: Process) -> tuple[str, ...]:
    """Return podman's own arguments, which conmon passes back to it when the container ends."""
    return ("podman", *option_values(process.argv, "--exit-command-arg"))


def is_podmans(process: Process) -> bool:
    """Return whether a conmon works for podman and not for CRI-O."""
    command = posixpath.basename(option_value(process.argv, "--exit-command"))
    return command == "podman" or "/libpod" in option_value(process.argv, "--exit-dir")


def _store_of_monitor(ctx: Context, process: Process) -> Store | None:
    if not is_podmans(process) or process.uid is None:
        return None
    arguments = monitor_arguments(process)
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
        place=instance_prefix(ctx, process),
    )


def root_store(ctx: Context) -> Store:
    """Return root's store, which CRI-O and buildah use as well, storage.conf(5)."""
    storage: dict[str, object] = {}
    for path in _CONFIGURATIONS:
        storage = _storage_conf(ctx, path)
        if storage:
            break
    return Store(
        graphroot=_path(storage.get("graphroot")) or "/var/lib/containers/storage",
        runroot=_path(storage.get("runroot")) or "/run/containers/storage",
        tmpdir="/run/libpod",
    )


def _user_store(ctx: Context, uid: int, home: str) -> Store:
    storage = _storage_conf(ctx, f"{home}/.config/containers/storage.conf")
    return Store(
        graphroot=_path(storage.get("graphroot")) or f"{home}/.local/share/containers/storage",
        runroot=_path(storage.get("runroot")) or f"/run/user/{uid}/containers",
        tmpdir=f"/run/user/{uid}/libpod/tmp",
        uid=uid,
    )


def _storage_conf(ctx: Context, path: str) -> dict[str, object]:
    try:
        document = tomllib.loads(ctx.host.root.read_text(path, 1 << 18))
    except (HostReadError, tomllib.TOMLDecodeError, RecursionError):
        return {}
    storage = document.get("storage")
    return storage if isinstance(storage, dict) else {}


def _path(value: object) -> str:
    return posixpath.normpath(value) if isinstance(value, str) and value.startswith("/") else ""


def _users(ctx: Context) -> list[int]:
    try:
        return [int(name) for name in ctx.host.root.listdir("/run/user") if name.isdecimal()]
    except HostReadError:
        return []
