"""What machine this is: names, namespaces, root, memory and CPUs of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.facts import CgroupLayout, FileId, HostFacts, Namespaces
from collectors.hostfs import HostReadError
from collectors.kernel.cgroups import read_layout
from collectors.kernel.processes import parse_stat, read_namespaces
from collectors.kernel.virtualization import detect

if TYPE_CHECKING:
    from collectors.hostfs import Dir, HostFS

_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_KTHREADD = 2
"""The parent of all kernel threads: always in the initial namespaces, and readable by root even
where /proc/1 is not (in some virtual machines and hardened containers)."""


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


def parse_meminfo(data: bytes) -> dict[str, int]:
    """Parse /proc/meminfo into bytes by name, proc_meminfo(5); counts of pages stay counts."""
    found: dict[str, int] = {}
    for line in data.decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal() and words[0].isascii():
            found[name] = int(words[0]) << 10 if words[1:] == ["kB"] else int(words[0])
    return found


def parse_cpu_list(text: str) -> int:
    """Count the CPUs in a list such as ``0-3,8``; 0 when it is not one."""
    count = 0
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first + last).isascii() or not first.isdecimal() or (dash and not last.isdecimal()):
            return 0
        count += int(last) - int(first) + 1 if dash else 1
    return max(count, 0)


def _nodename(host: HostFS) -> str:
    """Return the host's own name, not that of a container that the agent may run in."""
    own, theirs = _uts(host.proc, "self"), _uts(host.proc, "1")
    if own is not None and theirs is not None and own != theirs:
        name = _line(host.root, "etc/hostname")
        if name:
            return name
    return _line(host.proc, "sys/kernel/hostname")


def _uts(proc: Dir, process: str) -> str | None:
    try:
        return proc.readlink(f"{process}/ns/uts")
    except HostReadError:
        return None


def _sees_all_processes(host: HostFS, cgroups: CgroupLayout) -> bool:
    """Return whether /proc shows what is in the cgroups.

    A process that is in no pid namespace of the reader's has the number 0 in cgroup.procs.
    """
    hidden = (
        b"\n0\n" in b"\n" + _read(host.sys, f"{top}/cgroup.procs")
        for top in cgroups.hierarchies.values()
    )
    return not any(hidden)


def _namespaces(host: HostFS) -> Namespaces:
    """Read the host's namespaces from pid 1, else from kthreadd, else take our own for them."""
    for pid in ("1", str(_KTHREADD), "self"):
        if pid == str(_KTHREADD) and not _is_kernel_thread(host.proc):
            continue
        try:
            with host.proc.open_dir(pid) as directory:
                found = read_namespaces(directory)
        except HostReadError:
            continue
        if found.mnt is not None:
            return found
    return Namespaces()


def _root(host: HostFS) -> FileId | None:
    """Say what the host's / is, in the same order; last, the root that the agent was given."""
    for pid in ("1", str(_KTHREADD)):
        if pid == str(_KTHREADD) and not _is_kernel_thread(host.proc):
            continue
        try:
            return host.proc.file_id(f"{pid}/root/")
        except HostReadError:
            continue
    try:
        return host.root.file_id()
    except HostReadError:
        return None


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
    """Take btime out of /proc/stat, proc_stat(5): seconds since the epoch."""
    for line in data.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"btime" and value.isdigit():
            return float(value)
    return 0.0


def _read(directory: Dir, path: str) -> bytes:
    try:
        return directory.read(path)
    except HostReadError:
        return b""


def _line(directory: Dir, path: str) -> str:
    return _read(directory, path).decode("utf-8", "replace").strip()
