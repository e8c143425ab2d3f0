"""Proxmox VE: the names and settings of its LXC containers, from its cluster file system.

They are LXC's containers by their number (``pct list``), so a sighting has LXC's own key: engine
``lxc``, instance ``/var/lib/lxc``, engine id ``101``, and both are joined by it. LXC's collector
knows them by their monitors; this one knows what people call them, and those that never ran. A
template is left out: it cannot be started, and Proxmox takes its LXC configuration away.

Format: pct.conf(5), and src/PVE/LXC/Config.pm and src/PVE/LXC.pm of pve-container.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from collectors.engines.lxc.collector import DEFAULT_PATH
from collectors.engines.shared.liblxc import find_monitors
from collectors.engines.shared.supervised import boots_system
from collectors.facts import Sighting, State
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.contract import Context
    from collectors.facts import ProcessId
    from collectors.hostfs import Dir

_CONFIG_LIMIT = 512 << 10  # the largest file that pmxcfs takes
_DESCRIPTION_LIMIT = 200
_LABELS = ("arch", "ostype", "onboot", "tags", "unprivileged", "pool")


class ProxmoxCollector:
    """Reads /etc/pve/lxc, which holds the containers of this node of the cluster."""

    name = "proxmox"

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers this node has, running or not."""
        for path in ("etc/pve/lxc", f"etc/pve/nodes/{ctx.facts.nodename}/lxc"):
            with suppress(HostReadError), ctx.host.root.open_dir(path) as directory:
                return list(_read(ctx, directory))
        return []

    def close(self) -> None:
        """Nothing is kept open."""


def _read(ctx: Context, directory: Dir) -> Iterable[Sighting]:
    running = {m.name: m.init.id for m in find_monitors(ctx) if m.lxcpath in ("", DEFAULT_PATH)}
    for name in sorted(directory.listdir()):
        vmid, dot, ending = name.partition(".")
        if not (vmid.isdecimal() and dot and ending == "conf"):
            continue
        try:
            settings = parse_settings(directory.read_text(name, _CONFIG_LIMIT))
        except HostReadError:
            continue
        if settings.get("template") != "1":
            yield sighting_of(vmid, settings, running.get(vmid))


def sighting_of(vmid: str, settings: dict[str, str], init: ProcessId | None) -> Sighting:
    """Say what Proxmox's settings tell of the container with that number."""
    hostname = settings.get("hostname", f"CT{vmid}")
    entrypoint = settings.get("entrypoint", "").split()
    labels = {f"proxmox.{key}": settings[key] for key in _LABELS if key in settings}
    if "description" in settings:
        labels["proxmox.description"] = settings["description"]
    ostype = settings.get("ostype", "")
    return Sighting(
        collector="proxmox",
        engine="lxc",
        instance=DEFAULT_PATH,
        engine_id=vmid,
        name=hostname,
        hostname=hostname,
        state=State.RUNNING if init else State.EXITED,
        init=init,
        # Which template it was made from is not kept, only the kind of system that is in it.
        image="" if ostype == "unmanaged" else ostype,
        cgroup=f"/lxc/{vmid}",
        boots=boots_system(entrypoint) if entrypoint else True,
        command=tuple(entrypoint),
        network_mode=_bridge(settings.get("net0", "")),
        labels=labels,
        mounts=tuple(filter(None, (_bind_source(settings[k]) for k in sorted(settings)))),
    )


def parse_settings(text: str) -> dict[str, str]:
    """Parse a container's file: its settings of now, not those of snapshots or to come.

    The description stands in comments before the settings, each line percent-encoded.
    """
    settings: dict[str, str] = {}
    description: list[str] = []
    for line in text.splitlines():
        if line.startswith("["):
            break
        if line.startswith("#"):
            description.append(unquote(line[1:], errors="replace"))
            continue
        key, colon, value = line.partition(":")
        if colon:
            settings[key.strip()] = value.strip()
    if description:
        settings["description"] = "\n".join(description).strip()[:_DESCRIPTION_LIMIT]
    return settings


def _bridge(network: str) -> str:
    options = dict(part.partition("=")[::2] for part in network.split(","))
    return options.get("bridge", "none") if network else ""


def _bind_source(value: str) -> str:
    source, comma, options = value.partition(",")
    return source if comma and source.startswith("/") and "mp=/" in options else ""
