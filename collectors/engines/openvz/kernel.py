"""The files of the OpenVZ kernel, from which containers are known without vzlist.

/proc/vz/veinfo (0400) lists the running containers, /proc/vz/vestat (0400) their CPU time,
/proc/fairsched and /proc/vz/fairsched the CPU limits of 6, and /proc/vz/vzquota the disk quota of
simfs. Since 7 the limits are in cgroups. 7 and 9 write a UUID where 6 writes a number, wider than
its column: rows are split on white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from collectors.engines.openvz.units import (
    BLOCK,
    MAX_CPU_UNITS,
    addresses,
    is_ctid,
)
from collectors.formats.numbers import parse_decimal
from collectors.hostfs import HostReadError
from collectors.kernel.beancounters import amount, read_beancounters

if TYPE_CHECKING:
    from collectors.facts import Beancounter
    from collectors.hostfs import Dir, HostFS

HOST = "0"
"""The host, where the number of a container would be."""

_LIMIT = 64 << 20
_DIGITS = 20  # of 64 bits
_NO_FAIRSCHED_NODE = "2147483647"
_DEFAULT_HZ = 1000.0
_HZ_VALUES = (100.0, 250.0, 300.0, 1000.0)
_STAB = re.compile(r"(?:\d+)?stab\d")


class VeInfo(NamedTuple):
    """A row of /proc/vz/veinfo."""

    processes: int
    addresses: tuple[str, ...]


class VeStat(NamedTuple):
    """A row of /proc/vz/vestat, in the kernel's own units."""

    user: int
    nice: int
    system: int
    uptime_jiffies: int
    uptime: int
    """In nanoseconds since 7."""
    used: int
    """CPU time in all, in nanoseconds since 7."""


class CpuTimes(NamedTuple):
    """CPU time since a container was started, in seconds."""

    total: float
    user: float
    system: float


class Share(NamedTuple):
    """What the fair scheduler of 6 gives a container."""

    units: int | None
    limit_ratio: float | None


class Quota(NamedTuple):
    """Disk quota of a container on simfs, in bytes and inodes; None is no limit."""

    path: str
    used_bytes: int | None = None
    soft_bytes: int | None = None
    hard_bytes: int | None = None
    inodes: int | None = None
    inodes_soft: int | None = None
    inodes_hard: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What the kernel's files held at one moment."""

    version: int = 0
    """6, 7, 8 or 9; 0 where it is not known."""
    running: Mapping[str, VeInfo] | None = None
    """Containers that run now; None where the agent may not read it."""
    beancounters: Mapping[str, tuple[Beancounter, ...]] = field(default_factory=dict)
    stats: Mapping[str, VeStat] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    uptime: float | None = None
    """Seconds since the node was booted, by the clock of process start times."""


def read_kernel(host: HostFS) -> Kernel:
    """Read the kernel's files; what cannot be read is empty, and counted by HostFS."""
    proc = host.proc
    running = read_veinfo(host)
    return Kernel(
        version=parse_version(_read(proc, "vz/version").decode("utf-8", "replace")),
        running={c: row for c, row in running.items() if c != HOST} if HOST in running else None,
        beancounters=read_beancounters(host),
        stats=parse_vestat(_read(proc, "vz/vestat")),
        shares=parse_fairsched(_read(proc, "fairsched")),
        quotas=parse_vzquota(_read(proc, "vz/vzquota")),
        uptime=parse_uptime(_read(proc, "uptime")),
    )


def read_veinfo(host: HostFS) -> dict[str, VeInfo]:
    """Read /proc/vz/veinfo: the running containers by CTID, and the host on a node."""
    return parse_veinfo(_read(host.proc, "vz/veinfo"))


def running_now(host: HostFS) -> frozenset[str]:
    """Read only which containers run; none where the agent may not read it."""
    rows = _read(host.proc, "vz/veinfo").decode("ascii", "replace").split("\n")
    words = (row.split(None, 1)[:1] for row in rows)
    return frozenset(word for (word,) in filter(None, words) if word != HOST and is_ctid(word))


def parse_uptime(data: bytes) -> float | None:
    """Parse /proc/uptime, proc_uptime(5)."""
    words = data.split()
    try:
        return float(words[0]) if words and len(words[0]) < 24 else None
    except ValueError:
        return None


def parse_version(text: str) -> int:
    """Parse /proc/vz/version into the number of the product: ``stab145.3`` is 6, ``7.0.0`` 7."""
    if _STAB.match(text):
        return 6
    major = text.strip().partition(".")[0]
    return int(major) if major.isdecimal() and len(major) < 3 else 0


