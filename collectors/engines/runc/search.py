"""State directories of OCI runtimes that no process names any more.

``runc --root DIR run --detach`` leaves nothing behind that knows DIR: the container's first process
is adopted by the host's init. Such orphans are few. For each new one its runtime's state is looked
for where such directories usually are: beside the bundle, and below /run, /tmp and the like. One
that waits to be started still has the runtime's fifo open.
"""

from __future__ import annotations

import posixpath
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from collectors.engines.shared.background import wake_after
from collectors.engines.shared.files import CONFIG_LIMIT, read_object
from collectors.engines.shared.processes import binary_name, started_at
from collectors.hostfs import HostReadError
from collectors.kernel.processes import read_mounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from collectors.contract import Context
    from collectors.facts import FileId, Process, ProcessId
    from collectors.hostfs import Dir

_PLACES = ("/run", "/tmp", "/var/tmp", "/var/lib", "/srv", "/opt", "/root")  # noqa: S108
_ABOVE_ROOT = 3
"""Directories above a container's root filesystem that are searched: first its bundle."""

_LEVELS = 2
"""A state directory is at most so many levels below such a directory."""

_DIRECTORIES = 3000
"""Opened at most in one search."""

_BREADTH = 200
_FIFO = "exec.fifo"
_FILES = (("state.json", "init_process_pid"), ("state.json", "pid"), ("status", "pid"))
_LARGEST = {"state.json": CONFIG_LIMIT, "status": 1 << 16}
"""Bytes: dpkg has a ``status``, too, of some megabytes."""

_SETTLED_SECONDS = 5.0

_FIRST_SECONDS, _SECONDS = 3.0, 0.2
"""For which one pass, the first and a later one, searches for the state of root's orphans."""

_PAUSE = 0.5
"""Seconds until the pass that goes on with a search."""


class StateSearch:
    """Searches for each orphan when it is seen first, and again when it is a few seconds old.

    A search goes on in the next pass where one has no time for it: anybody can fill /tmp, and what
    becomes a daemon in a chroot is an orphan of no runtime.
    """

    def __init__(self) -> None:
        self._done: frozenset[ProcessId] = frozenset()
        self._searched: dict[ProcessId, float] = {}
        """Root's own that a search has looked for, and when it began."""
        self._walk: _Walk | None = None

    def find(
        self, ctx: Context, known: AbstractSet[ProcessId]
    ) -> tuple[dict[str, int], dict[int, list[Process]]]:
        """Return the owner by state directory of orphans that are not ``known``.

        Besides, orphans in user namespaces, by user. Users can make them, and so ``search`` looks
        for their state in its own time.
        """
        orphans = [p for p in ctx.processes if p.id not in known and _is_orphan(ctx, p)]
        new = [p for p in orphans if p.id not in self._done]
        settled = ctx.now - _SETTLED_SECONDS
        owners: dict[str, int] = {}
        own: list[Process] = []
        of_users: dict[int, list[Process]] = {}
        for process in new:
            waiting = dict.fromkeys(_by_fifo(ctx, process), process.uid or 0)
            owners |= waiting
            if not waiting and process.namespaces.user in (None, ctx.facts.namespaces.user):
                own.append(process)
            elif not waiting:
                of_users.setdefault(process.uid or 0, []).append(process)
        owners |= self._search_own(ctx, own)
        unfinished = {p.id for p in own if self._is_wanted(ctx, p)}
        self._done = frozenset(
            p.id
            for p in orphans
            if p.id in self._done
            or ((started_at(ctx, p) or 0.0) < settled and p.id not in unfinished)
        )
        return owners, of_users

    def _is_wanted(self, ctx: Context, process: Process) -> bool:
        """Return whether an orphan is to be searched for now."""
        begun = self._searched.get(process.id)
        settles = (started_at(ctx, process) or 0.0) + _SETTLED_SECONDS
        return begun is None or begun < settles <= ctx.now

    def _search_own(self, ctx: Context, own: list[Process]) -> Mapping[str, int]:
        """Search for root's own orphans for a while; return what was found until now."""
        here = {process.id for process in own}
        self._searched = {p: begun for p, begun in self._searched.items() if p in here}
        if self._walk is None:
            wanted = [process for process in own if self._is_wanted(ctx, process)]
            if not wanted:
                return {}
            self._walk = _Walk(ctx, wanted, only_roots=True)
        walk = self._walk
        if walk.go_on(_FIRST_SECONDS if ctx.first else _SECONDS):
            self._walk = None
            self._searched |= dict.fromkeys(walk.orphans & here, walk.begun)
        else:
            wake_after(_PAUSE, ctx.wake)
        return walk.owners


