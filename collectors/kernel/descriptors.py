"""What a process has open: its working directory and its descriptors, proc_pid_fd(5).

Only the links are read, which cannot block, whatever they point to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.facts import Descriptors
from collectors.hostfs import Gone, HostReadError, or_none

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.hostfs import HostFS

DESCRIPTORS_KEPT = 64
"""Descriptors kept of a process: enough to see what it does."""

_SOCKETS_SOUGHT = 2000
"""Descriptors that are read of all processes of a container together in search of sockets."""


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


def sockets_elsewhere(host: HostFS, pids: Iterable[int], inodes: Iterable[int]) -> frozenset[int]:
    """Return those of some sockets that none of some processes has open.

    Reads no further than to the last socket that is theirs. Where there are too many descriptors,
    or they may not be read, nothing is known, and the answer is empty.
    """
    sought = set(inodes)
    left = _SOCKETS_SOUGHT
    for pid in pids:
        if not sought or left <= 0:
            break
        try:
            found = read_descriptors(host, pid, left)
        except Gone:
            continue  # it has ended, and its sockets with it
        except HostReadError:
            return frozenset()
        left -= len(found.links)
        sought -= found.sockets
        if not found.whole:
            return frozenset()
    return frozenset(sought) if left > 0 else frozenset()
