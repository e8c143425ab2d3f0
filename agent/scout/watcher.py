"""Watches cgroup directories and engines' folders: changes are seen without polling."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.scout.inotify import open_inotify
from collectors.hostfs import HostReadError
from collectors.kernel.cgroups import SYSTEMD, UNIFIED

if TYPE_CHECKING:
    from inotify_simple import INotify

    from collectors.facts import CgroupLayout
    from collectors.hostfs import HostFS

log = logging.getLogger(__name__)

_WATCHES = 1000
"""Most directories that are watched: slices and engines' parents, not containers themselves."""

_DEPTH = 6

_FOLDERS = 500
"""Most folders of engines that are watched."""


class CgroupWatcher:
    """An inotify(7) on the directories of one cgroup hierarchy in which containers may appear.

    It also watches folders in which engines keep the state of containers; their collectors name
    them.
    """

    def __init__(self, host: HostFS, layout: CgroupLayout) -> None:
        self._host = host
        self._base = ""
        for controller in (SYSTEMD, UNIFIED, "pids", "cpu", "memory", *layout.hierarchies):
            if controller in layout.hierarchies:
                self._base = layout.hierarchies[controller]
                break
        self._watched: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._with_files: set[int] = set()
        self._ended: set[int] = set()
        """Watches on cgroups that the kernel has ended since the last ``refresh``."""
        self._inotify: INotify | None = None
        self.directories: tuple[str, ...] = ()
        """Cgroup paths found by the last walk, without those inside containers."""
        self.outdated = False
        """Something has changed since the last ``refresh``."""

    @property
    def fd(self) -> int | None:
        """A descriptor that is readable when something changed; None without inotify."""
        return self._inotify.fileno() if self._inotify is not None else None

    def open(self) -> None:
        """Begin to watch; where inotify cannot be used, nothing is watched."""
        self._inotify = open_inotify("new containers are found by polling only")

    def drain(self) -> None:
        """Take the events off the descriptor; ``outdated`` tells whether one of them matters."""
        if self._inotify is None:
            return
        from inotify_simple import flags  # noqa: PLC0415

        folders = {watch: path for path, watch in list(self._folders.items())}
        for event in self._inotify.read(timeout=0):
            path = folders.get(event.wd)
            if event.mask & flags.Q_OVERFLOW:
                self._forget_all()
                folders = {}
                self.outdated = True
            elif path is None:
                if event.mask & flags.IGNORED:
                    self._ended.add(event.wd)
                self.outdated = True
            elif event.mask & flags.IGNORED:
                self._folders.pop(path, None)  # removed; its collector names it when it is back
                self._with_files.discard(event.wd)
            elif event.mask & flags.ISDIR or event.wd in self._with_files:
                self.outdated = True

    def _forget_all(self) -> None:
        """End all watches: after an overflow it is unknown which of them the kernel has ended.

        The next ``refresh`` and the collectors begin new ones.
        """
        if self._inotify is None:
            return
        for watches in (self._folders, self._watched):
            for path in list(watches):
                with suppress(OSError):  # it has ended
                    self._inotify.rm_watch(watches.pop(path))
        self._with_files.clear()

    def watch_folder(self, path: str, *, files: bool = False) -> None:
        """Watch an engine's folder on the host if it exists; from any thread, any number of times.

        Directories that are made or removed in it are changes; with ``files`` so are files, and
        writes to them.
        """
        if self._inotify is None or path in self._folders or len(self._folders) >= _FOLDERS:
            return
        from inotify_simple import flags  # noqa: PLC0415

        mask = flags.CREATE | flags.DELETE | flags.MOVED_TO | flags.ONLYDIR
        try:
            watch = self._inotify.add_watch(
                self._host.host_path(path), mask | flags.MODIFY if files else mask
            )
        except OSError:
            return  # missing, not readable, or too many watches: polling still finds containers
        if files:
            self._with_files.add(watch)
        self._folders[path] = watch

    def refresh(self, containers: Iterable[str]) -> None:
        """Walk the hierarchy again and watch its directories, but none inside ``containers``."""
        self.outdated = False
        if not self._base:
            return
        inside = frozenset(containers)
        directories: list[str] = []
        queue = [("/", 0)]
        while queue and len(directories) < 20 * _WATCHES:
            path, depth = queue.pop()
            if path in inside:
                continue
            directories.append(path)
            if depth < _DEPTH:
                queue += [(f"{path.rstrip('/')}/{d}", depth + 1) for d in self._children(path)]
        self.directories = tuple(directories)
        self._watch(directories)

    def _children(self, path: str) -> list[str]:
        try:
            return self._host.sys.subdirectories(self._base + path)
        except HostReadError:
            return []

    def _watch(self, paths: list[str]) -> None:
        if self._inotify is None:
            return
        from inotify_simple import flags  # noqa: PLC0415

        mask = flags.CREATE | flags.DELETE | flags.ONLYDIR
        wanted = set(paths[:_WATCHES])
        # One that was removed and made again under the same name needs a new watch.
        stale = [p for p, watch in self._watched.items() if p not in wanted or watch in self._ended]
        self._ended.clear()
        for path in stale:
            with suppress(OSError):  # the directory was removed, and its watch with it
                self._inotify.rm_watch(self._watched.pop(path))
        for path in paths[:_WATCHES]:
            if path in self._watched:
                continue
            directory = self._host.sys_path(self._base + path)
            try:
                self._watched[path] = self._inotify.add_watch(directory, mask)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    log.warning("inotify: no more watches (fs.inotify.max_user_watches)")
                    return
