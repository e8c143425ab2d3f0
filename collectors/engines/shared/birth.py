"""When a directory was made: statx(2), which Python 3.11 does not have."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.hostfs import Dir

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_BUFFER = 256  # sizeof(struct statx), <linux/stat.h>
_BTIME_OFFSET = 80

_libc = ctypes.CDLL(None, use_errno=True)


def made_at(parent: Dir, path: str) -> float | None:
    """Return when the directory ``path`` was made, in seconds since the epoch.

    Its birth time, which nothing changes; on a filesystem that keeps none the time of its last
    change, which is never before that. None when it cannot be looked at.
    """
    try:
        with parent.open_dir(path) as directory:
            return _birth(directory.fd) or directory.stat().st_ctime
    except HostReadError:
        return None


def _birth(fd: int) -> float | None:
    buffer = ctypes.create_string_buffer(_BUFFER)
    try:
        failed = _libc.statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer)
    except AttributeError:  # a libc from before statx(2)
        return None
    if failed:
        return None
    (mask,) = struct.unpack_from("=I", buffer)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BTIME_OFFSET)
    if not mask & _STATX_BTIME or seconds <= 0:
        return None
    return float(seconds) + float(nanoseconds) / 1e9
