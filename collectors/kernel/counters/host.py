"""The host's own counters, for ``id="/"``: from /proc, which is the host's whatever the cgroups.

proc_stat(5), proc_meminfo(5), proc_vmstat(5), proc_diskstats(5), proc_loadavg(5), and
Documentation/accounting/psi.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.hostfs import or_none
from collectors.kernel.counters import parse
from collectors.kernel.counters.model import Draft
from collectors.kernel.counters.sources import Scalar, Table, working_set
from collectors.kernel.host import parse_meminfo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from collectors.hostfs import HostFS
    from collectors.kernel.counters.model import Counters
    from collectors.kernel.counters.parse import Rows

_PRESSURE = (
    ("cpu", parse.pressure(Scalar.PRESSURE_CPU_SOME, Scalar.PRESSURE_CPU_FULL)),
    ("memory", parse.pressure(Scalar.PRESSURE_MEMORY_SOME, Scalar.PRESSURE_MEMORY_FULL)),
    ("io", parse.pressure(Scalar.PRESSURE_IO_SOME, Scalar.PRESSURE_IO_FULL)),
)
_VMSTAT = parse.flat(
    (
        (b"pgfault", Scalar.PAGE_FAULTS, 0),
        (b"pgmajfault", Scalar.MAJOR_PAGE_FAULTS, 0),
        (b"oom_kill", Scalar.OOM_KILLS, 0),
    )
)
_Row = tuple[tuple[str, ...], tuple[bytes | None, ...]]
_SECTOR = 512
_MOST_DISKS = 64
_KEPT = 1024
"""Names of block devices that are remembered; mappings and loops come and go."""
_MOST_INTERFACES = 64
_IN_HOST_NETWORK = ("1", "2", "self")
"""Whose net/dev is the host's: init's, else kthreadd's, else our own."""


class HostCounters:
    """Reads the host's counters; what cannot be read is unknown."""

    def __init__(self, host: HostFS, groups: Collection[str]) -> None:
        self._host = host
        self._groups = groups
        self._is_disk: dict[str, bool] = {}

    def read(self) -> Counters:
        """Read them all."""
        draft, host = Draft(), self._host
        if "cpu" in self._groups:
            cpu(_read(host, "stat"), draft)
        if "memory" in self._groups:
            memory(_read(host, "meminfo"), draft)
            _VMSTAT(_read(host, "vmstat"), draft.scalars)
        if "pressure" in self._groups:
            for resource, parser in _PRESSURE:
                parser(_read(host, f"pressure/{resource}"), draft.scalars)
        if "process" in self._groups:
            # 0.20 0.18 0.12 1/80 11206: the fourth is runnable/all threads.
            words = _read(host, "loadavg").split()
            threads = words[3].partition(b"/")[2] if len(words) > 3 else b""
            draft.scalars[Scalar.THREADS] = threads if threads.isdigit() else None
        if "io" in self._groups:
            disks(_read(host, "diskstats"), draft, self._disk)
        if "network" in self._groups:
            draft.tables[Table.NETWORK] = parse.busiest_interfaces(
                _network(host), (), _MOST_INTERFACES
            )
        return draft.finish()

    def _disk(self, name: str) -> bool:
        """Return whether a block device is hardware, not a partition, loop or mapping of another.

        What is written through those would be counted twice.
        """
        is_disk = self._is_disk.get(name)
        if is_disk is None:
            if len(self._is_disk) >= _KEPT:
                self._is_disk.clear()
            is_disk = self._is_disk[name] = self._host.sys.exists(f"block/{name}/device")
        return is_disk


def cpu(raw: bytes, draft: Draft) -> None:
    """Parse the first line of /proc/stat, ticks: user nice system idle iowait irq softirq."""
    words = raw.partition(b"\n")[0].split()
    if len(words) < 8 or words[0] != b"cpu" or not all(word.isdigit() for word in words[1:8]):
        return
    user, nice, system, _, _, irq, softirq = map(int, words[1:8])
    for scalar, ticks in (
        (Scalar.CPU_USER, user + nice),
        (Scalar.CPU_SYSTEM, system + irq + softirq),
        (Scalar.CPU_USAGE, user + nice + system + irq + softirq),
    ):
        draft.scalars[scalar] = parse.shifted(b"%d" % ticks, parse.TICKS)


def memory(raw: bytes, draft: Draft) -> None:
    """Parse /proc/meminfo into the values that cgroups have."""
    sizes = parse_meminfo(raw)

    def put(scalar: Scalar, *names: str, less: str = "") -> None:
        if all(name in sizes for name in (*names, less) if name):
            total = sum(sizes[name] for name in names) - (sizes[less] if less else 0)
            draft.scalars[scalar] = b"%d" % max(0, total)

    put(Scalar.MEMORY_USAGE, "MemTotal", less="MemFree")
    put(Scalar.MEMORY_RSS, "AnonPages")
    put(Scalar.MEMORY_CACHE, "Cached", "Buffers")
    put(Scalar.MEMORY_MAPPED_FILE, "Mapped")
    put(Scalar.MEMORY_SWAP, "SwapTotal", less="SwapFree")
    put(Scalar.MEMORY_KERNEL, "Slab", "KernelStack", "PageTables")
    put(Scalar.MEMORY_INACTIVE_FILE, "Inactive(file)")
    put(Scalar.MEMORY_ACTIVE_FILE, "Active(file)")
    put(Scalar.MEMORY_DIRTY, "Dirty")
    put(Scalar.MEMORY_WRITEBACK, "Writeback")
    working_set(draft.scalars)


def disks(raw: bytes, draft: Draft, is_disk: Callable[[str], bool]) -> None:
    """Parse /proc/diskstats: what was read and written, and the time it took, in seconds."""
    sizes: list[_Row] = []
    operations: list[_Row] = []
    times: list[_Row] = []
    for line in raw.split(b"\n"):
        words = line.split()
        if len(words) < 14 or not all(word.isdigit() for word in words[3:14]):
            continue
        name = words[2].decode("utf-8", "replace")
        if len(sizes) >= _MOST_DISKS or not is_disk(name):
            continue
        key = (f"/dev/{name}",)
        reads, _, sectors_read, reading, writes, _, sectors_written, writing, current, busy = words[
            3:13
        ]
        sizes.append((key, (_bytes(sectors_read), _bytes(sectors_written))))
        operations.append((key, (reads, writes)))
        in_seconds = [parse.shifted(ms, parse.MILLISECONDS) for ms in (reading, writing, busy)]
        times.append((key, (in_seconds[0], in_seconds[1], current, in_seconds[2])))
    draft.tables[Table.IO_BYTES] = tuple(sizes)
    draft.tables[Table.IO_OPERATIONS] = tuple(operations)
    draft.tables[Table.DISK] = tuple(times)


def _bytes(sectors: bytes) -> bytes:
    return b"%d" % (int(sectors) * _SECTOR)


def _network(host: HostFS) -> Rows:
    for process in _IN_HOST_NETWORK:
        raw = _read(host, f"{process}/net/dev")
        if raw:
            return parse.net_dev(raw)
    return ()


def _read(host: HostFS, path: str) -> bytes:
    return or_none(host.proc.read, path) or b""
