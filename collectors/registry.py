"""All engines' collectors, in one plain list: to add one, write its module and name it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from collectors.engines.containerd import ContainerdCollector
from collectors.engines.crio import CrioCollector
from collectors.engines.docker import DockerCollector
from collectors.engines.incus import IncusCollector
from collectors.engines.libvirt_lxc import LibvirtLxcCollector
from collectors.engines.lxc import LxcCollector
from collectors.engines.nspawn import NspawnCollector
from collectors.engines.oci import OciCollector
from collectors.engines.openvz import OpenvzCollector
from collectors.engines.podman import PodmanCollector
from collectors.engines.proxmox import ProxmoxCollector
from collectors.engines.sandboxes import SandboxCollector

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
