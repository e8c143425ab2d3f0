"""What the kernel counts of a container, and the files that say it, on v1, hybrid and v2 hosts.

A new counter of a cgroup is a member of ``Scalar`` and a line with each file that says it; the
metric that shows it is a row in ``agent.metrics.cadvisor``. Where the host has the same counter,
``host`` reads it from /proc.

All values are decimal text in base units. The kernel prints decimals and Prometheus reads decimals:
what needs no arithmetic is never turned into a number on the way, and what needs a shift of the
decimal point gets just that, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto, unique
from typing import TYPE_CHECKING

from collectors.kernel.cgroups import UNIFIED
from collectors.kernel.counters import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from collectors.kernel.counters.devices import Devices
    from collectors.kernel.counters.parse import Values


@unique
class Scalar(IntEnum):
    """The values of which a container has one each: indices into ``Counters.scalars``."""

    CPU_USAGE = 0  # seconds, as all times here
    CPU_USER = auto()
    CPU_SYSTEM = auto()
    CFS_PERIODS = auto()
    CFS_THROTTLED_PERIODS = auto()
    CFS_THROTTLED = auto()
    MEMORY_USAGE = auto()  # bytes
    MEMORY_MAX_USAGE = auto()
    MEMORY_WORKING_SET = auto()
    MEMORY_RSS = auto()
    MEMORY_CACHE = auto()
    MEMORY_MAPPED_FILE = auto()
    MEMORY_SWAP = auto()
    MEMORY_KERNEL = auto()
    MEMORY_FAILCNT = auto()
    PAGE_FAULTS = auto()
    MAJOR_PAGE_FAULTS = auto()
    OOM_KILLS = auto()
    MEMORY_ACTIVE_FILE = auto()
    MEMORY_INACTIVE_FILE = auto()
    MEMORY_DIRTY = auto()
    MEMORY_WRITEBACK = auto()
    MEMORY_PGSCAN = auto()
    MEMORY_PGSTEAL = auto()
    MEMORY_REFAULT_FILE = auto()
    MEMORY_REFAULT_ANON = auto()
    MEMORY_EVENTS_HIGH = auto()
    MEMORY_EVENTS_MAX = auto()
    PRESSURE_CPU_SOME = auto()
    PRESSURE_CPU_FULL = auto()
    PRESSURE_MEMORY_SOME = auto()
    PRESSURE_MEMORY_FULL = auto()
    PRESSURE_IO_SOME = auto()
    PRESSURE_IO_FULL = auto()
    PROCESSES = auto()
    THREADS = auto()
    DESCRIPTORS = auto()
    SOCKETS = auto()
    TASKS = auto()  # threads and zombies: what the pids controller counts
    ZOMBIES = auto()  # None where there are none
    INTERFACES_LEFT_OUT = auto()  # None where there are none


@unique
class Table(IntEnum):
    """The values of which a container has several: keys of ``Counters.tables``."""

    NETWORK = 0
    """By interface: bytes, packets, dropped, errors received; the same sent."""
    IO_BYTES = auto()
    """By device: bytes read, bytes written."""
    IO_OPERATIONS = auto()
    """By device: reads, writes."""
    IO_BY_OPERATION = auto()
    """By device, major, minor and operation: bytes."""
    HUGETLB = auto()
    """By page size: bytes in use, most bytes in use."""
    TCP = auto()
    """By state: sockets."""
    TCP6 = auto()
    UDP = auto()
    UDP6 = auto()
    DISK = auto()
    """By device of the host: seconds reading, seconds writing, requests under way, busy seconds."""


Tables = dict[Table, parse.Rows]
"""The tables of a container while they are read."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a container's cgroup, and what it says."""

    controller: str
    """The hierarchy that it is in, as in ``Container.cgroups``."""
    file: str
    group: str
    """The group that wants it; a source is read when its group is on."""
    parse: Callable[[bytes, Values, Tables, Devices], None]
    scalars: tuple[Scalar, ...] = ()
    """What becomes unknown when the file is not there any more; ``tables`` as well."""
    tables: tuple[Table, ...] = ()
    moves_when_idle: bool = True
    """It can change while no process of the container gets any CPU time: memory is reclaimed from
    outside, waits go on, writeback comes later. The others are read when there was CPU time."""


def _flat(
    controller: str, file: str, group: str, *fields: tuple[bytes, Scalar, int], idle: bool = True
) -> Source:
    parser = parse.flat(fields)
    return Source(
        controller,
        file,
        group,
        lambda raw, values, _, __: parser(raw, values),
        tuple(scalar for _, scalar, _ in fields),
        moves_when_idle=idle,
    )