def parse_veinfo(data: bytes) -> dict[str, VeInfo]:
    """Parse /proc/vz/veinfo by CTID: id, class, processes, then addresses, the newest first.

    Row 0 is the host. See veinfo_seq_show in the kernel's vecalls.c.
    """
    by_ctid = {}
    for words in _rows(data):
        if len(words) >= 3 and (words[0] == HOST or is_ctid(words[0])):
            processes = _integer(words[2])
            if processes is not None:
                by_ctid[words[0]] = VeInfo(processes, addresses(reversed(words[3:])))
    return by_ctid


def parse_vestat(data: bytes) -> dict[str, VeStat]:
    """Parse /proc/vz/vestat by CTID, vestat_seq_show in the kernel's vecalls.c.

    Columns: VEID, user, nice, system, uptime (jiffies), idle, strv, uptime, used, and more.
    """
    by_ctid = {}
    for words in _rows(data):
        numbers = [_integer(word) for word in words[1:9]]
        if is_ctid(words[0]) and len(numbers) >= 3 and None not in numbers:
            user, nice, system, jiffies, _, _, uptime, used = [n or 0 for n in numbers] + [0] * (
                8 - len(numbers)
            )
            by_ctid[words[0]] = VeStat(user, nice, system, jiffies, uptime, used)
    return by_ctid


def cpu_times(stat: VeStat, version: int, uptime_seconds: float | None) -> CpuTimes:
    """Return the CPU time of a container in seconds.

    The jiffies are the kernel's own and not the 1/100 s of other files. Their length follows from
    the uptime, which is there in jiffies and, since 7, in nanoseconds; before 7 it is
    ``uptime_seconds``, where that is known. Red Hat's kernels, on which these are built, have 1,000
    a second.
    """
    in_nanoseconds = version >= 7
    seconds = stat.uptime / 1e9 if in_nanoseconds else uptime_seconds
    hertz = _DEFAULT_HZ
    if seconds and seconds >= 1 and stat.uptime_jiffies:
        measured = stat.uptime_jiffies / seconds
        hertz = min(_HZ_VALUES, key=lambda hz: abs(hz / measured - 1))
    user, system = (stat.user + stat.nice) / hertz, stat.system / hertz
    total = stat.used / 1e9 if in_nanoseconds and stat.used else user + system
    return CpuTimes(total, user, system)


def parse_fairsched(data: bytes) -> dict[str, Share]:
    """Parse /proc/fairsched of 6 by CTID.

    The row of a container has veid 0 and the CTID as id; weight is 500,000 divided by the cpuunits,
    rate 1024 for each CPU that it may use, 0 for no limit.
    """
    by_ctid = {}
    for words in _rows(data):
        if len(words) < 5 or words[0] != HOST or not is_ctid(words[1]):
            continue
        weight, rate = _integer(words[3]), _integer(words[4])
        if words[1] != _NO_FAIRSCHED_NODE and weight is not None and rate is not None:
            units = MAX_CPU_UNITS // weight if weight else None
            by_ctid[words[1]] = Share(units, rate / 1024 or None)
    return by_ctid


def parse_vzquota(data: bytes) -> dict[str, Quota]:
    """Parse /proc/vz/vzquota by quota id, which vzctl makes the CTID."""
    by_ctid: dict[str, Quota] = {}
    owner = ""
    for words in _rows(data):
        if words[0].endswith(":"):
            owner = words[0][:-1] if is_ctid(words[0][:-1]) else ""
            if owner:
                by_ctid[owner] = Quota(" ".join(words[1:]))
            continue
        numbers = [_integer(word) for word in words[1:4]]
        if not owner or len(words) < 4 or None in numbers:
            continue
        if words[0] == "1k-blocks":
            used, soft, hard = (amount(number, BLOCK) for number in numbers)
            by_ctid[owner] = by_ctid[owner]._replace(
                used_bytes=used, soft_bytes=soft or None, hard_bytes=hard or None
            )
        elif words[0] == "inodes":
            used, soft, hard = (amount(number) for number in numbers)
            by_ctid[owner] = by_ctid[owner]._replace(
                inodes=used, inodes_soft=soft or None, inodes_hard=hard or None
            )
    return by_ctid


def read_cpus(host: HostFS, ctid: str) -> int | None:
    """Read how many CPUs a container of 6 has; None where there is no such file."""
    text = _read(host.proc, f"vz/fairsched/{ctid}/cpu.nr_cpus").decode("ascii", "replace")
    return _integer(text.strip()) or None


def _rows(data: bytes) -> Iterator[list[str]]:
    for line in data.decode("utf-8", "replace").split("\n"):
        words = line.split()
        if words:
            yield words


def _integer(word: str) -> int | None:
    return parse_decimal(word, _DIGITS)


def _read(directory: Dir, path: str) -> bytes:
    try:
        return directory.read(path, _LIMIT)
    except HostReadError:
        # Gone: this kernel has no such file. Denied and malformed are counted by HostFS.
        return b""
