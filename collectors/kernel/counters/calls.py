"""The system calls of a scrape, twice: releasing the interpreter lock (GIL), and holding it.

``os.pread`` releases the lock on each call. Next to a thread that computes, each of ten thousand
short reads then waits to get it back: half a minute instead of a tenth of a second. Through
``ctypes.PyDLL`` the lock is held, which costs a microsecond a call when no other thread wants it.
So a scrape starts with the first, and continues with the second once it had to wait.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER = 65536
"""Most bytes that one call reads."""

_READ = os.O_RDONLY | os.O_CLOEXEC


class Calls(NamedTuple):
    """Functions to read files with; all raise OSError."""

    pread: Callable[[int], bytes]
    """Read an open file from its beginning."""
    open: Callable[[str, int], int]
    """Open a file for reading, relative to a directory's descriptor."""
    read: Callable[[int], bytes]
    """Read an open file from its current position."""
    close: Callable[[int], None]

    def read_at(self, path: str, directory: int) -> bytes:
        """Open, read and close a file that one read returns whole."""
        fd = self.open(path, directory)
        try:
            return self.read(fd)
        finally:
            self.close(fd)

    def read_records_at(self, path: str, directory: int) -> bytes:
        """Open, read and close a file of many records, which comes in pages of whole records."""
        fd = self.open(path, directory)
        try:
            data = page = self.read(fd)
            while len(page) > _ALMOST_A_PAGE:
                page = self.read(fd)
                data += page
            return data
        finally:
            self.close(fd)


_ALMOST_A_PAGE = 3072
"""seq_file fills a page while the next record fits, so a shorter read was the last one."""


def _pread(fd: int) -> bytes:
    return os.pread(fd, BUFFER, 0)


def _read(fd: int) -> bytes:
    return os.read(fd, BUFFER)


def _open(path: str, directory: int) -> int:
    return os.open(path, _READ, dir_fd=directory)


RELEASES_GIL = Calls(_pread, _open, _read, os.close)
"""Other threads may run during each call."""

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long)
_libc.pread.restype = ctypes.c_ssize_t
_libc.read.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_libc.read.restype = ctypes.c_ssize_t
_libc.openat.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int)

_local = threading.local()


def _buffer() -> tuple[int, memoryview]:
    """Return the address of this thread's buffer, and a view of it."""
    buffer: tuple[int, memoryview] | None = getattr(_local, "buffer", None)
    if buffer is None:
        array = (ctypes.c_char * BUFFER)()
        buffer = _local.buffer = (ctypes.addressof(array), memoryview(array))
    return buffer


def _error(path: str | None = None) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)


def _holding_pread(fd: int) -> bytes:
    address, view = _buffer()
    size = _libc.pread(fd, address, BUFFER, 0)
    if size < 0:
        raise _error()
    return bytes(view[:size])


def _holding_read(fd: int) -> bytes:
    address, view = _buffer()
    size = _libc.read(fd, address, BUFFER)
    if size < 0:
        raise _error()
    return bytes(view[:size])


def _holding_open(path: str, directory: int) -> int:
    fd: int = _libc.openat(directory, os.fsencode(path), _READ)
    if fd < 0:
        raise _error(path)
    return fd


def _holding_close(fd: int) -> None:
    _libc.close(fd)


HOLDS_GIL = Calls(_holding_pread, _holding_open, _holding_read, _holding_close)
"""No other thread runs during a call: for files that are never slow to read."""
