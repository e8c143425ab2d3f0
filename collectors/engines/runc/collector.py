"""OCI runtimes: what runc, crun and youki keep of each container in their state directories.

Every engine of the OCI family starts its containers through one of these, so most of the containers
here belong to another engine, and the inventory joins the two by id and first process. The others
were started by hand.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.runc.discovery import RUNTIMES, RootFinder, StateRoot, opened
from collectors.engines.runc.search import StateSearch, search
from collectors.engines.runc.states import RuntimeState, parse_crun_state, parse_runc_state
from collectors.engines.shared.cgroup_paths import cgroup_of
from collectors.engines.shared.files import FileCache, parsed, read_object
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import alive, running_state
from collectors.engines.shared.turns import Turns
from collectors.facts import Sighting, State
from collectors.formats.oci_spec import Spec, parse_spec
from collectors.hostfs import Gone, HostReadError, or_none

if TYPE_CHECKING:
    from collectors.contract import Context
    from collectors.engines.shared.turns import Reader
    from collectors.facts import Process, ProcessId
    from collectors.hostfs import Dir

_MANAGED = re.compile(r"/io\.containerd\.runtime\.v\d\.\w+/|-containers/[^/]+/userdata/?$")
"""Bundles of containerd (and Docker) and of podman and CRI-O, which know more of a container that
does not run, under an id that the inventory may not be able to join with the runtime's."""


_BUILD = re.compile(r"/buildkit/(?:[^/]+/)?executor/")
"""Bundles of BuildKit, in Docker or by itself: steps of a build."""


_MOST_ORPHANS = 100
"""Of one user, for which is searched at a time."""


