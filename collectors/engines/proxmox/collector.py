"""Proxmox VE: the names and settings of its LXC containers, from its cluster file system.

They are LXC's containers by their number (``pct list``), so a sighting has LXC's own key: engine
``lxc``, instance ``/var/lib/lxc``, engine id ``101``, and both are joined by it. LXC's collector
knows them by their monitors; this one knows their host names, by which administrators know them,
and those that never ran. A template is left out: it cannot be started, and Proxmox removes its LXC
configuration.

Format: pct.conf(5), and src/PVE/LXC/Config.pm and src/PVE/LXC.pm of pve-container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.lxc.discovery import DEFAULT_PATH
from collectors.engines.proxmox.discovery import find_settings
from collectors.engines.proxmox.settings import bind_source, bridge, parse_settings
from collectors.engines.shared.first_process import boots
from collectors.engines.shared.liblxc import find_monitors
from collectors.engines.shared.processes import running_state
from collectors.facts import Sighting, State
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.contract import Context
    from collectors.facts import Process

_CONFIG_LIMIT = 512 << 10  # the largest file that pmxcfs takes
_LABELS = ("arch", "ostype", "onboot", "tags", "unprivileged", "pool")


class ProxmoxCollector:
    """Reads the files of the containers on this node of the cluster."""

    name = "proxmox"

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers this node has, running or not."""
        paths = find_settings(ctx)
        return list(_read(ctx, paths)) if paths else []

    def close(self) -> None:
        """Nothing is kept open."""


def _read(ctx: Context, paths: Mapping[str, str]) -> Iterable[Sighting]:
    running = {m.name: m.init for m in find_monitors(ctx) if m.lxcpath in ("", DEFAULT_PATH)}
    for vmid, path in paths.items():
        try:
            settings = parse_settings(ctx.host.root.read_text(path, _CONFIG_LIMIT))
        except HostReadError:
            continue
        if settings.get("template") != "1":
            init = running.get(vmid)
            state = running_state(ctx, init) if init else State.EXITED
            yield sighting_of(vmid, settings, init, state)


def sighting_of(
    vmid: str, settings: dict[str, str], init: Process | None, state: State
) -> Sighting:
    """Return the sighting of the container with that number."""
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
        state=state,
        init=init.id if init else None,
        # The template it was made from is not kept, only the kind of system that is in it.
        image="" if ostype == "unmanaged" else ostype,
        cgroup=f"/lxc/{vmid}",
        # Of an OCI image it is the image's own, pct.conf(5).
        boots=boots(entrypoint, init) if entrypoint else True,
        command=tuple(entrypoint),
        network_mode=bridge(settings.get("net0", "")),
        labels=labels,
        mounts=tuple(filter(None, (bind_source(settings[k]) for k in sorted(settings)))),
    )
