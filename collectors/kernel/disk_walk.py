"""The disk space that the files below a directory take, found by walking the tree.

For writable layers whose size no engine, quota or statfs(2) gives for free. One thread at idle I/O
priority visits a limited number of entries a second, round after round: a host with many
containers gets old numbers, not a busy disk.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError, or_none
from collectors.syscalls import set_idle_io_priority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collectors.hostfs import Dir, HostFS

_BLOCK = 512
"""Unit of st_blocks in bytes, whatever the filesystem's block size is; stat(2)."""

_MOST_NAMES = 500_000
_MOST_LEFT = 200_000
"""With more names in one directory, or more directories to visit, the size stays unknown."""

_BATCH = 100
"""Entries between two pauses."""

_PAUSE = 60.0
"""Least seconds from the start of one round to the next."""


class DiskWalk:
    """Walks directory trees in the background and keeps the size of each.

    ``entries_per_second`` is the budget. ``want`` sets the directories, by any key (a container's
    id); ``sizes`` returns the sizes that are known, by the same keys.
    """

    def __init__(
        self,
        host: HostFS,
        entries_per_second: int,
        *,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._host = host
        self._seconds_per_entry = 1 / entries_per_second
        self._wanted: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._stopping = threading.Event()
        self._sleep = sleep or self._stopping.wait
        self._seen = 0
        self._thread: threading.Thread | None = None

    def want(self, directories: Mapping[str, str]) -> None:
        """Set the directories of the host to walk, by key; the first call starts the thread."""
        self._wanted = dict(directories)
        self._sizes = {key: size for key, size in self._sizes.items() if key in self._wanted}
        if self._thread is None and self._wanted:
            self._thread = threading.Thread(target=self._run, name="disk-walk", daemon=True)
            self._thread.start()

    def sizes(self) -> Mapping[str, int]:
        """Return the known sizes: bytes on disk, a file with several names counted once."""
        return dict(self._sizes)

    def size(self, key: str) -> int | None:
        """Return one size, None where it is not known (yet)."""
        return self._sizes.get(key)

    def close(self) -> None:
        """End the thread; it notices within one directory."""
        self._stopping.set()

    def _run(self) -> None:
        _be_idle()
        while not self._stopping.is_set():
            started = time.monotonic()
            for key, path in tuple(self._wanted.items()):
                self.walk(key, path)
            self._sleep(max(0.0, started + _PAUSE - time.monotonic()))

    def walk(self, key: str, path: str) -> None:
        """Walk one directory tree now, within the budget."""
        try:
            with self._host.root.open_dir(path.lstrip("/"), confined=True) as top:
                size = self._size_below(top)
        except HostReadError:
            size = None
        if size is not None and key in self._wanted:
            self._sizes[key] = size

    def _size_below(self, top: Dir) -> int | None:
        """Add up what is below a directory, on its device only; None if that is not known."""
        device = top.stat().st_dev
        total = 0
        linked: set[int] = set()
        left = ["."]
        while left:
            above = left.pop()
            names = or_none(top.listdir, above, _MOST_NAMES)
            if names is None:
                # Removed meanwhile, or too deep for a path: then this part alone is not counted.
                continue
            if len(names) >= _MOST_NAMES or len(left) >= _MOST_LEFT or self._stopping.is_set():
                return None
            for inner in names if above == "." else [f"{above}/{name}" for name in names]:
                self._pace()
                status = or_none(top.stat, inner, follow=False)
                if status is None or status.st_dev != device:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    left.append(inner)
                elif status.st_nlink > 1:
                    if status.st_ino in linked:
                        continue
                    linked.add(status.st_ino)
                total += status.st_blocks * _BLOCK
        return total

    def _pace(self) -> None:
        self._seen += 1
        if self._seen % _BATCH == 0:
            self._sleep(_BATCH * self._seconds_per_entry)


def _be_idle() -> None:
    """Give this thread, and no other, what is left of the disk and the CPU."""
    thread = threading.get_native_id()
    with suppress(OSError):  # a machine whose number of the call is not known
        set_idle_io_priority(thread)
    os.setpriority(os.PRIO_PROCESS, thread, 19)