def _single(
    controller: str, file: str, group: str, scalar: Scalar, digits: int = 0, *, idle: bool = True
) -> Source:
    parser = parse.single(scalar, digits)
    return Source(
        controller,
        file,
        group,
        lambda raw, values, _, __: parser(raw, values),
        (scalar,),
        moves_when_idle=idle,
    )


def _pressure(resource: str, some: Scalar, full: Scalar) -> Source:
    parser = parse.pressure(some, full)
    return Source(
        UNIFIED,
        f"{resource}.pressure",
        "pressure",
        lambda raw, values, _, __: parser(raw, values),
        (some, full),
    )


def _blkio(file: str, table: Table, group: str) -> Source:
    def parser(raw: bytes, _: Values, tables: Tables, devices: Devices) -> None:
        tables[table] = tuple(
            ((devices.name(number),), (found.get("read"), found.get("write")))
            for number, found in parse.busiest_devices(parse.blkio(raw))
        )

    return Source("blkio", file, group, parser, tables=(table,), moves_when_idle=False)


def _blkio_operations(file: str) -> Source:
    def parser(raw: bytes, _: Values, tables: Tables, devices: Devices) -> None:
        tables[Table.IO_BY_OPERATION] = tuple(
            ((devices.name(number), *number.partition(":")[::2], operation.capitalize()), (count,))
            for number, found in parse.busiest_devices(parse.blkio(raw))
            for operation, count in found.items()
        )

    return Source(
        "blkio",
        file,
        "blkio_device",
        parser,
        tables=(Table.IO_BY_OPERATION,),
        moves_when_idle=False,
    )


def _io_stat(raw: bytes, _: Values, tables: Tables, devices: Devices) -> None:
    found = parse.busiest_devices(parse.io_stat(raw))
    tables[Table.IO_BYTES] = tuple(
        ((devices.name(number),), (keys.get("rbytes"), keys.get("wbytes")))
        for number, keys in found
    )
    tables[Table.IO_OPERATIONS] = tuple(
        ((devices.name(number),), (keys.get("rios"), keys.get("wios"))) for number, keys in found
    )


def _io_stat_operations(raw: bytes, _: Values, tables: Tables, devices: Devices) -> None:
    names = (("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard"))
    tables[Table.IO_BY_OPERATION] = tuple(
        ((devices.name(number), *number.partition(":")[::2], operation), (keys[key],))
        for number, keys in parse.busiest_devices(parse.io_stat(raw))
        for key, operation in names
        if key in keys
    )


_UNIFIED_CPU = (
    (b"usage_usec", Scalar.CPU_USAGE, parse.MICROSECONDS),
    (b"user_usec", Scalar.CPU_USER, parse.MICROSECONDS),
    (b"system_usec", Scalar.CPU_SYSTEM, parse.MICROSECONDS),
)
UNIFIED_CPU = _flat(UNIFIED, "cpu.stat", "cpu", *_UNIFIED_CPU)
"""There in every unified tree, also in that of a hybrid host, which has no controllers."""

_PERIODS = (
    (b"nr_periods", Scalar.CFS_PERIODS, 0),
    (b"nr_throttled", Scalar.CFS_THROTTLED_PERIODS, 0),
)
V2_CPU_WITH_QUOTA = _flat(
    UNIFIED,
    "cpu.stat",
    "cpu",
    *_UNIFIED_CPU,
    *_PERIODS,
    (b"throttled_usec", Scalar.CFS_THROTTLED, parse.MICROSECONDS),
)

V1_CPU = (
    _single("cpuacct", "cpuacct.usage", "cpu", Scalar.CPU_USAGE, parse.NANOSECONDS),
    _flat(
        "cpuacct",
        "cpuacct.stat",
        "cpu",
        (b"user", Scalar.CPU_USER, parse.TICKS),
        (b"system", Scalar.CPU_SYSTEM, parse.TICKS),
        idle=False,
    ),
)

V1_THROTTLED = _flat(
    "cpu",
    "cpu.stat",
    "cpu",
    *_PERIODS,
    (b"throttled_time", Scalar.CFS_THROTTLED, parse.NANOSECONDS),
)

_V1_MEMORY_STAT = (
    (b"total_rss", Scalar.MEMORY_RSS, 0),
    (b"total_cache", Scalar.MEMORY_CACHE, 0),
    (b"total_mapped_file", Scalar.MEMORY_MAPPED_FILE, 0),
    (b"total_swap", Scalar.MEMORY_SWAP, 0),
    (b"total_inactive_file", Scalar.MEMORY_INACTIVE_FILE, 0),
    (b"total_pgfault", Scalar.PAGE_FAULTS, 0),
    (b"total_pgmajfault", Scalar.MAJOR_PAGE_FAULTS, 0),
)
_V1_MEMORY_DETAIL = (
    (b"total_active_file", Scalar.MEMORY_ACTIVE_FILE, 0),
    (b"total_dirty", Scalar.MEMORY_DIRTY, 0),
    (b"total_writeback", Scalar.MEMORY_WRITEBACK, 0),
    (b"total_workingset_refault_file", Scalar.MEMORY_REFAULT_FILE, 0),
    (b"total_workingset_refault_anon", Scalar.MEMORY_REFAULT_ANON, 0),
)

