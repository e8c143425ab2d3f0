"""When a directory was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError
from collectors.syscalls import birth_time

if TYPE_CHECKING:
    from collectors.hostfs import Dir


def made_at(parent: Dir, path: str) -> float | None:
    """Return when the directory ``path`` was made, in seconds since the epoch.

    Its birth time, which nothing changes; on a filesystem that keeps none the time of its last
    change, which is never before that. None when it cannot be looked at.
    """
    try:
        with parent.open_dir(path) as directory:
            return _birth_time(directory.fd) or directory.stat().st_ctime
    except HostReadError:
        return None


def _birth_time(fd: int) -> float | None:
    try:
        return birth_time(fd)
    except OSError:  # a kernel or libc older than statx(2)
        return None