class OciCollector:
    """Finds containers by the state files of their OCI runtime; ``instance`` is the directory.

    ``engine`` of its sightings is the runtime's own name, or buildkit for the steps of a build.
    """

    name = "runc"

    def __init__(self) -> None:
        self._own = _Reader()
        self._users: dict[int, _User] = {}
        self._finder = RootFinder()
        self._search = StateSearch()
        self._turns: Turns[Sighting] = Turns()
        self._known: frozenset[ProcessId] = frozenset()
        """The first processes of the containers of the last pass."""

    def close(self) -> None:
        """Nothing is kept open."""

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Read the state of every container in every state directory.

        Root's own come first, and those of users share a time budget.
        """
        ctx.watch("/run")
        own: list[Sighting] = []
        roots = self._finder.find(ctx)
        for root in roots:
            if not root.owner:
                own += filter(None, self._read(ctx, root, self._own))
        found, orphans = self._search.find(ctx, self._known | {s.init for s in own if s.init})
        for path, owner in found.items():
            root = StateRoot(path, owner)
            if root not in roots:
                self._finder.learn(root)
                if owner:
                    roots.append(root)
                else:
                    own += filter(None, self._read(ctx, root, self._own))
        self._own.end(ctx)
        of_users = self._turns.read(self._strangers(ctx, roots, orphans), ctx.wake, first=ctx.first)
        taken = {(s.instance, s.engine_id) for s in own}
        sightings = own + [s for s in of_users if (s.instance, s.engine_id) not in taken]
        self._known = frozenset(s.init for s in sightings if s.init)
        return sightings

    def _strangers(
        self, ctx: Context, roots: Iterable[StateRoot], orphans: Mapping[int, Sequence[Process]]
    ) -> Mapping[str, Reader[Sighting]]:
        of_users: dict[int, list[StateRoot]] = {}
        for root in roots:
            if root.owner:
                of_users.setdefault(root.owner, []).append(root)
        for user in (*orphans, *(u for u, kept in self._users.items() if kept.orphans)):
            of_users.setdefault(user, [])
        self._users = {user: self._users.get(user) or _User() for user in of_users}
        for user, processes in orphans.items():
            kept = self._users[user]
            kept.orphans = [*kept.orphans, *processes][-_MOST_ORPHANS:]
        return {
            f"user {user}": partial(self._read_all, ctx, self._users[user], found)
            for user, found in of_users.items()
        }

    def _read_all(
        self, ctx: Context, user: _User, roots: Sequence[StateRoot]
    ) -> Iterator[Sighting | None]:
        """Read all state directories of a user, and look for those of his orphans."""
        for owner in dict.fromkeys(root.owner for root in roots):
            ctx.watch(f"/run/user/{owner}")
        for root in roots:
            yield from self._read(ctx, root, user.reader)
            yield None
        orphans, user.orphans = user.orphans, []
        owners: dict[str, int] = {}
        for _ in search(ctx, orphans, owners):
            yield None
        for path, owner in owners.items():
            root = StateRoot(path, owner)
            if root not in roots:
                self._finder.learn(root)
                yield from self._read(ctx, root, user.reader)
        user.reader.end(ctx)

    def _read(self, ctx: Context, root: StateRoot, reader: _Reader) -> Iterator[Sighting | None]:
        with opened(ctx, root) as directory:
            if root.owner == 0 or root.path.startswith("/run/user/"):
                ctx.watch(root.path)
            if directory is None:
                self._finder.forget(root)
            else:
                yield from reader.read(ctx, root, directory)


class _Reader:
    """Reads state directories of one owner, and parses only what changed."""

    def __init__(self) -> None:
        self._states = FileCache(read_object)
        self._specs = FileCache(parsed(parse_spec))
        self._last: dict[tuple[str, str], Sighting] = {}
        self._found: dict[tuple[str, str], Sighting] = {}

    def end(self, ctx: Context) -> None:
        """Note that all directories were read, for the next pass."""
        if ctx.full:
            self._states.sweep()
            self._specs.sweep()
        self._last, self._found = self._found, {}

    def read(self, ctx: Context, root: StateRoot, directory: Dir) -> Iterator[Sighting | None]:
        """Return the containers of one state directory, None for what is none.

        Between full reconciliations a container whose first process is the same as before is not
        read again, but for whether it is paused.
        """
        for engine_id in or_none(directory.subdirectories) or ():
            sighting = self._container(ctx, root, directory, engine_id)
            if sighting is not None:
                self._found[root.path, engine_id] = sighting
            yield sighting

    def _container(
        self, ctx: Context, root: StateRoot, directory: Dir, engine_id: str
    ) -> Sighting | None:
        last = self._last.get((root.path, engine_id))
        process = _still_running(ctx, last) if last is not None and not ctx.full else None
        if last is not None and process is not None:
            now = running_state(ctx, process)
            return last if last.state is now else replace(last, state=now)
        try:
            with directory.open_dir(engine_id) as own:
                state = self._read(ctx, root, own)
                if state is None:
                    return None
                state = replace(state, engine_id=engine_id)
                sighting = self._sighting(ctx, root, state, own)
        except HostReadError:
            return None  # gone or counted
        is_shown = sighting.init is not None or not sighting.below_engine
        return sighting if is_shown else None

    def _read(self, ctx: Context, root: StateRoot, own: Dir) -> RuntimeState | None:
        for file, parse in (("state.json", parse_runc_state), ("status", parse_crun_state)):
            try:
                document = self._states.get(own, file)
            except Gone:
                continue
            if document is None:
                return None
            state = parse(document, ctx.facts.cgroups)
            if state is None:
                own.malformed(file, "names no process")
                return None
            name = posixpath.basename(root.path)
            return replace(
                state,
                recorded=own.stat(file).st_mtime,
                runtime=name if name in RUNTIMES else state.runtime,
            )
        return None

    def _sighting(self, ctx: Context, root: StateRoot, state: RuntimeState, own: Dir) -> Sighting:
        process = _first_process(ctx, root, state)
        spec = self._spec(ctx, root, state)
        rootfs = state.rootfs or spec.rootfs
        return Sighting(
            collector="runc",
            engine="buildkit" if _BUILD.search(state.bundle) else state.runtime,
            instance=root.path,
            engine_id=state.engine_id,
            name=state.engine_id,
            state=_state(ctx, process, own),
            init=process.id if process is not None else None,
            cgroup=cgroup_of(process, state.cgroup, state.engine_id) if process else state.cgroup,
            hostname=state.hostname or spec.hostname,
            created=state.created,
            labels=spec.annotations,
            runtime=state.runtime,
            command=spec.command,
            cpu_shares=state.cpu_shares or spec.cpu_shares,
            tty=spec.tty,
            network_mode=state.network_mode or spec.network_mode,
            rootfs=posixpath.join(state.bundle, rootfs) if rootfs else "",
            mounts=spec.mounts,
            below_engine=_MANAGED.search(state.bundle) is not None,
        )

    def _spec(self, ctx: Context, root: StateRoot, state: RuntimeState) -> Spec:
        """Read the bundle's configuration, which may have changed since the container started."""
        if not state.bundle.startswith("/"):
            return Spec()
        try:
            with ctx.host.root.open_dir(state.bundle, confined=True) as bundle:
                if root.owner not in (0, bundle.stat().st_uid):
                    return Spec()
                return self._specs.get(bundle, "config.json") or Spec()
        except HostReadError:
            return Spec()


@dataclass(slots=True)
class _User:
    """What is kept of one user: only a thread that reads what is his uses it."""

    reader: _Reader = field(default_factory=_Reader)
    orphans: list[Process] = field(default_factory=list)
    """Those whose state is to be searched for."""


def _still_running(ctx: Context, last: Sighting) -> Process | None:
    """Return the first process of a container that was seen running, if it is the same still."""
    process = alive(ctx, last.init.pid) if last.init is not None else None
    same = process is not None and process.id == last.init
    return process if same and last.state is not State.CREATED else None


def _state(ctx: Context, process: Process | None, own: Dir) -> State:
    if process is None:
        return State.EXITED
    if own.exists("exec.fifo"):
        return State.CREATED  # "runc init" waits at it for "runc start"
    return running_state(ctx, process)


def _first_process(ctx: Context, root: StateRoot, state: RuntimeState) -> Process | None:
    return recorded_process(
        ctx,
        ctx.processes.by_pid,
        state.pid,
        state.engine_id,
        recorded=state.recorded,
        start_ticks=state.start_ticks,
        owner=root.owner,
    )
