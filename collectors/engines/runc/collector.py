"""OCI runtimes: what runc, crun and youki keep of each container in their state directories.

Every engine of the OCI family starts its containers through one of these, so most of the containers
here belong to another engine, and the inventory joins the two by id and first process. The others
were started by hand.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.engines.runc.discovery import RUNTIMES, RootFinder, StateRoot, opened
from collectors.engines.runc.search import StateSearch
from collectors.engines.runc.states import RuntimeState, parse_crun_state, parse_runc_state
from collectors.engines.shared.cgroup_paths import cgroup_of
from collectors.engines.shared.files import FileCache, parsed, read_object
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import alive, running_state
from collectors.facts import Sighting, State
from collectors.formats.oci_spec import Spec, parse_spec
from collectors.hostfs import Gone, HostReadError, or_none

if TYPE_CHECKING:
    from collectors.contract import Context
    from collectors.facts import Process
    from collectors.hostfs import Dir

_MANAGED = re.compile(r"/io\.containerd\.runtime\.v\d\.\w+/|-containers/[^/]+/userdata/?$")
"""Bundles of containerd (and Docker) and of podman and CRI-O, which know more of a container that
does not run, under an id that the inventory may not be able to join with the runtime's."""


_BUILD = re.compile(r"/buildkit/(?:[^/]+/)?executor/")
"""Bundles of BuildKit, in Docker or by itself: steps of a build."""


class OciCollector:
    """Finds containers by the state files of their OCI runtime; ``instance`` is the directory.

    ``engine`` of its sightings is the runtime's own name, or buildkit for the steps of a build.
    """

    name = "runc"

    def __init__(self) -> None:
        self._states = FileCache(read_object)
        self._specs = FileCache(parsed(parse_spec))
        self._last: dict[tuple[str, str], Sighting] = {}
        self._finder = RootFinder()
        self._search = StateSearch()

    def close(self) -> None:
        """Nothing is kept open."""

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Read the state of every container in every state directory.

        Between full reconciliations a container whose first process is the same as before is not
        read again, but for whether it is paused.
        """
        ctx.watch("/run")
        sightings: list[Sighting] = []
        roots = self._finder.find(ctx)
        for root in roots:
            sightings += self._in(ctx, root)
        for path, owner in self._search.find(ctx, {s.init for s in sightings if s.init}).items():
            root = StateRoot(path, owner)
            if root not in roots:
                self._finder.learn(root)
                sightings += self._in(ctx, root)
        if ctx.full:
            self._states.sweep()
            self._specs.sweep()
        self._last = {(s.instance, s.engine_id): s for s in sightings}
        return sightings

    def _in(self, ctx: Context, root: StateRoot) -> list[Sighting]:
        with opened(ctx, root) as directory:
            ctx.watch(root.path)
            if directory is None:
                self._finder.forget(root)
                return []
            return list(self._containers(ctx, root, directory))

    def _containers(self, ctx: Context, root: StateRoot, directory: Dir) -> Iterator[Sighting]:
        for engine_id in or_none(directory.subdirectories) or ():
            last = self._last.get((root.path, engine_id))
            process = _still_running(ctx, last) if last is not None and not ctx.full else None
            if last is not None and process is not None:
                now = running_state(ctx, process)
                yield last if last.state is now else replace(last, state=now)
                continue
            try:
                with directory.open_dir(engine_id) as own:
                    state = self._read(ctx, root, own)
                    if state is not None:
                        state = replace(state, engine_id=engine_id)
                        sighting = self._sighting(ctx, root, state, own)
                        if sighting.init is not None or not sighting.below_engine:
                            yield sighting
            except HostReadError:
                continue  # gone or counted

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
            collector=self.name,
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
