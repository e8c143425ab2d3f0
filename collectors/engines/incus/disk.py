"""What a daemon keeps on disk: a link to each container's storage, and its backup.yaml there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from collectors.engines.incus.instance import BACKUP_LIMIT, Instance, parse_backup
from collectors.engines.shared.files import made_at
from collectors.engines.shared.views import open_root
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.contract import Context
    from collectors.engines.incus.discovery import Daemon
    from collectors.hostfs import Dir


def list_names(ctx: Context, daemon: Daemon) -> list[str]:
    """List the containers by the links that the daemon makes to where each is stored."""
    path = f"{daemon.directory}/containers".lstrip("/")
    for root in _roots(ctx, daemon):
        with suppress(HostReadError), root.open_dir(path) as directory:
            return sorted(n for n in directory.listdir() if _is_link(directory, n))
    return []


def read_backup(ctx: Context, daemon: Daemon, name: str) -> tuple[Instance | None, float | None]:
    """Read backup.yaml and when its directory was made, where the storage is mounted."""
    path = f"{daemon.directory}/containers/{name}".lstrip("/")
    for root in _roots(ctx, daemon):
        with suppress(HostReadError):
            instance = parse_backup(root.read_text(f"{path}/backup.yaml", BACKUP_LIMIT))
            return instance, made_at(root, path)
    return None, None


def _roots(ctx: Context, daemon: Daemon) -> Iterator[Dir]:
    """Open the root filesystems that may have the directory: the host's, then the daemon's own."""
    if not daemon.prefix:
        yield ctx.host.root
        if daemon.seen_by is not None:
            with suppress(HostReadError), ctx.host.container_root(daemon.seen_by.pid) as root:
                yield root
    else:
        with suppress(HostReadError), open_root(ctx, daemon.seen_by) as root:
            yield root


def _is_link(directory: Dir, name: str) -> bool:
    try:
        return bool(directory.readlink(name))
    except HostReadError:
        return False
