"""What a host itself runs in: a container, a virtual machine, or nothing.

In the ways and with the names of systemd-detect-virt(1): containers first, as the inner of the two
is what counts; then what the firmware, the clock and the processor say of a virtual machine.
Everything in here can be made up by whoever runs the container, so it is shown and not relied on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collectors.catalogue import ENGINES
from collectors.hostfs import HostReadError
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
"""Cgroup of pid 1 where nothing hides it: cgroup namespaces do since Linux 4.6."""

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
    """Name what the host runs in, as ``systemd-detect-virt`` does; "" for nothing that is known."""
    return detect_container(host) or detect_machine(host)


def is_inside(host: HostFacts) -> bool:
    """Return whether the host is the inside of a container, so that what is outside is not seen.

    An agent in a container of its own that was given the host's processes is not.
    """
    kind = host.virtualization
    is_container = kind in (*_CONTAINERS, "openvz", "container-other") and kind != "wsl"
    return is_container and host.namespaces.pid != INITIAL_PID_NAMESPACE


def detect_container(host: HostFS) -> str:
    """Name the kind of container that the host is in; "" when it is in none."""
    if inside_openvz(host):
        return "openvz"
    release = _text(host.proc, "sys/kernel/osrelease")
    if "Microsoft" in release or "WSL" in release:
        return "wsl"
    for said in (
        _text(host.root, "run/host/container-manager"),
        _text(host.root, "run/systemd/container"),
        _variable(_read(host.proc, "1/environ"), b"container"),
    ):
        if said.strip():
            return _known(said.strip(), host)
    return _by_marks(host) or _by_cgroup(_read(host.proc, "1/cgroup"))


def inside_openvz(host: HostFS) -> bool:
    """Return whether the host is an OpenVZ container.

    There /proc/vz exists and /proc/bc, which shows all containers of the node, does not. A process
    knows, too: ``envID`` is 0 for the node alone.
    """
    if not host.proc.exists("vz") or host.proc.exists("bc"):
        return False
    return parse_status(_read(host.proc, "self/status")).get("envID", "") != "0"


def detect_machine(host: HostFS) -> str:
    """Name the hypervisor that the host runs on; "" on bare metal, or when it hides well."""
    by_firmware = _by_firmware(host.sys)
    by_clock = _by_clock(host.sys)
    if by_firmware not in ("", "qemu"):
        return by_firmware
    if by_clock == "xen" and "control_d" in _text(host.proc, "xen/capabilities"):
        # The first domain of Xen is what the machine belongs to.
        return ""
    # QEMU with KVM and without have the same firmware.
    found = by_clock or by_firmware
    if not found and _text(host.sys, "hypervisor/type").strip() == "xen":
        found = "" if "control_d" in _text(host.proc, "xen/capabilities") else "xen"
    return found or ("vm-other" if _has_hypervisor_flag(host.proc) else "")


def _known(said: str, host: HostFS) -> str:
    """Return a container manager's name as it is known; ``oci`` says that it was any of them."""
    if said in _CONTAINERS:
        return said
    return (_by_marks(host) if said == "oci" else "") or "container-other"


def _by_marks(host: HostFS) -> str:
    return next((name for path, name in _MARKS if host.root.exists(path)), "")


def _by_cgroup(data: bytes) -> str:
    return next((name for pattern, name in _CGROUPS if pattern.search(data)), "")


def _by_firmware(sys: Dir) -> str:
    said = [_text(sys, f"class/dmi/id/{name}") for name in _DMI]
    if said[0].strip() == "Virtual Machine" and said[1].startswith("Microsoft"):
        return "microsoft"
    for text in said:
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
    try:
        return directory.read_head(path, _LIMIT)
    except HostReadError:
        # Not there, or not to be seen: then the other ways decide.
        return b""


def _text(directory: Dir, path: str) -> str:
    return _read(directory, path).decode("utf-8", "replace")
