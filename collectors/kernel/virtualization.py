"""What a host itself runs in: a container, a virtual machine, or nothing.

By the same signs and with the same names as systemd-detect-virt(1): first those of a container,
as that is the inner one of the two; then firmware, clock and processor of a virtual machine. What
runs the container can forge all of them, so the result is shown and not relied on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collectors.catalogue import ENGINES
from collectors.hostfs import or_none
from collectors.kernel.processes import parse_status

if TYPE_CHECKING:
    from collectors.facts import HostFacts
    from collectors.hostfs import Dir, HostFS

INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h
INITIAL_CGROUP_NAMESPACE = 0xEFFFFFFB  # PROC_CGROUP_INIT_INO

_CONTAINERS = frozenset(
    {"lxc", "lxc-libvirt", "systemd-nspawn", "docker", "podman", "rkt", "wsl", "proot", "pouch"}
)
_MARKS = (("run/.containerenv", "podman"), (".dockerenv", "docker"))
_CGROUPS = tuple(
    (re.compile(f":/{pattern}".encode()), name)
    for name, pattern in (engine.detect_virt for engine in ENGINES if engine.detect_virt)
)
"""Cgroup of pid 1, where no cgroup namespace hides it (they do since Linux 4.6)."""

_DMI = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
_FIRMWARE = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
)
_CLOCKS = (("kvm-clock", "kvm"), ("hyperv_clocksource", "microsoft"), ("xen", "xen"))
_LIMIT = 1 << 16


def detect(host: HostFS) -> str:
    """Return what the host runs in, in the words of systemd-detect-virt(1); "" if nothing."""
    return detect_container(host) or detect_machine(host)


def is_inside(host: HostFacts) -> bool:
    """Return whether the "host" is a container, so that what is outside it cannot be seen.

    False for an agent in a container that was given the host's processes.
    """
    kind = host.virtualization
    is_container = kind in (*_CONTAINERS, "openvz", "container-other") and kind != "wsl"
    return is_container and host.namespaces.pid != INITIAL_PID_NAMESPACE


def detect_container(host: HostFS) -> str:
    """Return the kind of container that the host is; "" when it is none."""
    if inside_openvz(host):
        return "openvz"
    release = _text(host.proc, "sys/kernel/osrelease")
    if "Microsoft" in release or "WSL" in release:
        return "wsl"
    for declared in (
        _text(host.root, "run/host/container-manager"),
        _text(host.root, "run/systemd/container"),
        _variable(_read(host.proc, "1/environ"), b"container"),
    ):
        if declared.strip():
            return _manager(declared.strip(), host)
    return _by_marks(host) or _by_cgroup(_read(host.proc, "1/cgroup"))


def inside_openvz(host: HostFS) -> bool:
    """Return whether the host is an OpenVZ container.

    In one, /proc/vz exists and /proc/bc, which shows all containers of the node, does not. A
    process's ``envID`` is 0 on the node; a kernel without it shows the node as row 0 of veinfo.
    """
    if not host.proc.exists("vz") or host.proc.exists("bc"):
        return False
    container = parse_status(_read(host.proc, "self/status")).get("envID", "")
    if container:
        return container != "0"
    return re.search(rb"^\s*0\s", _read(host.proc, "vz/veinfo"), re.MULTILINE) is None


def detect_machine(host: HostFS) -> str:
    """Return the hypervisor that the host runs on; "" on bare metal, or where it does not show."""
    by_firmware = _by_firmware(host.sys)
    by_clock = _by_clock(host.sys)
    if by_firmware not in ("", "qemu"):
        return by_firmware
    if by_clock == "xen" and "control_d" in _text(host.proc, "xen/capabilities"):
        # This is Xen's first domain, which controls the machine.
        return ""
    # QEMU has the same firmware with KVM and without it.
    hypervisor = by_clock or by_firmware
    if not hypervisor and _text(host.sys, "hypervisor/type").strip() == "xen":
        hypervisor = "" if "control_d" in _text(host.proc, "xen/capabilities") else "xen"
    return hypervisor or ("vm-other" if _has_hypervisor_flag(host.proc) else "")


def _manager(declared: str, host: HostFS) -> str:
    """Return the name of a container manager; ``oci`` may be any that follows that standard."""
    if declared in _CONTAINERS:
        return declared
    return (_by_marks(host) if declared == "oci" else "") or "container-other"


def _by_marks(host: HostFS) -> str:
    return next((name for path, name in _MARKS if host.root.exists(path)), "")


def _by_cgroup(data: bytes) -> str:
    return next((name for pattern, name in _CGROUPS if pattern.search(data)), "")


def _by_firmware(sys: Dir) -> str:
    product, vendor, *others = (_text(sys, f"class/dmi/id/{name}") for name in _DMI)
    if product.strip() == "Virtual Machine" and vendor.startswith("Microsoft"):
        return "microsoft"
    for text in (product, vendor, *others):
        for start, name in _FIRMWARE:
            if text.startswith(start):
                return name
    return ""


def _by_clock(sys: Dir) -> str:
    clocks = _text(sys, "devices/system/clocksource/clocksource0/available_clocksource").split()
    return next((name for start, name in _CLOCKS for c in clocks if c.startswith(start)), "")


def _has_hypervisor_flag(proc: Dir) -> bool:
    flags = re.search(rb"^flags\s*:(.*)$", _read(proc, "cpuinfo"), re.MULTILINE)
    return flags is not None and b"hypervisor" in flags[1].split()


def _variable(environ: bytes, name: bytes) -> str:
    for entry in environ.split(b"\0"):
        if entry.startswith(name + b"="):
            return entry[len(name) + 1 :].decode("utf-8", "replace")
    return ""


def _read(directory: Dir, path: str) -> bytes:
    return or_none(directory.read_head, path, _LIMIT) or b""


def _text(directory: Dir, path: str) -> str:
    return _read(directory, path).decode("utf-8", "replace")
