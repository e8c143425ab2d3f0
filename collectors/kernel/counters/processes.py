"""What is counted process by process: how many there are, their descriptors, their sockets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collectors.hostfs import Gone, HostReadError, or_none
from collectors.kernel.counters.sources import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.hostfs import Dir
    from collectors.kernel.counters.model import Draft

MOST_CGROUPS = 1000
"""Most inner cgroups that are read."""

_MOST_PROCESSES = 2000
_MOST_DESCRIPTORS = 50_000
_SOCKETS_FILE = 8 << 20


def inner_cgroups(sys: Dir, path: str) -> list[str] | None:
    """Return the directories of all cgroups below one; None where there are too many to count.

    On every cgroup filesystem a directory without any below it has 2 links.
    """
    inner: list[str] = []
    left = [path]
    while left:
        above = left.pop()
        try:
            if sys.stat(above).st_nlink <= 2:
                continue
            names = sys.subdirectories(above)
        except HostReadError:
            continue
        below = [f"{above}/{name}" for name in names]
        left += below
        inner += below
        if len(inner) > MOST_CGROUPS:
            return None
    return inner


def processes_in(sys: Dir, cgroups: Iterable[str]) -> list[int]:
    """Return the processes that are in some cgroups themselves; those that ended count for none."""
    members: list[int] = []
    for path in cgroups:
        members += pids(or_none(sys.read, f"{path}/cgroup.procs") or b"")
    return members


def count_threads(sys: Dir, path: str, file: str) -> int | None:
    """Return how many threads run in a cgroup and those below it; zombies are none, cgroups(7).

    ``file`` lists them: v1's ``tasks``, v2's ``cgroup.threads``. None where one cannot be read.
    """
    inner = inner_cgroups(sys, path)
    if inner is None:
        return None
    count = 0
    for cgroup in (path, *inner):
        try:
            count += sys.read(f"{cgroup}/{file}").count(b"\n")
        except Gone:
            if cgroup == path:
                return None  # Linux before 4.14 has no cgroup.threads
        except HostReadError:
            return None
    return count


def pids(raw: bytes) -> list[int]:
    """Parse cgroup.procs; 0 stands for a process of another pid namespace, and counts."""
    return [int(word) for word in raw.split() if word.isdigit()]


def count_descriptors(proc: Dir, members: list[int], draft: Draft) -> None:
    """Count the open descriptors of some processes, and how many of them are sockets.

    Unknown where one of them may not be read, or there are too many: a part is no count.
    """
    descriptors = sockets = 0
    draft.scalars[Scalar.DESCRIPTORS] = draft.scalars[Scalar.SOCKETS] = None
    if len(members) > _MOST_PROCESSES or 0 in members:
        return
    for pid in members:
        try:
            names = proc.listdir(f"{pid}/fd", _MOST_DESCRIPTORS)
            descriptors += len(names)
            if descriptors >= _MOST_DESCRIPTORS:
                return
            sockets += sum(_is_socket(proc, f"{pid}/fd/{name}") for name in names)
        except HostReadError as error:
            if proc.exists(str(pid)):
                # It has not ended, so the read was denied.
                raise error from None
    draft.scalars[Scalar.DESCRIPTORS] = b"%d" % descriptors
    draft.scalars[Scalar.SOCKETS] = b"%d" % sockets


def _is_socket(proc: Dir, path: str) -> bool:
    return (or_none(proc.readlink, path) or "").startswith("socket:")


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
    """Count the UDP sockets of a network namespace, and their queued bytes and dropped packets."""
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


_UDP_UNCONNECTED = 7  # TCP_CLOSE: a UDP socket that is not connected
