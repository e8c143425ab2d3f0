"""The host itself: its names, namespaces, root, memory and CPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.facts import CgroupLayout, FileId, HostFacts, Namespaces
from collectors.hostfs import or_none
from collectors.kernel.cgroups import read_layout
from collectors.kernel.processes import parse_stat, read_namespaces
from collectors.kernel.virtualization import detect

if TYPE_CHECKING:
    from collectors.hostfs import Dir, HostFS

_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_KTHREADD = 2
"""Pid of the parent of all kernel threads, which is always in the initial namespaces. Root can
read it even where /proc/1 is closed (in some virtual machines and hardened containers)."""


def read_host_facts(host: HostFS) -> HostFacts:
    """Read what does not change while the host runs; what cannot be read stays empty."""
    memory = parse_meminfo(_read(host.proc, "meminfo"))
    cgroups = read_layout(host)
    return HostFacts(
        nodename=_nodename(host),
        kernel=_line(host.proc, "sys/kernel/osrelease"),
        boot_id=_line(host.proc, "sys/kernel/random/boot_id"),
        machine_id=_line(host.root, "etc/machine-id")
        or _line(host.root, "var/lib/dbus/machine-id"),
        system_uuid=_line(host.sys, "class/dmi/id/product_uuid").lower(),
        boot_time=_boot_time(_read(host.proc, "stat")),
        virtualization=detect(host),
        cgroups=cgroups,
        namespaces=_namespaces(host),
        all_processes=_sees_all_processes(host, cgroups),
        root=_root(host),
        cpus=_cpus(host),
        memory_bytes=memory.get("MemTotal"),
        swap_bytes=memory.get("SwapTotal"),
    )


def read_uptime(host: HostFS) -> float | None:
    """Return the seconds since boot as of now, proc_uptime(5); None where it cannot be read."""
    try:
        return float(_read(host.proc, "uptime").split()[0])
    except (ValueError, IndexError):
        return None


def parse_meminfo(data: bytes) -> dict[str, int]:
    """Parse /proc/meminfo into bytes by name, proc_meminfo(5); counts of pages stay counts."""
    sizes: dict[str, int] = {}
    for line in data.decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal() and words[0].isascii():
            sizes[name] = int(words[0]) << 10 if words[1:] == ["kB"] else int(words[0])
    return sizes


def parse_cpu_list(text: str) -> int:
    """Count the CPUs in a list such as ``0-3,8``; 0 when it is malformed."""
    count = 0
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first + last).isascii() or not first.isdecimal() or (dash and not last.isdecimal()):
            return 0
        count += int(last) - int(first) + 1 if dash else 1
    return max(count, 0)


def _nodename(host: HostFS) -> str:
    """Return the host's own name, not that of a container that the agent may run in."""
    own = or_none(host.proc.readlink, "self/ns/uts")
    theirs = or_none(host.proc.readlink, "1/ns/uts")
    if own is not None and theirs is not None and own != theirs:
        name = _line(host.root, "etc/hostname")
        if name:
            return name
    return _line(host.proc, "sys/kernel/hostname")


def _sees_all_processes(host: HostFS, cgroups: CgroupLayout) -> bool:
    """Return whether /proc shows all processes that are in the cgroups.

    In cgroup.procs a process that the reader's pid namespace does not contain has the number 0.
    """
    hidden = (
        b"\n0\n" in b"\n" + _read(host.sys, f"{top}/cgroup.procs")
        for top in cgroups.hierarchies.values()
    )
    return not any(hidden)


def _namespaces(host: HostFS) -> Namespaces:
    """Read the host's namespaces: pid 1's, else kthreadd's, else our own."""
    for pid in ("1", str(_KTHREADD), "self"):
        if pid == str(_KTHREADD) and not _is_kernel_thread(host.proc):
            continue
        directory = or_none(host.proc.open_dir, pid)
        if directory is None:
            continue
        with directory:
            namespaces = read_namespaces(directory)
        if namespaces.mnt is not None:
            return namespaces
    return Namespaces()


def _root(host: HostFS) -> FileId | None:
    """Return what the host's / is: pid 1's, else kthreadd's, else the root that the agent has."""
    for pid in ("1", str(_KTHREADD)):
        if pid == str(_KTHREADD) and not _is_kernel_thread(host.proc):
            continue
        root = or_none(host.proc.file_id, f"{pid}/root/")
        if root is not None:
            return root
    return or_none(host.root.file_id)


def _is_kernel_thread(proc: Dir) -> bool:
    """Return whether pid 2 is kthreadd: in a container's own pid namespace it can be anything."""
    fields = parse_stat(_read(proc, f"{_KTHREADD}/stat"))
    return fields is not None and bool(fields.flags & _PF_KTHREAD)


def _cpus(host: HostFS) -> int:
    online = parse_cpu_list(_line(host.sys, "devices/system/cpu/online"))
    if online:
        return online
    lines = _read(host.proc, "stat").split(b"\n")
    return max(sum(line.startswith(b"cpu") and line[3:4].isdigit() for line in lines), 1)


def _boot_time(data: bytes) -> float:
    """Parse btime in /proc/stat, proc_stat(5): seconds since the epoch; 0 if it is not there."""
    for line in data.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"btime" and value.isdigit():
            return float(value)
    return 0.0


def _read(directory: Dir, path: str) -> bytes:
    return or_none(directory.read, path) or b""


def _line(directory: Dir, path: str) -> str:
    return _read(directory, path).decode("utf-8", "replace").strip()
