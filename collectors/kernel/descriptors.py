"""What a process has open: its working directory and its descriptors, proc_pid_fd(5).

Only the links are read, which cannot block, whatever they point to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors.facts import Descriptors
from collectors.hostfs import Gone, HostReadError, or_none

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.hostfs import HostFS

DESCRIPTORS_KEPT = 64
"""Descriptors kept of a process: enough to see what it does."""

_SOCKETS_SOUGHT = 2000
"""Descriptors that are read of all processes of a container together in search of sockets."""


class SocketOwners(NamedTuple):
    """To which processes some sockets belong."""

    pids: Mapping[int, int]
    """By inode; whose pid is not there, is not known."""
    elsewhere: frozenset[int]
    """Those that none of the processes has open."""


def read_descriptors(host: HostFS, pid: int, limit: int = DESCRIPTORS_KEPT) -> Descriptors:
    """Read what a process has open. Raises ``HostReadError`` when that may not be read."""
    with host.process(pid) as directory:
        names = directory.listdir("fd", limit + 1)
        links = {
            int(name): link
            for name in names[:limit]
            if name.isdigit() and (link := or_none(directory.readlink, f"fd/{name}")) is not None
        }
        return Descriptors(
            directory=or_none(directory.readlink, "cwd"), links=links, whole=len(names) <= limit
        )


def socket_owners(host: HostFS, pids: Iterable[int], inodes: Iterable[int]) -> SocketOwners:
    """Return which of some processes has each of some sockets open: the first that has.

    Reads no further than to the last socket that is theirs. Where there are too many descriptors,
    or they may not be read, it is not known which sockets are none of theirs.
    """
    sought = set(inodes)
    owners: dict[int, int] = {}
    left = _SOCKETS_SOUGHT
    for pid in pids:
        if not sought or left <= 0:
            break
        try:
            found = read_descriptors(host, pid, left)
        except Gone:
            continue  # it has ended, and its sockets with it
        except HostReadError:
            return SocketOwners(owners, frozenset())
        left -= len(found.links)
        owners |= dict.fromkeys(sought & found.sockets, pid)
        sought -= found.sockets
        if not found.whole:
            return SocketOwners(owners, frozenset())
    return SocketOwners(owners, frozenset(sought) if left > 0 else frozenset())