def search(ctx: Context, orphans: Sequence[Process], owners: dict[str, int]) -> Iterator[None]:
    """Search for the state of users' orphans, a directory at a time; add to ``owners``."""
    if orphans:
        walk = _Walk(ctx, orphans, only_roots=False)
        yield from walk.steps
        owners |= walk.owners


def _is_orphan(ctx: Context, process: Process) -> bool:
    """Return whether a container's first process was adopted by the host's or a user's init."""
    host = ctx.facts
    mine = process.namespaces.mnt
    if mine in (None, host.namespaces.mnt) or process.root in (None, host.root):
        return False
    if process.ppid == 1:  # of which an agent may not be able to read more
        return process.state not in "ZX"
    parent = ctx.processes.get(process.ppid)
    return (
        process.state not in "ZX"
        and parent is not None
        and binary_name(parent) == "systemd"
        and parent.namespaces.mnt == host.namespaces.mnt
    )


def _by_fifo(ctx: Context, process: Process) -> Iterator[str]:
    try:
        with ctx.host.proc.open_dir(f"{process.pid}/fd") as descriptors:
            for name in descriptors.listdir(limit=_BREADTH):
                target = descriptors.readlink(name)
                if posixpath.basename(target) == _FIFO and target.startswith("/"):
                    yield posixpath.dirname(posixpath.dirname(target))
    except HostReadError:
        return


class _Walk:
    """One search: which directories hold the state of one of these processes, and whose they are.

    It stays on the mount that it begins on: another may be untrusted FUSE, and never answer.
    """

    def __init__(self, ctx: Context, orphans: Sequence[Process], *, only_roots: bool) -> None:
        self.begun = ctx.now
        self.orphans = {process.id for process in orphans}
        self.steps = self._everywhere(ctx, orphans)
        self._pids = {process.pid for process in orphans}
        self._only_roots = only_roots
        """What users wrote is not parsed: there may be any amount of it in /tmp."""
        self._left = _DIRECTORIES
        self._seen: set[FileId] = set()
        self.owners: dict[str, int] = {}
        """Owner by state directory, of those that were found."""

    def go_on(self, seconds: float) -> bool:
        """Search for so many seconds; return whether that was the end."""
        until = monotonic() + seconds
        return all(monotonic() < until for _ in self.steps)

    def _everywhere(self, ctx: Context, orphans: Iterable[Process]) -> Iterator[None]:
        """Search around the root filesystems of the orphans, and in the usual places."""
        for path in dict.fromkeys(p for process in orphans for p in _around_root(ctx, process)):
            with suppress(HostReadError), ctx.host.root.open_below(path.lstrip("/")) as directory:
                yield from self._visit(directory, path, _LEVELS)
        for path in _PLACES:
            with (
                suppress(HostReadError),
                ctx.host.root.open_dir(path.lstrip("/"), confined=True) as directory,
            ):
                yield from self._visit(directory, path, _LEVELS)

    def _visit(self, directory: Dir, path: str, levels: int) -> Iterator[None]:
        """Search a directory and those below it."""
        here = directory.file_id()
        if here in self._seen or self._left <= 0:
            return
        self._seen.add(here)
        for name in directory.subdirectories()[:_BREADTH]:
            self._left -= 1
            try:
                with directory.open_below(name) as child:
                    if self._tells(child):
                        self.owners[path] = directory.stat().st_uid
                    elif levels > 0:
                        yield from self._visit(child, f"{path.rstrip('/')}/{name}", levels - 1)
            except HostReadError:
                continue
            yield

    def _tells(self, child: Dir) -> bool:
        if self._only_roots and child.stat().st_uid != 0:
            return False
        for file, key in _FILES:
            if child.exists(file) and child.stat(file).st_size <= _LARGEST[file]:
                document = read_object(child, file)
                if document is not None and document.integer(key) in self._pids:
                    return True
        return False


def _around_root(ctx: Context, process: Process) -> Iterator[str]:
    """Return the directories above a root filesystem that is a directory of the host's own disk."""
    try:
        mounts = read_mounts(ctx.host, process.pid)
    except HostReadError:
        return
    path = next((m.root for m in mounts if m.target == "/"), "/")
    for _ in range(_ABOVE_ROOT):
        path = posixpath.dirname(path)
        if path != "/":
            yield path
