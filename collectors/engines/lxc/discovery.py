"""Which lxcpaths there are on this host: directories of LXC with a subdirectory per container."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.engines.shared.liblxc import Monitor, find_monitors
from collectors.engines.shared.turns import owner_of
from collectors.engines.shared.views import instance_prefix
from collectors.hostfs import HostReadError, or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.facts import Process
from collectors.hostfs import Dir

DEFAULT_PATH = "/var/lib/lxc"
_SYSTEM_CONFIG = "etc/lxc/lxc.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lxcpath:
    """An lxcpath and the monitors of the containers that run in it."""

    path: str
    instance: str
    owner: str = ""
    """The stranger whose it is, as ``owner_of`` says; "" for root."""
    user: int = 0
    """The user on the host whose it is, who must own it."""
    seen_by: Process | None = None
    """The monitor in whose root filesystem the path is; None: it is a path of the host."""
    monitors: dict[str, Monitor] = field(default_factory=dict)
    """By the name of the container."""


def find_lxcpaths(ctx: Context, remembered: Mapping[str, int]) -> list[Lxcpath]:
    """Return the lxcpaths: LXC's default, the configured, the remembered, those of monitors.

    ``remembered`` is the user of the host who owns it by path. What a user's monitor calls his is
    never taken for root's.
    """
    default = configured_path(ctx.host.root)
    paths = dict.fromkeys([default, DEFAULT_PATH, *ctx.options.lxc_paths], 0)
    paths = {**paths, **{path: user for path, user in remembered.items() if path not in paths}}
    lxcpaths = {path: _of_host(path, user) for path, user in paths.items()}
    monitors = [monitor for monitor in find_monitors(ctx) if monitor.engine == "lxc"]
    # Root's own first: a user cannot be there before it.
    for monitor in sorted(monitors, key=lambda m: bool(owner_of(ctx, m.process))):
        path = monitor.lxcpath or default
        prefix = instance_prefix(ctx, monitor.process)
        owner = owner_of(ctx, monitor.process)
        if prefix:
            new = Lxcpath(path=path, instance=prefix + path, owner=owner, seen_by=monitor.process)
        else:
            user = monitor.process.uid or 0
            other = lxcpaths.get(path)
            if other is not None and other.user and user == 0:
                del lxcpaths[path]
                other = None
            is_anothers = other is not None and other.user != user
            if is_anothers and path in ctx.options.lxc_paths:
                is_anothers = _owner(ctx, path) != user
            new = _of_host(path, user, prefix=f"{user}:" if is_anothers else "")
        lxcpath = lxcpaths.setdefault(new.instance, new)
        lxcpath.monitors.setdefault(monitor.name, monitor)
    return list(lxcpaths.values())


def _owner(ctx: Context, path: str) -> int | None:
    status = or_none(ctx.host.root.stat, path)
    return status.st_uid if status is not None else None


def _of_host(path: str, user: int, prefix: str = "") -> Lxcpath:
    owner = f"user {user}" if user else ""
    return Lxcpath(path=path, instance=prefix + path, owner=owner, user=user)


def configured_path(root: Dir) -> str:
    """Return ``lxc.lxcpath`` of lxc.system.conf(5), else LXC's default."""
    try:
        text = root.read_text(_SYSTEM_CONFIG, 65536)
    except HostReadError:
        return DEFAULT_PATH
    setting = re.search(r"^\s*lxc\.lxcpath\s*=\s*(/\S+)\s*$", text, re.MULTILINE)
    return posixpath.normpath(setting[1]) if setting else DEFAULT_PATH
