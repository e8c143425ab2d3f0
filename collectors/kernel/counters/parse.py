"""Parsers of the kernel's counter files: bytes in, decimal text of base units out, no I/O.

Formats: Documentation/admin-guide/cgroup-v1/{cpuacct,memory,blkio-controller,pids}.rst,
scheduler/sched-bwc.rst, cgroup-v2.rst, accounting/psi.rst; /proc/<pid>/net/dev: proc_pid_net(5).
A line or field that is missing or malformed leaves its value None.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Values = list[bytes | None]
"""The scalars of a container while they are read, by ``Scalar``; None is what was not read."""

Row = tuple[tuple[str, ...], tuple[bytes | None, ...]]
"""A row of a table: its key (an interface's name, say) and its values."""

Rows = tuple[Row, ...]

NANOSECONDS = 9
MICROSECONDS = 6
MILLISECONDS = 3
TICKS = 2
"""Digits behind the point: USER_HZ is 100 on every architecture that Linux still runs on."""


def shifted(text: bytes, digits: int) -> bytes:
    """Divide decimal text by a power of ten, exactly: ``shifted(b"1500", 3)`` is ``b"1.500"``."""
    if len(text) <= digits:
        text = text.zfill(digits + 1)
    return text[:-digits] + b"." + text[-digits:]


def number(raw: bytes) -> bytes | None:
    """Parse a file that is one number."""
    text = raw.strip()
    return text if text.isdigit() else None


def seconds(raw: bytes, digits: int) -> bytes | None:
    """Parse a file that is one number, of a unit of time, into seconds."""
    text = raw.strip()
    return shifted(text, digits) if text.isdigit() else None


Fields = tuple[tuple[bytes, int, int], ...]
"""Name in the file, index into ``Values``, and digits behind the point."""


def flat(fields: Fields) -> Callable[[bytes, Values], None]:
    """Return a parser for some fields of a file with a name and a number on each line.

    For memory.stat, cpu.stat and the like. One search for all names takes a third of the time of
    splitting the whole file.
    """
    names = b"|".join(re.escape(name) for name, _, _ in fields)
    search = re.compile(rb"\n(%b) (\d+)" % names).findall

    def parse(raw: bytes, values: Values) -> None:
        texts = dict(search(b"\n" + raw))
        for name, index, digits in fields:
            text = texts.get(name)
            values[index] = shifted(text, digits) if digits and text is not None else text

    return parse


def single(index: int, digits: int = 0) -> Callable[[bytes, Values], None]:
    """Return a parser for a file that is one number."""

    def parse(raw: bytes, values: Values) -> None:
        values[index] = seconds(raw, digits) if digits else number(raw)

    return parse


def pressure(some: int, full: int) -> Callable[[bytes, Values], None]:
    """Return a parser for a PSI file; cpu.pressure has no ``full`` before Linux 5.13."""

    def parse(raw: bytes, values: Values) -> None:
        # some avg10=0.00 avg60=0.00 avg300=0.00 total=9607\nfull …
        parts = raw.split(b"total=")
        values[some] = seconds(parts[1].partition(b"\n")[0], MICROSECONDS) if parts[1:] else None
        values[full] = seconds(parts[2], MICROSECONDS) if parts[2:] else None

    return parse


MAX_ROWS = 16
"""Most devices of a container in one table."""

MOST_INTERFACES = 32
"""Most interfaces of a container: whoever is root in it can create any number of them."""

_MOST_PARSED = 4096
"""Most interfaces that are looked at."""

_IGNORED_INTERFACE = re.compile(
    rb"lo|docker0|nerdctl0|veth(?:[0-9a-f]{7,8}|\d+i\d+|\d+_[0-9A-Za-z]{4})"
)
"""Loopback, an engine's bridge to inner containers, and the links to these, whole names: Docker
and CNI call a link veth and 7 or 8 hexadecimal digits, Proxmox veth101i0, LXC's lxc-user-nic
veth1000_Ab3d. Other names that begin with these are the container's own choice."""

_TUNNELS = frozenset(
    b"tunl0 sit0 gre0 gretap0 erspan0 ip_vti0 ip6_vti0 ip6tnl0 ip6gre0".split(),
)
"""Devices that the kernel creates in each network namespace once their module is loaded."""


def net_dev(raw: bytes) -> Rows:
    """Parse /proc/<pid>/net/dev: bytes, packets, dropped, errors received, and the same sent."""
    rows = []
    for line in raw.split(b"\n", _MOST_PARSED)[2:_MOST_PARSED]:
        name, colon, rest = line.rpartition(b":")
        name = name.strip()
        if not colon or _IGNORED_INTERFACE.fullmatch(name):
            continue
        fields = rest.split()
        if len(fields) < 16:
            continue
        values = (
            fields[0], fields[1], fields[3], fields[2], fields[8], fields[9], fields[11], fields[10]
        )  # fmt: skip
        if name in _TUNNELS and not any(value.strip(b"0") for value in values):
            continue
        rows.append(((name.decode("utf-8", "surrogateescape"),), values))
    return tuple(rows)


_RECEIVED, _SENT = 0, 4
"""Columns of the bytes in the rows of ``net_dev``."""


def busiest_interfaces(rows: Rows, before: Rows, most: int = MOST_INTERFACES) -> Rows:
    """Return at most so many interfaces, in their order: those that moved the most bytes.

    Of equals, those that were there ``before`` stay, so that series do not come and go.
    """
    if len(rows) <= most:
        return rows
    shown = {key for key, _ in before}

    def rank(row: Row) -> tuple[int, bool]:
        key, values = row
        return -int(values[_RECEIVED] or 0) - int(values[_SENT] or 0), key not in shown

    kept = {key for key, _ in sorted(rows, key=rank)[:most]}
    return tuple(row for row in rows if row[0] in kept)


Numbers = dict[str, dict[str, bytes]]
"""By device (``major:minor``) and what is counted."""


def blkio(raw: bytes) -> Numbers:
    """Parse a blkio.*.io_* file into numbers by ``major:minor`` and operation in lower case."""
    found: Numbers = {}
    for line in raw.split(b"\n"):
        words = line.split()
        if len(words) == 3 and words[2].isdigit() and _is_device(words[0]):
            device = found.setdefault(words[0].decode("ascii"), {})
            device[words[1].decode("ascii", "replace").lower()] = words[2]
    return found


def io_stat(raw: bytes) -> Numbers:
    """Parse v2's io.stat into numbers by ``major:minor`` and key (rbytes, wios, …)."""
    found: Numbers = {}
    for line in raw.split(b"\n"):
        words = line.split()
        if not words or not _is_device(words[0]):
            continue
        numbers = {}
        for word in words[1:]:
            key, _, value = word.partition(b"=")
            if value.isdigit():
                numbers[key.decode("ascii", "replace")] = value
        if numbers:
            found[words[0].decode("ascii")] = numbers
    return found


_TRAFFIC = ("read", "write", "rbytes", "wbytes")


def busiest_devices(numbers: Numbers) -> list[tuple[str, dict[str, bytes]]]:
    """Return at most ``MAX_ROWS`` devices, in their order: those with the most reads and writes."""
    devices = list(numbers.items())
    if len(devices) <= MAX_ROWS:
        return devices

    def rank(device: tuple[str, dict[str, bytes]]) -> int:
        return -sum(int(device[1].get(name, 0)) for name in _TRAFFIC)

    kept = {number for number, _ in sorted(devices, key=rank)[:MAX_ROWS]}
    return [device for device in devices if device[0] in kept]


def _is_device(word: bytes) -> bool:
    major, _, minor = word.partition(b":")
    return major.isdigit() and minor.isdigit()
