"""Which lxcpaths there are on this host: directories of LXC with a subdirectory per container."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.engines.shared.liblxc import Monitor, find_monitors
from collectors.engines.shared.views import instance_prefix
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    seen_by: Process | None = None
    """The monitor in whose root filesystem the path is; None: it is a path of the host."""
    monitors: dict[str, Monitor] = field(default_factory=dict)
    """By the name of the container."""


def find_lxcpaths(ctx: Context, remembered: Iterable[str]) -> list[Lxcpath]:
    """Return the lxcpaths: LXC's default, the configured, the remembered, those of monitors."""
    default = configured_path(ctx.host.root)
    paths = dict.fromkeys([default, DEFAULT_PATH, *ctx.options.lxc_paths, *remembered])
    lxcpaths = {path: Lxcpath(path=path, instance=path) for path in paths}
    for monitor in find_monitors(ctx):
        if monitor.engine != "lxc":
            continue
        path = monitor.lxcpath or default
        instance = instance_prefix(ctx, monitor.process) + path
        seen_by = None if instance == path else monitor.process
        lxcpath = lxcpaths.setdefault(
            instance, Lxcpath(path=path, instance=instance, seen_by=seen_by)
        )
        lxcpath.monitors.setdefault(monitor.name, monitor)
    return list(lxcpaths.values())


def configured_path(root: Dir) -> str:
    """Return ``lxc.lxcpath`` of lxc.system.conf(5), else LXC's default."""
    try:
        text = root.read_text(_SYSTEM_CONFIG, 65536)
    except HostReadError:
        return DEFAULT_PATH
    setting = re.search(r"^\s*lxc\.lxcpath\s*=\s*(/\S+)\s*$", text, re.MULTILINE)
    return posixpath.normpath(setting[1]) if setting else DEFAULT_PATH
