"""Reads the limits of containers, and reads them again when anyone has changed them.

A write to a cgroup's file is an event of inotify(7), whoever writes: an engine, systemd, a shell.
So a check costs one look at the queue, however many containers there are. The same events tell that
a container was paused: no process comes or goes then, and not every engine makes a note of it.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.scout.inotify import open_inotify
from collectors.kernel.cgroups import FREEZE_FILES
from collectors.kernel.limits import (
    CONTROLLERS,
    LIMIT_FILES,
    Texts,
    cgroups_above,
    limited_cgroups,
    read_limits,
)

if TYPE_CHECKING:
    from inotify_simple import INotify

    from collectors.facts import CgroupLayout, HostFacts, Limits
    from collectors.hostfs import HostFS

log = logging.getLogger(__name__)

_WATCHED = (*CONTROLLERS, "freezer")
"""Keys of the hierarchies that are watched."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The limits of one container as they were read."""

    cgroups: Mapping[str, str]
    within: Mapping[str, str]
    limits: Limits
    watches: frozenset[int]
    watched: bool
    """All of its cgroups are watched: the limits hold until there is an event."""


class LimitReader:
    """Reads and keeps the limits of every container.

    Where inotify cannot be used, or has no watches left, they are read each time.
    """

    def __init__(self, host: HostFS) -> None:
        self._host = host
        self._kept: dict[str, _Kept] = {}
        self._inotify: INotify | None = None
        self._containers: dict[int, set[str]] = {}
        """Ids of the containers in or below the cgroup of each watch."""
        self._shared: Texts = {}
        self._may_watch = True
        self.outdated: set[str] = set()
        """Ids of the containers whose limits may have changed, as of the last ``drain``."""
        self._frozen = False

    @property
    def fd(self) -> int | None:
        """A descriptor that is readable after a write to a cgroup; None without inotify."""
        return self._inotify.fileno() if self._inotify is not None else None

    def open(self) -> None:
        """Begin to watch the cgroups of containers."""
        self._inotify = open_inotify("changed limits are seen late")

    def drain(self) -> bool:
        """Take the events off the queue; return whether any container is ``outdated`` now."""
        if self._inotify is None:
            return False
        from inotify_simple import flags  # noqa: PLC0415

        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                self.outdated.update(self._kept)
                self._frozen = True
            elif event.name in FREEZE_FILES:
                self._frozen = True
            elif event.name in LIMIT_FILES:
                self.outdated |= self._containers.get(event.wd, set())
        return bool(self.outdated)

    def take_freeze(self) -> bool:
        """Return whether a cgroup was frozen or thawed since this was last asked.

        It is what ``drain`` has found until now.
        """
        frozen, self._frozen = self._frozen, False
        return frozen

    def read(
        self,
        container_id: str,
        cgroups: Mapping[str, str],
        within: Mapping[str, str],
        facts: HostFacts,
        *,
        again: bool,
    ) -> Limits:
        """Return the limits of a container; ``again``: read them even if there was no event.

        ``within`` are the cgroups of its first process, ``cgroups`` those that are its own.
        """
        kept = self._kept.get(container_id)
        if (
            kept is None
            or again
            or not kept.watched
            or (kept.cgroups, kept.within) != (cgroups, within)
            or container_id in self.outdated
        ):
            kept = self._read(container_id, cgroups, within, facts)
        return kept.limits

    def retain(self, ids: Collection[str]) -> None:
        """Forget all containers but these."""
        for key in [key for key in self._kept if key not in ids]:
            self._unwatch(key, self._kept.pop(key).watches)
            self.outdated.discard(key)

    def end_pass(self) -> None:
        """Forget what is kept for the time of one pass."""
        self._shared.clear()

    def _read(
        self, key: str, cgroups: Mapping[str, str], within: Mapping[str, str], facts: HostFacts
    ) -> _Kept:
        # It is watched first: a change after that is an event. A cgroup that was removed and made
        # again is another one under the same path, so the watches are set anew each time.
        watches, watched = self._watch(key, limited_cgroups(cgroups, within), facts.cgroups)
        before = self._kept.get(key)
        if before is not None:
            self._unwatch(key, before.watches - watches)
        self.outdated.discard(key)
        limits = read_limits(self._host, facts, cgroups, within, self._shared)
        kept = self._kept[key] = _Kept(cgroups, within, limits, watches, watched)
        return kept

    def _watch(
        self, key: str, cgroups: Mapping[str, str], layout: CgroupLayout
    ) -> tuple[frozenset[int], bool]:
        """Watch a container's cgroups and those above; return the watches, and whether all are."""
        if self._inotify is None:
            return frozenset(), False
        from inotify_simple import flags  # noqa: PLC0415

        watches = set()
        complete = True
        for path in _directories(cgroups, layout):
            # Not MODIFY: the kernel itself modifies memory.events, as often as a container likes.
            try:
                watch = self._inotify.add_watch(
                    self._host.sys_path(path), flags.CLOSE_WRITE | flags.ONLYDIR
                )
            except OSError as error:
                complete = False
                if error.errno == errno.ENOSPC and self._may_watch:
                    self._may_watch = False
                    log.warning("inotify: no more watches (fs.inotify.max_user_watches)")
                continue
            watches.add(watch)
            self._containers.setdefault(watch, set()).add(key)
        return frozenset(watches), complete

    def _unwatch(self, key: str, watches: Collection[int]) -> None:
        for watch in watches:
            containers = self._containers[watch]
            containers.discard(key)
            if not containers:
                del self._containers[watch]
                if self._inotify is not None:
                    with suppress(OSError):  # removed with its cgroup
                        self._inotify.rm_watch(watch)


def _directories(cgroups: Mapping[str, str], layout: CgroupLayout) -> Iterator[str]:
    """Return the directories, below sysfs, in which limits of a container are set, or its state."""
    for controller in _WATCHED:
        if controller in cgroups and controller in layout.hierarchies:
            for cgroup in cgroups_above(cgroups[controller]):
                yield layout.hierarchies[controller] + cgroup
