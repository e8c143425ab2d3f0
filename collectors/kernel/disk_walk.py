"""What the files below a directory take, found by walking through them: only where asked for.

Engines, quotas and statfs know it for nothing; this is for writable layers of which none of them
does. It runs in one thread at idle I/O priority, looks at so many entries a second and no more,
and goes round: a host with many containers gets old numbers, not a busy disk.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError
from collectors.syscalls import set_idle_io_priority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collectors.hostfs import Dir, HostFS

_BLOCK = 512
"""What st_blocks counts, whatever the filesystem's own blocks are; stat(2)."""

_MOST_NAMES = 500_000
_MOST_LEFT = 200_000
"""Beyond so many names in a directory, or directories to go, the size stays unknown."""

_BATCH = 100
"""Entries between two pauses."""

_PAUSE = 60.0
"""Seconds between two rounds at least."""


class DiskWalk:
    """Walks through directories in the background and remembers what their files take.

    ``entries_per_second`` is the budget. ``want`` says which directories, by any key (a
    container's id); ``sizes`` gives bytes by key as far as they are known.
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
        """Return which directories of the host are to be walked, by key; starts the thread once."""
        self._wanted = dict(directories)
        self._sizes = {key: size for key, size in self._sizes.items() if key in self._wanted}
        if self._thread is None and self._wanted:
            self._thread = threading.Thread(target=self._run, name="disk-walk", daemon=True)
            self._thread.start()

    def sizes(self) -> Mapping[str, int]:
        """Return what is known: bytes on disk, a file with several names counted once."""
        return dict(self._sizes)

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
        """Walk through one directory now, at the pace of the budget."""
        try:
            with self._host.root.open_dir(path.lstrip("/"), confined=True) as top:
                size = self._size_below(top)
        except HostReadError:
            size = None
        if size is not None and key in self._wanted:
            self._sizes[key] = size

    def _size_below(self, top: Dir) -> int | None:
        """Sum up what is below a directory, on its device alone; None where that is not known."""
        device = top.stat().st_dev
        total = 0
        linked: set[int] = set()
        left = ["."]
        while left:
            above = left.pop()
            try:
                names = top.listdir(above, _MOST_NAMES)
            except HostReadError:
                # Removed meanwhile, or too deep for a path: no more than a part is unknown then.
                continue
            if len(names) >= _MOST_NAMES or len(left) >= _MOST_LEFT or self._stopping.is_set():
                return None
            for inner in names if above == "." else [f"{above}/{name}" for name in names]:
                self._pace()
                found = _status(top, inner)
                if found is None or found.st_dev != device:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    left.append(inner)
                elif found.st_nlink > 1:
                    if found.st_ino in linked:
                        continue
                    linked.add(found.st_ino)
                total += found.st_blocks * _BLOCK
        return total

    def _pace(self) -> None:
        self._seen += 1
        if self._seen % _BATCH == 0:
            self._sleep(_BATCH * self._seconds_per_entry)


def _status(top: Dir, path: str) -> os.stat_result | None:
    try:
        return top.stat(path, follow=False)
    except HostReadError:
        return None


def _be_idle() -> None:
    """Give this thread, and no other, what is left of the disk and the CPU."""
    thread = threading.get_native_id()
    with suppress(OSError):  # a machine whose number of the call is not known
        set_idle_io_priority(thread)
    os.setpriority(os.PRIO_PROCESS, thread, 19)
