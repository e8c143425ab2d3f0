"""What the kernel counts of one container, as decimal text in base units.

The kernel prints decimals and Prometheus reads decimals: what needs no arithmetic is never turned
into a number on the way, and what needs a shift of the decimal point gets just that, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, auto, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import ProcessId


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


Values = list[bytes | None]
"""Scalars while they are being read, by ``Scalar``; None where the kernel does not say."""

Rows = tuple[tuple[tuple[str, ...], tuple[bytes | None, ...]], ...]
"""A table: its keys (an interface's name, say) and the values of each."""


class Draft:
    """The values of one container as they are being read; what is not read again stays."""

    __slots__ = ("scalars", "tables")

    def __init__(self) -> None:
        self.scalars: Values = [None] * len(Scalar)
        self.tables: dict[Table, Rows] = {}

    def finish(self) -> Counters:
        """Return the values as they are now, once and for all."""
        return Counters(tuple(self.scalars), dict(self.tables))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A container whose counters are to be read."""

    id: str
    cgroups: Mapping[str, str] = field(default_factory=dict)
    """Path by controller, only where the cgroup is this container's alone."""
    init: ProcessId | None = None
    own_network: bool = True
    """Its network namespace is neither the host's nor another container's."""
    quota: bool = False
    """It has a CPU quota, so that the kernel counts throttling."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading of one container; never changed, shared by readings that found nothing new."""

    scalars: tuple[bytes | None, ...]
    tables: Mapping[Table, Rows]
