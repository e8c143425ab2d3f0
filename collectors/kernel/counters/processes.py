"""What is counted process by process: how many there are, their descriptors, their sockets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError
from collectors.kernel.counters.sources import Scalar, Table

if TYPE_CHECKING:
    from collectors.hostfs import Dir
    from collectors.kernel.counters.model import Draft

MOST_CGROUPS = 1000
"""Most inner cgroups that are looked into."""

_MOST_PROCESSES = 2000
_MOST_DESCRIPTORS = 50_000
_SOCKETS_FILE = 8 << 20


def inner_processes(sys: Dir, path: str) -> list[int] | None:
    """Return the processes of all cgroups below one; None where there are too many to count.

    The number of links tells a directory without any below it: 2, on every cgroup filesystem.
    """
    found: list[int] = []
    left = [path]
    seen = 0
    while left:
        above = left.pop()
        try:
            if sys.stat(above).st_nlink <= 2:
                continue
            names = _directories(sys, above)
        except (HostReadError, OSError):
            continue
        for name in names:
            seen += 1
            if seen > MOST_CGROUPS:
                return None
            inner = f"{above}/{name}"
            left.append(inner)
            try:
                found += pids(sys.read(f"{inner}/cgroup.procs"))
            except HostReadError:
                continue
    return found


def pids(raw: bytes) -> list[int]:
    """Parse cgroup.procs; 0 stands for a process of another pid namespace, and counts."""
    return [int(word) for word in raw.split() if word.isdigit()]


def _directories(sys: Dir, path: str) -> list[str]:
    with sys.open_dir(path) as directory:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory.fd)
        try:
            with os.scandir(fd) as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        finally:
            os.close(fd)


def count_descriptors(proc: Dir, found: list[int], draft: Draft) -> None:
    """Count the open descriptors of some processes, and how many of them are sockets.

    Unknown where one of them may not be looked at, or there are too many: a part is no count.
    """
    descriptors = sockets = 0
    draft.scalars[Scalar.DESCRIPTORS] = draft.scalars[Scalar.SOCKETS] = None
    if len(found) > _MOST_PROCESSES or 0 in found:
        return
    for pid in found:
        try:
            names = proc.listdir(f"{pid}/fd", _MOST_DESCRIPTORS)
            descriptors += len(names)
            if descriptors >= _MOST_DESCRIPTORS:
                return
            sockets += sum(_is_socket(proc, f"{pid}/fd/{name}") for name in names)
        except HostReadError as error:
            if proc.exists(str(pid)):
                # It is there, so this was no farewell but a refusal.
                raise error from None
    draft.scalars[Scalar.DESCRIPTORS] = b"%d" % descriptors
    draft.scalars[Scalar.SOCKETS] = b"%d" % sockets


def _is_socket(proc: Dir, path: str) -> bool:
    try:
        return proc.readlink(path).startswith("socket:")
    except HostReadError:
        return False


_TCP_STATES = (
    # By number, include/net/tcp_states.h, in cAdvisor's words.
    *("", "established", "synsent", "synrecv", "finwait1", "finwait2", "timewait"),
    *("close", "closewait", "lastack", "listen", "closing"),
)
_SOCKET_LINE = re.compile(
    # sl local_address rem_address st tx_queue:rx_queue …
    rb"^ *\d+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ ([0-9A-F]{2}) ([0-9A-F]+):([0-9A-F]+)"
    rb"(?:.* (\d+) *)?$",
    re.MULTILINE,
)


def count_tcp(process: Dir, version: str, draft: Draft) -> None:
    """Count the TCP sockets of a network namespace by state, proc_pid_net(5)."""
    counts = dict.fromkeys(_TCP_STATES[1:], 0)
    for match in _SOCKET_LINE.finditer(process.read(f"net/tcp{version}", _SOCKETS_FILE)):
        state = int(match[1], 16)
        if 0 < state < len(_TCP_STATES):
            counts[_TCP_STATES[state]] += 1
    table = Table.TCP6 if version else Table.TCP
    draft.tables[table] = tuple(((name,), (b"%d" % n,)) for name, n in counts.items())


def count_udp(process: Dir, version: str, draft: Draft) -> None:
    """Count the UDP sockets of a network namespace, what waits in them, and what they dropped."""
    listen = sending = receiving = dropped = 0
    for match in _SOCKET_LINE.finditer(process.read(f"net/udp{version}", _SOCKETS_FILE)):
        listen += int(match[1], 16) == _UDP_UNCONNECTED
        sending += int(match[2], 16)
        receiving += int(match[3], 16)
        dropped += int(match[4] or 0)
    rows = (
        ("listen", listen),
        ("dropped", dropped),
        ("rxqueued", receiving),
        ("txqueued", sending),
    )
    table = Table.UDP6 if version else Table.UDP
    draft.tables[table] = tuple(((name,), (b"%d" % n,)) for name, n in rows)


_UDP_UNCONNECTED = 7  # TCP_CLOSE: a UDP socket that waits for anybody
