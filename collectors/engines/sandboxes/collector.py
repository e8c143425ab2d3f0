"""Sandboxes and small containers: names who made what lives in a root and mounts of its own.

A sighting is given for the topmost process that is in a mount namespace and a root directory which
are not the host's; whether that is a container or only a sandbox over the host's files is decided
later, from its mounts. ``instance`` is the user id of who made it, empty for root; ``engine_id`` is
``<pid>-<start time>`` of the first process, as these engines keep no ids. ``init`` is that process.
Nothing is known of what does not run.

bubblewrap, flatpak, firejail, apptainer, unshare --fork, nsjail and the like are told by the binary
of the parent that they leave; charliecloud, snap and flatpak by their mounts. ``unshare`` without
``--fork`` leaves no trace: what it made has no engine. Toolbox and distrobox are podman's.
"""

from __future__ import annotations

import posixpath
from contextlib import suppress
from typing import TYPE_CHECKING

from collectors.engines.sandboxes.makers import (
    TELLING_MOUNTS,
    Marks,
    apptainer_marks,
    build_marks,
    charliecloud_marks,
    engine_by_mounts,
    engine_of,
    engine_of_build,
    flatpak_marks,
    is_flatpak,
    is_kept,
    snap_marks,
)
from collectors.engines.shared.supervised import started_at
from collectors.facts import FileId, ProcessId, Sighting, State
from collectors.hostfs import HostReadError
from collectors.kernel.processes import parse_mountinfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collectors.contract import Context
    from collectors.facts import Mount, Process

_BUILD_ENGINES = frozenset({"docker", "buildkit", "podman", "buildah"})
_FLATPAK_INFO_LIMIT = 64 << 10
_MOUNTS_LIMIT = 4 << 20
_SETTLED_SECONDS = 10.0
_Place = tuple[ProcessId, int | None, FileId | None]
"""A process with its mount namespace and root: it may go on to another."""

_GENERATIONS = 16
"""Ancestors that are looked at: some shells and wrappers may stand between."""


