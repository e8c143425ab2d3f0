"""All engines' collectors, in one plain list: to add one, write its module and name it here."""

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

COLLECTORS: Mapping[str, Callable[[], Collector]] = {
    make.name: make
    for make in (
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
}
"""What makes each collector, by its name: ``--[no-]collector.NAME``."""
