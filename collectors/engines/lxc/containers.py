"""What an lxcpath holds: the configuration of each container, and when it was created."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.engines.lxc.config import LxcConfig, read_config
from collectors.engines.shared.files import made_at
from collectors.engines.shared.views import open_root
from collectors.hostfs import LIST_LIMIT, HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.contract import Context
    from collectors.engines.lxc.discovery import Lxcpath
    from collectors.hostfs import Dir

_USER_LIMIT = 500
"""Most containers read from an lxcpath that is not root's: its owner can make any number."""


@dataclass(slots=True, kw_only=True)
class Containers:
    """The containers of an lxcpath by name."""

    is_there: bool = False
    owned_by_root: bool = True
    """The lxcpath is root's, or cannot be read."""
    configs: dict[str, LxcConfig] = field(default_factory=dict)
    created: dict[str, float | None] = field(default_factory=dict)


def read_containers(ctx: Context, lxcpath: Lxcpath, containers: Containers) -> Iterator[None]:
    """Read the configurations in an lxcpath, and those that its containers were started with.

    It pauses after each. A user's lxcpath or file that is not his own is not read.
    """
    with suppress(HostReadError), open_root(ctx, lxcpath.seen_by) as root:
        yield from _read_directory(root, lxcpath, containers)
    for name, monitor in lxcpath.monitors.items():
        if name not in containers.configs and monitor.rcfile:
            with suppress(HostReadError), open_root(ctx, lxcpath.seen_by) as root:
                path = monitor.rcfile.lstrip("/")
                if lxcpath.user in (0, root.stat(path).st_uid):
                    config = read_config(root, path)
                    if config is not None:
                        containers.configs[name] = config
            yield


def _read_directory(root: Dir, lxcpath: Lxcpath, containers: Containers) -> Iterator[None]:
    path = lxcpath.path.lstrip("/")
    owner = root.stat(path).st_uid
    containers.is_there = True
    containers.owned_by_root = owner == 0
    if lxcpath.user not in (0, owner):
        return
    # A user may have put links in his directory that lead elsewhere.
    confined = root.confined or not containers.owned_by_root
    limit = LIST_LIMIT if containers.owned_by_root else _USER_LIMIT
    with root.open_dir(path, confined=confined) as directory:
        for name in sorted(directory.listdir(limit=limit)):
            config = read_config(directory, f"{name}/config")
            if config is not None:
                containers.configs[name] = config
                containers.created[name] = made_at(directory, name)
            yield