class SandboxCollector:
    """Names the makers of sandboxes, build steps and containers without a manager.

    It remembers whom it does not know, so that the mounts of other engines' containers are read
    once and not in every pass.
    """

    name = "sandboxes"

    def __init__(self) -> None:
        self._strangers: frozenset[_Place] = frozenset()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Say of each mount namespace with a root of its own who made it, where that is known."""
        first: dict[int, Process] = {}
        inside = [p for p in ctx.processes if _has_own_root(ctx, p)]
        places: dict[FileId | None, set[int | None]] = {}
        for process in inside:
            places.setdefault(process.root, set()).add(process.namespaces.mnt)
        for process in sorted(inside, key=lambda p: (p.id.start_ticks, p.inner_pid)):
            mounts = process.namespaces.mnt
            if mounts is None:
                continue
            before = first.setdefault(mounts, process)
            waits = before.inner_pid != 1 and len(places[before.root]) > 1
            if process.root != before.root and waits:
                # The one before made the mounts in another container, and waits on that one's root.
                # The first process of a pid namespace is nobody's maker: it may share its root
                # directory with a container beside it, and what follows has changed its root.
                first[mounts] = process
        found, strangers = [], []
        for process in first.values():
            place = (process.id, process.namespaces.mnt, process.root)
            sighting = None if place in self._strangers else _sighting(ctx, process)
            if sighting is not None:
                found.append(sighting)
            elif place in self._strangers or _is_settled(ctx, process):
                strangers.append(place)
        self._strangers = frozenset(strangers)
        return found

    def close(self) -> None:
        """Nothing is kept open."""


def _is_settled(ctx: Context, process: Process) -> bool:
    """Return whether a process is old enough to have all its mounts."""
    started = started_at(ctx.facts, process.id)
    return started is not None and ctx.now - started > _SETTLED_SECONDS


def _has_own_root(ctx: Context, process: Process) -> bool:
    """Return whether a process has neither the host's root nor the host's mounts."""
    host = ctx.facts
    return (
        process.root not in (None, host.root)
        and process.namespaces.mnt not in (None, host.namespaces.mnt)
        and process.state not in "ZX"
    )


def _chain(ctx: Context, process: Process) -> list[Process]:
    """Return the ancestors up to the first that is in other mounts: the maker is one of them.

    Between it and the process may be a shell that it started.
    """
    chain: list[Process] = []
    ancestor = ctx.processes.get(process.ppid)
    while ancestor is not None and len(chain) < _GENERATIONS:
        chain.append(ancestor)
        if ancestor.namespaces.mnt != process.namespaces.mnt:
            break
        ancestor = ctx.processes.get(ancestor.ppid)
    return chain


def _sighting(ctx: Context, process: Process) -> Sighting | None:
    chain = _chain(ctx, process)
    marks = _marks(ctx, process, chain)
    if marks is None:
        return None
    payload = _payload(ctx, process)
    uid = chain[0].uid if chain else process.uid
    pid, start = process.id
    is_build = marks.engine in _BUILD_ENGINES
    name = marks.name or (posixpath.basename(payload.argv[0]) if payload.argv else "")
    return Sighting(
        collector="sandboxes",
        engine=marks.engine,
        instance="build" if is_build else str(uid) if uid else "",
        engine_id=(is_build and marks.name) or f"{pid}-{start}",
        name=name,
        state=State.RUNNING,
        image=marks.image,
        init=process.id,
        started=started_at(ctx.facts, process.id),
        labels=marks.labels,
        boots=False if is_build else None,
        command=payload.argv,
    )


def _marks(ctx: Context, process: Process, chain: Sequence[Process]) -> Marks | None:
    """Find out who made it; None when nobody that is known here did."""
    engine = next(filter(None, map(engine_of, chain)), "")
    if chain and not engine:
        outside = chain[-1]
        if is_kept(outside):
            return None
        engine = engine_of_build(outside, ctx.processes.get(outside.ppid))
    if chain and engine in _BUILD_ENGINES:
        return build_marks(engine, process, chain[-1])
    mounts = _mounts(ctx, process)
    engine = engine or engine_by_mounts(mounts)
    if engine == "bubblewrap" and is_flatpak(mounts):
        return _flatpak(ctx, process, mounts)
    if engine == "snap":
        return snap_marks(process)
    if engine == "charliecloud":
        return charliecloud_marks(mounts)
    if engine in ("apptainer", "singularity"):
        return apptainer_marks(engine, chain, _environment(ctx, process))
    if engine == "firejail":
        return Marks(engine=engine, name=_firejail_name(ctx, chain))
    return Marks(engine=engine) if engine else None


def _payload(ctx: Context, process: Process) -> Process:
    """Return the process that the sandbox is for: the maker's own reaper may be the first."""
    if not engine_of(process):
        return process
    children = (p for p in ctx.processes if p.ppid == process.pid)
    return min(children, key=lambda p: p.id.start_ticks, default=process)


def _mounts(ctx: Context, process: Process) -> tuple[Mount, ...]:
    """Read the mounts of a process, if any of them tells of its maker."""
    try:
        data = ctx.host.proc.read(f"{process.pid}/mountinfo", _MOUNTS_LIMIT)
    except HostReadError:
        return ()
    return parse_mountinfo(data) if TELLING_MOUNTS.search(data) else ()


def _flatpak(ctx: Context, process: Process, mounts: Sequence[Mount]) -> Marks:
    if any(mount.target == "/" and mount.fstype.startswith("fuse") for mount in mounts):
        return Marks(engine="flatpak")  # whose files may never come
    try:
        with ctx.host.container_root(process.pid) as root:
            return flatpak_marks(root.read_text(".flatpak-info", _FLATPAK_INFO_LIMIT))
    except HostReadError:
        return Marks(engine="flatpak")


def _environment(ctx: Context, process: Process) -> bytes:
    try:
        return ctx.host.proc.read_head(f"{process.pid}/environ", 65536)
    except HostReadError:
        return b""


def _firejail_name(ctx: Context, chain: Sequence[Process]) -> str:
    """Read the name under which firejail keeps the sandbox, by its process outside."""
    for process in chain:
        with suppress(HostReadError):
            text = ctx.host.root.read_text(f"run/firejail/name/{process.pid}", 4096)
            return text.strip()
    return ""
