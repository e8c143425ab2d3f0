"""A file without a name, in memory: for what two processes share, and for what must not stay."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress

from collectors.syscalls import memfd_create

_TMPFS = ("/dev/shm", "/run")  # noqa: S108 -- nothing there has a name


def memory_file(name: str) -> int:
    """Return the descriptor of a new empty one, which nobody else can open; ``name`` is for people.

    By memfd_create(2), and before Linux 3.17 a file on a tmpfs that has no name in any directory.
    Raises OSError where there is neither.
    """
    with suppress(OSError):
        return memfd_create(name)
    for folder in _TMPFS:
        with suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
            return os.dup(file.fileno())
    raise OSError(errno.ENOSYS, f"no memfd_create(2), and no file in {' or '.join(_TMPFS)}")
