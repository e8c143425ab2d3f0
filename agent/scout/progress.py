"""A page of shared memory in which serve sees what the scout is reading, and since when.

A read that an untrusted process blocks (a page of its argv on a hung FUSE) stops the whole scout,
which can then send nothing; what it wrote here before the read says whose fault it is.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from typing import Self

from agent.memory_file import memory_file

_SIZE = 4096
_HEAD = struct.Struct("dH")
"""Monotonic time in seconds at which work on the subject began, 0 for none; length of its name."""


class Progress:
    """The shared page. The scout calls ``begin`` and ``idle``, serve calls ``read``."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._page = mmap.mmap(fd, _SIZE)

    @classmethod
    def create(cls) -> Self:
        """Return a new page in a memory file."""
        fd = memory_file("tallyman-progress")
        os.ftruncate(fd, _SIZE)
        return cls(fd)

    def begin(self, subject: str) -> None:
        """Note that work on ``subject`` begins now."""
        name = subject.encode("utf-8", "replace")[: _SIZE - _HEAD.size]
        _HEAD.pack_into(self._page, 0, 0.0, len(name))
        self._page[_HEAD.size : _HEAD.size + len(name)] = name
        _HEAD.pack_into(self._page, 0, time.monotonic(), len(name))

    def idle(self) -> None:
        """Note that nothing is being worked on: a scout that waits must not be killed."""
        _HEAD.pack_into(self._page, 0, 0.0, 0)

    def read(self) -> tuple[float, str] | None:
        """Return for how many seconds which subject has been worked on; None when idle."""
        since, length = _HEAD.unpack_from(self._page, 0)
        if since == 0.0:
            return None
        name = self._page[_HEAD.size : _HEAD.size + length].decode("utf-8", "replace")
        return max(0.0, time.monotonic() - since), name

    def close(self) -> None:
        """Unmap the page and close its descriptor."""
        self._page.close()
        os.close(self.fd)