V1_MEMORY = (
    _flat("memory", "memory.stat", "memory", *_V1_MEMORY_STAT),
    _flat("memory", "memory.stat", "memory_detail", *_V1_MEMORY_DETAIL),
    _single("memory", "memory.usage_in_bytes", "memory", Scalar.MEMORY_USAGE),
    _single("memory", "memory.kmem.usage_in_bytes", "memory_detail", Scalar.MEMORY_KERNEL),
    _single("memory", "memory.max_usage_in_bytes", "memory", Scalar.MEMORY_MAX_USAGE, idle=False),
    _single("memory", "memory.failcnt", "memory", Scalar.MEMORY_FAILCNT, idle=False),
    _flat(
        "memory",
        "memory.oom_control",
        "memory",
        (b"oom_kill", Scalar.OOM_KILLS, 0),
        idle=False,
    ),
)

_V2_MEMORY_STAT = (
    (b"anon", Scalar.MEMORY_RSS, 0),
    (b"file", Scalar.MEMORY_CACHE, 0),
    (b"file_mapped", Scalar.MEMORY_MAPPED_FILE, 0),
    (b"inactive_file", Scalar.MEMORY_INACTIVE_FILE, 0),
    (b"pgfault", Scalar.PAGE_FAULTS, 0),
    (b"pgmajfault", Scalar.MAJOR_PAGE_FAULTS, 0),
)
_V2_MEMORY_DETAIL = (
    (b"kernel", Scalar.MEMORY_KERNEL, 0),
    (b"active_file", Scalar.MEMORY_ACTIVE_FILE, 0),
    (b"file_dirty", Scalar.MEMORY_DIRTY, 0),
    (b"file_writeback", Scalar.MEMORY_WRITEBACK, 0),
    (b"pgscan", Scalar.MEMORY_PGSCAN, 0),
    (b"pgsteal", Scalar.MEMORY_PGSTEAL, 0),
    (b"workingset_refault_file", Scalar.MEMORY_REFAULT_FILE, 0),
    (b"workingset_refault_anon", Scalar.MEMORY_REFAULT_ANON, 0),
)

V2_MEMORY = (
    _flat(UNIFIED, "memory.stat", "memory", *_V2_MEMORY_STAT),
    _flat(UNIFIED, "memory.stat", "memory_detail", *_V2_MEMORY_DETAIL),
    _single(UNIFIED, "memory.current", "memory", Scalar.MEMORY_USAGE),
    _single(UNIFIED, "memory.swap.current", "memory", Scalar.MEMORY_SWAP),
    _single(UNIFIED, "memory.peak", "memory", Scalar.MEMORY_MAX_USAGE, idle=False),
    _flat(
        UNIFIED,
        "memory.events",
        "memory",
        (b"oom_kill", Scalar.OOM_KILLS, 0),
        idle=False,
    ),
    _flat(
        UNIFIED,
        "memory.events",
        "memory_detail",
        (b"high", Scalar.MEMORY_EVENTS_HIGH, 0),
        (b"max", Scalar.MEMORY_EVENTS_MAX, 0),
        idle=False,
    ),
)

PRESSURE = (
    _pressure("cpu", Scalar.PRESSURE_CPU_SOME, Scalar.PRESSURE_CPU_FULL),
    _pressure("memory", Scalar.PRESSURE_MEMORY_SOME, Scalar.PRESSURE_MEMORY_FULL),
    _pressure("io", Scalar.PRESSURE_IO_SOME, Scalar.PRESSURE_IO_FULL),
)

_V1_IO = {
    policy: (
        _blkio(f"blkio.{policy}.io_service_bytes_recursive", Table.IO_BYTES, "io"),
        _blkio(f"blkio.{policy}.io_serviced_recursive", Table.IO_OPERATIONS, "io"),
        _blkio_operations(f"blkio.{policy}.io_service_bytes_recursive"),
    )
    for policy in ("throttle", "bfq")
}

V2_IO = (
    Source(UNIFIED, "io.stat", "io", _io_stat, tables=(Table.IO_BYTES, Table.IO_OPERATIONS)),
    Source(
        UNIFIED, "io.stat", "blkio_device", _io_stat_operations, tables=(Table.IO_BY_OPERATION,)
    ),
)


