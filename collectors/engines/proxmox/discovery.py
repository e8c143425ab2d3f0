"""Where Proxmox VE keeps the containers of this node: in its cluster file system, /etc/pve."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.contract import Context


def find_settings(ctx: Context) -> dict[str, str]:
    """Return the path of each container's file by its number; empty where there is no Proxmox VE.

    /etc/pve/lxc is a link to the directory of this node, which has the name of the host.
    """
    for directory in ("etc/pve/lxc", f"etc/pve/nodes/{ctx.facts.nodename}/lxc"):
        with suppress(HostReadError):
            names = sorted(ctx.host.root.listdir(directory))
            return {
                name.removesuffix(".conf"): f"{directory}/{name}"
                for name in names
                if name.endswith(".conf") and name.removesuffix(".conf").isdecimal()
            }
    return {}
