"""Sandboxes and small containers: finds the program that made processes' own root and mounts.

There is a sighting for the first process in a mount namespace and a root directory which are not
the host's; whether that is a container or only a sandbox over the host's files is decided later,
from its mounts. ``instance`` is the user id of the maker, empty for root; ``engine_id`` is
``<pid>-<start time>`` of the first process, as these engines keep no ids. ``init`` is that process.
Only running ones can be seen.

bubblewrap, flatpak, firejail, apptainer, unshare --fork, nsjail and the like are recognized by the
binary of the parent that they leave; charliecloud, snap and flatpak by their mounts. ``unshare``
without ``--fork`` leaves no trace: what it made has no engine. Toolbox and distrobox are podman's.
"""

from __future__ import annotations

import posixpath
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.sandboxes.discovery import ancestors, find_candidates
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
from collectors.engines.shared.processes import started_at
from collectors.engines.shared.turns import Turns, owner_of
from collectors.facts import FileId, ProcessId, Sighting, State
from collectors.hostfs import HostReadError
from collectors.kernel.processes import parse_mountinfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collectors.contract import Context
    from collectors.facts import Mount, Process

_BUILD_ENGINES = frozenset({"docker", "buildkit", "podman", "buildah"})
_FLATPAK_INFO_LIMIT = 64 << 10
_MOUNTS_LIMIT = 4 << 20
_SETTLED_SECONDS = 10.0
_Candidate = tuple[ProcessId, int | None, FileId | None]
"""A process with its mount namespace and root directory: it may change both later."""


class SandboxCollector:
    """Sees sandboxes, build steps and containers without a manager.

    It remembers the processes that are none of these, so that the mounts of other engines'
    containers are read once and not in every pass.
    """

    name = "sandboxes"

    def __init__(self) -> None:
        self._rejected: frozenset[_Candidate] = frozenset()
        self._new_rejected: set[_Candidate] = set()
        self._turns: Turns[Sighting] = Turns()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return a sighting for each mount namespace with a root of its own and a known maker.

        What users and containers made shares a time budget.
        """
        rejected: set[_Candidate] = set()
        candidates: dict[str, list[Process]] = {}
        for process in find_candidates(ctx):
            if _candidate(process) in self._rejected:
                rejected.add(_candidate(process))
            else:
                candidates.setdefault(owner_of(ctx, process), []).append(process)
        self._rejected = frozenset(rejected)
        own = [s for s in self._read(ctx, candidates.pop("", ())) if s is not None]
        strangers = {owner: partial(self._read, ctx, found) for owner, found in candidates.items()}
        found = own + self._turns.read(strangers, ctx.wake, first=ctx.first)
        new, self._new_rejected = self._new_rejected, set()
        self._rejected |= new
        return found

    def _read(self, ctx: Context, processes: Iterable[Process]) -> Iterator[Sighting | None]:
        for process in processes:
            sighting = _sighting(ctx, process)
            if sighting is None and _is_settled(ctx, process):
                self._new_rejected.add(_candidate(process))
            yield sighting

    def close(self) -> None:
        """Nothing is kept open."""


def _candidate(process: Process) -> _Candidate:
    return process.id, process.namespaces.mnt, process.root


def _is_settled(ctx: Context, process: Process) -> bool:
    """Return whether a process is old enough to have all its mounts."""
    started = started_at(ctx, process)
    return started is not None and ctx.now - started > _SETTLED_SECONDS


def _sighting(ctx: Context, process: Process) -> Sighting | None:
    chain = ancestors(ctx, process)
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
        started=started_at(ctx, process),
        labels=marks.labels,
        boots=False if is_build else None,
        command=payload.argv,
    )


def _marks(ctx: Context, process: Process, chain: Sequence[Process]) -> Marks | None:
    """Return what is known of its maker; None when it is none of those known here."""
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
    """Return the process that was to be run: the first may be the maker's own reaper."""
    if not engine_of(process):
        return process
    children = (p for p in ctx.processes if p.ppid == process.pid)
    return min(children, key=lambda p: p.id.start_ticks, default=process)


def _mounts(ctx: Context, process: Process) -> tuple[Mount, ...]:
    """Read the mounts of a process, if any of them is characteristic of a maker."""
    try:
        data = ctx.host.proc.read(f"{process.pid}/mountinfo", _MOUNTS_LIMIT)
    except HostReadError:
        return ()
    return parse_mountinfo(data) if TELLING_MOUNTS.search(data) else ()


def _flatpak(ctx: Context, process: Process, mounts: Sequence[Mount]) -> Marks:
    if any(mount.target == "/" and mount.fstype.startswith("fuse") for mount in mounts):
        return Marks(engine="flatpak")  # reading through FUSE may block for ever
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
    """Return the name that firejail keeps for the sandbox, by its process outside."""
    for process in chain:
        with suppress(HostReadError):
            text = ctx.host.root.read_text(f"run/firejail/name/{process.pid}", 4096)
            return text.strip()
    return ""