def _pids(controller: str) -> Source:
    parser = parse.single(Scalar.TASKS)
    return Source(
        controller,
        "pids.current",
        "process",
        lambda raw, values, _, __: parser(raw, values),
        (Scalar.TASKS, Scalar.THREADS, Scalar.ZOMBIES),
        moves_when_idle=False,
    )


def _hugetlb(controller: str, size: str) -> tuple[Source, ...]:
    def used(raw: bytes, _: Values, tables: Tables, __: Devices) -> None:
        _put_hugetlb(tables, size, 0, parse.number(raw))

    def most(raw: bytes, _: Values, tables: Tables, __: Devices) -> None:
        _put_hugetlb(tables, size, 1, parse.number(raw))

    if controller == UNIFIED:
        return (Source(UNIFIED, f"hugetlb.{size}.current", "hugetlb", used),)
    return (
        Source("hugetlb", f"hugetlb.{size}.usage_in_bytes", "hugetlb", used),
        Source("hugetlb", f"hugetlb.{size}.max_usage_in_bytes", "hugetlb", most),
    )


def _put_hugetlb(tables: Tables, size: str, column: int, value: bytes | None) -> None:
    rows = {key[0]: list(values) for key, values in tables.get(Table.HUGETLB, ())}
    row = rows.setdefault(size, [None, None])
    row[column] = value
    # A container that has never used huge pages shows none.
    tables[Table.HUGETLB] = tuple(
        ((name,), tuple(values))
        for name, values in rows.items()
        if any(value is not None and value.strip(b"0") for value in values)
    )


def working_set(values: Values) -> None:
    """Work out the memory in use without inactive page cache, as cAdvisor has it."""
    usage, inactive = values[Scalar.MEMORY_USAGE], values[Scalar.MEMORY_INACTIVE_FILE]
    if usage is None or inactive is None:
        values[Scalar.MEMORY_WORKING_SET] = None
    else:
        values[Scalar.MEMORY_WORKING_SET] = b"%d" % max(0, int(usage) - int(inactive))


def sources(
    controllers: Collection[str],
    groups: Collection[str],
    *,
    quota: bool,
    bfq: bool = False,
    hugepages: Sequence[str] = (),
    cpu: str | None = None,
) -> tuple[Source, ...]:
    """Choose the files of a container that has a cgroup of its own in these hierarchies.

    The first one is its CPU use, by which the reader sees whether it has run at all; the last ones
    are those that are opened anew each time when descriptors are short. ``bfq`` says that a block
    device of the host is scheduled by BFQ, which counts apart; ``hugepages`` are the sizes of
    which the host has any. ``cpu`` is the hierarchy of the CPU time, by default the best one.
    """
    chosen = [*_cpu(controllers, cpu_controller(controllers) if cpu is None else cpu, quota=quota)]
    chosen += _either("memory", V1_MEMORY, V2_MEMORY, controllers)
    chosen += _either("none", (), PRESSURE, controllers)
    chosen += _either("blkio", _V1_IO["bfq" if bfq else "throttle"], V2_IO, controllers)
    chosen += _either("pids", (_pids("pids"),), (_pids(UNIFIED),), controllers)
    for size in hugepages:
        v1, v2 = _hugetlb("hugetlb", size), _hugetlb(UNIFIED, size)
        chosen += _either("hugetlb", v1, v2, controllers)
    wanted = [source for source in chosen if source.group in groups]
    return tuple(sorted(wanted, key=lambda source: not source.moves_when_idle))


def cpu_controller(controllers: Collection[str]) -> str | None:
    """Return the hierarchy that tells the CPU time of a container best; None if none does."""
    return next((c for c in CPU_CONTROLLERS if c in controllers), None)


CPU_CONTROLLERS = (UNIFIED, "cpuacct")
"""The hierarchies that tell the CPU time, the best first. Their numbers differ a little."""


def _cpu(controllers: Collection[str], cpu: str | None, *, quota: bool) -> Iterator[Source]:
    if cpu == UNIFIED:
        v2_quota = quota and "cpu" not in controllers
        yield V2_CPU_WITH_QUOTA if v2_quota else UNIFIED_CPU
    elif cpu is not None:
        yield from V1_CPU
    if quota and "cpu" in controllers:
        yield V1_THROTTLED


def _either(
    controller: str,
    v1: tuple[Source, ...],
    v2: tuple[Source, ...],
    controllers: Collection[str],
) -> tuple[Source, ...]:
    """Choose v1's files where the controller has a hierarchy of its own, else the unified one."""
    if controller in controllers:
        return v1
    return v2 if UNIFIED in controllers else ()
