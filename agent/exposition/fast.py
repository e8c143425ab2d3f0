"""Which metric shows which of the kernel's counters, and under which further labels."""

from __future__ import annotations

from typing import NamedTuple

from collectors.kernel.counters import Scalar, Table


class Cell(NamedTuple):
    """A scalar, with labels of its own in front of the closing brace."""

    scalar: Scalar
    labels: bytes = b""


class Column(NamedTuple):
    """A column of a table, and the label names that its keys stand for."""

    table: Table
    column: int
    labels: tuple[str, ...]
    extra: bytes = b""


def _failures(kind: str, scalar: Scalar) -> Cell:
    # cAdvisor has the same value once more under scope="hierarchy": sums were twice the truth.
    return Cell(scalar, f',failure_type="{kind}",scope="container"'.encode())


SCALARS: dict[str, tuple[Cell, ...]] = {
    "container_cpu_usage_seconds_total": (Cell(Scalar.CPU_USAGE, b',cpu="total"'),),
    "container_cpu_user_seconds_total": (Cell(Scalar.CPU_USER),),
    "container_cpu_system_seconds_total": (Cell(Scalar.CPU_SYSTEM),),
    "container_cpu_cfs_periods_total": (Cell(Scalar.CFS_PERIODS),),
    "container_cpu_cfs_throttled_periods_total": (Cell(Scalar.CFS_THROTTLED_PERIODS),),
    "container_cpu_cfs_throttled_seconds_total": (Cell(Scalar.CFS_THROTTLED),),
    "container_memory_usage_bytes": (Cell(Scalar.MEMORY_USAGE),),
    "container_memory_max_usage_bytes": (Cell(Scalar.MEMORY_MAX_USAGE),),
    "container_memory_working_set_bytes": (Cell(Scalar.MEMORY_WORKING_SET),),
    "container_memory_rss": (Cell(Scalar.MEMORY_RSS),),
    "container_memory_cache": (Cell(Scalar.MEMORY_CACHE),),
    "container_memory_mapped_file": (Cell(Scalar.MEMORY_MAPPED_FILE),),
    "container_memory_swap": (Cell(Scalar.MEMORY_SWAP),),
    "container_memory_kernel_usage": (Cell(Scalar.MEMORY_KERNEL),),
    "container_memory_failcnt": (Cell(Scalar.MEMORY_FAILCNT),),
    "container_memory_failures_total": (
        _failures("pgfault", Scalar.PAGE_FAULTS),
        _failures("pgmajfault", Scalar.MAJOR_PAGE_FAULTS),
    ),
    "container_oom_events_total": (Cell(Scalar.OOM_KILLS),),
    "container_pressure_cpu_waiting_seconds_total": (Cell(Scalar.PRESSURE_CPU_SOME),),
    "container_pressure_cpu_stalled_seconds_total": (Cell(Scalar.PRESSURE_CPU_FULL),),
    "container_pressure_memory_waiting_seconds_total": (Cell(Scalar.PRESSURE_MEMORY_SOME),),
    "container_pressure_memory_stalled_seconds_total": (Cell(Scalar.PRESSURE_MEMORY_FULL),),
    "container_pressure_io_waiting_seconds_total": (Cell(Scalar.PRESSURE_IO_SOME),),
    "container_pressure_io_stalled_seconds_total": (Cell(Scalar.PRESSURE_IO_FULL),),
    "container_processes": (Cell(Scalar.PROCESSES),),
    "container_threads": (Cell(Scalar.THREADS),),
    **{
        f"container_memory_{name}": (Cell(scalar),)
        for name, scalar in (
            ("total_active_file_bytes", Scalar.MEMORY_ACTIVE_FILE),
            ("total_inactive_file_bytes", Scalar.MEMORY_INACTIVE_FILE),
            ("file_dirty_bytes", Scalar.MEMORY_DIRTY),
            ("file_writeback_bytes", Scalar.MEMORY_WRITEBACK),
            ("pgscan_total", Scalar.MEMORY_PGSCAN),
            ("pgsteal_total", Scalar.MEMORY_PGSTEAL),
            ("workingset_refault_file_total", Scalar.MEMORY_REFAULT_FILE),
            ("workingset_refault_anon_total", Scalar.MEMORY_REFAULT_ANON),
            ("events_high_total", Scalar.MEMORY_EVENTS_HIGH),
            ("events_max_total", Scalar.MEMORY_EVENTS_MAX),
        )
    },
    "container_file_descriptors": (Cell(Scalar.DESCRIPTORS),),
    "container_sockets": (Cell(Scalar.SOCKETS),),
}

_DEVICE = ("device",)

TABLES: dict[str, tuple[Column, ...]] = {
    **{
        f"container_network_{direction}_{what}_total": (
            Column(Table.NETWORK, 4 * side + column, ("interface",)),
        )
        for side, direction in enumerate(("receive", "transmit"))
        for column, what in enumerate(("bytes", "packets", "packets_dropped", "errors"))
    },
    "container_fs_reads_bytes_total": (Column(Table.IO_BYTES, 0, _DEVICE),),
    "container_fs_writes_bytes_total": (Column(Table.IO_BYTES, 1, _DEVICE),),
    "container_fs_reads_total": (Column(Table.IO_OPERATIONS, 0, _DEVICE),),
    "container_fs_writes_total": (Column(Table.IO_OPERATIONS, 1, _DEVICE),),
    "container_fs_read_seconds_total": (Column(Table.DISK, 0, _DEVICE),),
    "container_fs_write_seconds_total": (Column(Table.DISK, 1, _DEVICE),),
    "container_fs_io_current": (Column(Table.DISK, 2, _DEVICE),),
    "container_fs_io_time_seconds_total": (Column(Table.DISK, 3, _DEVICE),),
    "container_blkio_device_usage_total": (
        Column(Table.IO_BY_OPERATION, 0, ("device", "major", "minor", "operation")),
    ),
    **{
        f"container_network_{table.name.lower()}_usage_total": (
            Column(table, 0, (f"{table.name.lower()[:3]}_state",)),
        )
        for table in (Table.TCP, Table.TCP6, Table.UDP, Table.UDP6)
    },
    "container_hugetlb_usage_bytes": (Column(Table.HUGETLB, 0, ("pagesize",)),),
    "container_hugetlb_max_usage_bytes": (Column(Table.HUGETLB, 1, ("pagesize",)),),
}
