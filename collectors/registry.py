"""The collectors of all engines, in one plain list; what is known of them is in the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from collectors.engines.containerd.collector import ContainerdCollector
from collectors.engines.crio.collector import CrioCollector
from collectors.engines.docker.collector import DockerCollector
from collectors.engines.incus.collector import IncusCollector
from collectors.engines.libvirt_lxc.collector import LibvirtLxcCollector
from collectors.engines.lxc.collector import LxcCollector
from collectors.engines.nspawn.collector import NspawnCollector
from collectors.engines.openvz.collector import OpenvzCollector
from collectors.engines.podman.collector import PodmanCollector
from collectors.engines.proxmox.collector import ProxmoxCollector
from collectors.engines.runc.collector import OciCollector
from collectors.engines.sandboxes.collector import SandboxCollector

if TYPE_CHECKING:
    from collectors.contract import Collector

_ALL = (
    DockerCollector,
    PodmanCollector,
    ContainerdCollector,
    CrioCollector,
    OciCollector,
    LxcCollector,
    ProxmoxCollector,
    IncusCollector,
    NspawnCollector,
    LibvirtLxcCollector,
    OpenvzCollector,
    SandboxCollector,
)

COLLECTORS: Mapping[str, Callable[[], Collector]] = {
    collector.name: collector for collector in _ALL
}
"""The class of each collector, by its name: ``--[no-]collector.NAME``."""
