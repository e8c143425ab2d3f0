"""A FUSE filesystem that mirrors a folder until it is made to hang: then it answers nothing.

``python -m tests.hostile.hung_fuse FOLDER MOUNTPOINT``, hung by a file FOLDER.hang beside it.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import mfusepy


class Folder(mfusepy.Operations):  # type: ignore[misc]
    """The operations that a container needs on its root: to read, and to run programs."""

    use_ns = True

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def _path(self, path: str) -> str:
        if os.path.exists(self._folder + ".hang"):
            threading.Event().wait()
        return self._folder + path

    def access(self, path: str, amode: int) -> int:
        del amode
        self._path(path)
        return 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        del fh
        found = os.lstat(self._path(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
        return {name: getattr(found, name) for name in names}

    def readdir(self, path: str, fh: int) -> list[str]:
        del fh
        return [".", "..", *os.listdir(self._path(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(self._path(path))

    def open(self, path: str, flags: int) -> int:
        return os.open(self._path(path), flags & os.O_ACCMODE)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._path(path)
        return os.pread(fh, size, offset)

    def release(self, path: str, fh: int) -> int:
        del path
        os.close(fh)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._path(path), mode)
        return 0


if __name__ == "__main__":
    # The kernel caches no attribute: each stat(2) is a request.
    mfusepy.FUSE(
        Folder(sys.argv[1]),
        sys.argv[2],
        foreground=True,
        allow_other=True,
        attr_timeout=0,
        entry_timeout=0,
    )
