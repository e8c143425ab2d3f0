"""OCI runtimes: what runc, crun and youki keep of each container in their state directories.

Every engine of the OCI family starts its containers through one of these, so most of what is seen
here is somebody else's, and the inventory joins the two by id and first process. What is left was
started by hand.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.engines.runc.search import StateSearch
from collectors.engines.shared.cgroup_paths import cgroup_of
from collectors.engines.shared.files import FileCache, parsed, read_object
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import alive, binary_name, running_state
from collectors.engines.shared.views import on_host, shortest
from collectors.facts import Sighting, State
from collectors.formats.command_line import option_value, option_values
from collectors.formats.documents import JsonObject
from collectors.formats.oci_spec import Spec, parse_spec
from collectors.hostfs import Gone, HostReadError

if TYPE_CHECKING:
    from collectors.contract import Context
    from collectors.facts import Process, ProcessId
    from collectors.hostfs import Dir

RUNTIMES = ("runc", "crun", "youki", "sysbox-runc")
"""Runtimes with a directory of this name under /run, or a user's /run/user/<uid>."""

_BY_NAMESPACE = ("/run/containerd/runc", "/run/docker/runtime-runc")
"""State directories that have one more level, containerd's namespaces."""


_MANAGED = re.compile(r"/io\.containerd\.runtime\.v\d\.\w+/|-containers/[^/]+/userdata/?$")
"""Bundles of containerd (and Docker) and of podman and CRI-O: they say what became of a container
that does not run, with an id that the inventory may not be able to join with the runtime's."""


_BUILD = re.compile(r"/buildkit/(?:[^/]+/)?executor/")
"""Bundles of BuildKit, in Docker or by itself: steps of a build."""


@dataclass(frozen=True, slots=True)
class StateRoot:
    """A directory of a runtime that holds one directory for each container."""

    path: str
    owner: int = 0
    """The user whose it must be: anyone but root is believed only what is his own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeState:
    """What a runtime wrote of one container, in the words of no runtime."""

    engine_id: str = ""
    recorded: float | None = None
    """When the file was written, in seconds since the epoch."""
    runtime: str
    pid: int | None
    start_ticks: int | None
    created: float | None
    bundle: str = ""
    rootfs: str = ""
    hostname: str = ""
    network_mode: str = ""
    cgroup: str | None = None


class OciCollector:
    """Finds containers by the state files of their OCI runtime; ``instance`` is the directory.

    ``engine`` of its sightings is the runtime's own name, or buildkit for the steps of a build.
    """

    name = "runc"

    def __init__(self) -> None:
        self._states = FileCache(read_object)
        self._specs = FileCache(parsed(parse_spec))
        self._last: dict[tuple[str, str], Sighting] = {}
        self._shims: dict[ProcessId, str] = {}
        self._learned: dict[StateRoot, None] = {}
        self._search = StateSearch()

    def close(self) -> None:
        """Nothing is kept open."""

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Read the state of every container in every state directory that is known.

        Of what ran when it was last read, and has the same first process, only whether it is
        paused is read again, but on a full reconciliation.
        """
        found: list[Sighting] = []
        roots = self._roots(ctx)
        for root in roots:
            found += self._in(ctx, root)
        for path, owner in self._search.find(ctx, {s.init for s in found if s.init}).items():
            root = StateRoot(path, owner)
            if root not in roots:
                self._learned[root] = None
                found += self._in(ctx, root)
        if ctx.full:
            self._states.sweep()
            self._specs.sweep()
        self._last = {(s.instance, s.engine_id): s for s in found}
        return found

    def _in(self, ctx: Context, root: StateRoot) -> list[Sighting]:
        with _opened(ctx, root) as directory:
            ctx.watch(root.path)
            if directory is None:
                self._learned.pop(root, None)
                return []
            return list(self._containers(ctx, root, directory))

    def _roots(self, ctx: Context) -> list[StateRoot]:
        """Find the state directories: the usual ones, users', and those that processes name.

        One that a process named is remembered while it is there: its containers stay, and the
        runtime that made them does not.
        """
        ctx.watch("/run")
        found = [StateRoot(f"/run/{runtime}") for runtime in RUNTIMES]
        found += _users_roots(ctx)
        parents = [*_BY_NAMESPACE]
        shims = {}
        for process in ctx.processes:
            name = binary_name(process)
            if name in RUNTIMES:
                root = option_value(process.argv, "--root")
                if root and process.uid is not None and on_host(ctx, process):
                    path = shortest(posixpath.join(_cwd(ctx, process), root))
                    self._learned[StateRoot(path, process.uid)] = None
            elif process.uid != 0 or not name.startswith(("conmon", "containerd-shim")):
                continue
            elif on_host(ctx, process):
                if name == "conmon":
                    # "--runtime-arg --root=/run/runc" is CRI-O's way to pass it on.
                    found += [
                        StateRoot(shortest(arg.removeprefix("--root=")))
                        for arg in option_values(process.argv, "--runtime-arg")
                        if arg.startswith("--root=/")
                    ]
                else:
                    root = self._shims.get(process.id) or _shim_root(ctx, process)
                    shims[process.id] = root
                    parents.append(root)
        self._shims = shims
        for parent in dict.fromkeys(filter(None, parents)):
            try:
                namespaces = ctx.host.root.listdir(parent)
            except HostReadError:
                continue
            found += [StateRoot(f"{parent}/{namespace}") for namespace in namespaces]
        return list(dict.fromkeys([*found, *self._learned]))

    def _containers(self, ctx: Context, root: StateRoot, directory: Dir) -> Iterator[Sighting]:
        for engine_id in directory.subdirectories():
            known = self._last.get((root.path, engine_id))
            runs = _runs_on(ctx, known) if known is not None and not ctx.full else None
            if known is not None and runs is not None:
                state = running_state(ctx, runs)
                yield known if known.state is state else replace(known, state=state)
                continue
            try:
                with directory.open_dir(engine_id) as own:
                    told = self._read(ctx, root, own)
                    if told is not None:
                        told = replace(told, engine_id=engine_id)
                        sighting = self._sighting(ctx, root, told, own)
                        if sighting.init is not None or not _MANAGED.search(told.bundle):
                            yield sighting
            except HostReadError:
                continue  # gone or counted

    def _read(self, ctx: Context, root: StateRoot, own: Dir) -> RuntimeState | None:
        for file, parse in (("state.json", _runc_state), ("status", _crun_state)):
            try:
                document = self._states.get(own, file)
            except Gone:
                continue
            if document is None:
                return None
            state = parse(document, ctx)
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
            tty=spec.tty,
            network_mode=state.network_mode or spec.network_mode,
            rootfs=posixpath.join(state.bundle, rootfs) if rootfs else "",
            mounts=spec.mounts,
        )

    def _spec(self, ctx: Context, root: StateRoot, state: RuntimeState) -> Spec:
        """Read the bundle's configuration, which whoever made it may have changed since."""
        if not state.bundle.startswith("/"):
            return Spec()
        try:
            with ctx.host.root.open_dir(state.bundle, confined=True) as bundle:
                if root.owner not in (0, bundle.stat().st_uid):
                    return Spec()
                return self._specs.get(bundle, "config.json") or Spec()
        except HostReadError:
            return Spec()


def _runs_on(ctx: Context, known: Sighting) -> Process | None:
    """Return the first process of a container that was seen running, if it is the same still."""
    process = alive(ctx, known.init.pid) if known.init is not None else None
    same = process is not None and process.id == known.init
    return process if same and known.state is not State.CREATED else None


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


@contextmanager
def _opened(ctx: Context, root: StateRoot) -> Iterator[Dir | None]:
    """Open a state directory, confined; None where it is not there or not its owner's."""
    try:
        directory = ctx.host.root.open_dir(root.path, confined=True)
    except HostReadError:
        yield None
        return
    with directory:
        yield directory if root.owner in (0, _owner(directory)) else None


def _cwd(ctx: Context, process: Process) -> str:
    try:
        return ctx.host.proc.readlink(f"{process.pid}/cwd")
    except HostReadError:
        return "/"


def _owner(directory: Dir) -> int | None:
    try:
        return directory.stat().st_uid
    except HostReadError:
        return None


def _shim_root(ctx: Context, shim: Process) -> str:
    """Read where a shim's runtime keeps its state: ``options.json`` in its bundle, its cwd."""
    try:
        with ctx.host.proc.open_dir(f"{shim.pid}/cwd", confined=True) as bundle:
            document = read_object(bundle, "options.json") or JsonObject()
    except HostReadError:
        return ""
    root = document.text("root")
    return shortest(root) if root.startswith("/") else ""


def _users_roots(ctx: Context) -> list[StateRoot]:
    try:
        users = ctx.host.root.listdir("/run/user")
    except HostReadError:
        return []
    for folder in ("/run/user", *(f"/run/user/{user}" for user in users)):
        ctx.watch(folder)
    return [
        StateRoot(f"/run/user/{user}/{runtime}", int(user))
        for user in users
        if user.isdigit()
        for runtime in RUNTIMES
    ]


def _runc_state(document: JsonObject, ctx: Context) -> RuntimeState | None:
    """Parse state.json: runc's libcontainer/container_linux.go, youki's container/state.rs."""
    if "init_process_pid" not in document.raw:
        return _youki_state(document)
    config = document.object("config")
    labels = (label.partition("=") for label in config.texts("labels"))
    return RuntimeState(
        runtime="runc",
        pid=document.integer("init_process_pid"),
        start_ticks=document.integer("init_process_start"),
        created=document.time("created"),
        bundle=next((value for key, _, value in labels if key == "bundle"), ""),
        rootfs=config.text("rootfs"),
        hostname=config.text("hostname"),
        network_mode=_runc_network(config),
        cgroup=_runc_cgroup(document.text_map("cgroup_paths"), ctx),
    )


def _youki_state(document: JsonObject) -> RuntimeState | None:
    if not document.text("status"):
        return None
    return RuntimeState(
        runtime="youki",
        pid=document.integer("pid"),
        start_ticks=None,
        created=document.time("created"),
        bundle=document.text("bundle"),
    )


def _crun_state(document: JsonObject, _: Context) -> RuntimeState | None:
    """Parse ``status``, crun's src/libcrun/status.c."""
    pid = document.integer("pid")
    if pid is None:
        return None
    cgroup = document.text("cgroup-path").strip("/")
    return RuntimeState(
        runtime="crun",
        pid=pid,
        start_ticks=document.integer("process-start-time"),
        created=document.time("created"),
        bundle=document.text("bundle"),
        rootfs=document.text("rootfs"),
        cgroup=f"/{cgroup}" if cgroup else None,
    )


def _runc_network(config: JsonObject) -> str:
    namespaces = config.objects("namespaces")
    if not namespaces:
        return ""
    for namespace in namespaces:
        if namespace.text("type") == "NEWNET":
            path = namespace.text("path")
            return f"ns:{path}" if path else ""
    return "host"


def _runc_cgroup(paths: dict[str, str], ctx: Context) -> str | None:
    """Take the mount point off a path such as /sys/fs/cgroup/systemd/docker/<id>."""
    for controller in ("name=systemd", "", *paths):
        hierarchy = ctx.facts.cgroups.hierarchies.get(controller)
        path = paths.get(controller, "")
        if hierarchy is not None and path.startswith(f"/sys/{hierarchy}/"):
            return path.removeprefix(f"/sys/{hierarchy}").rstrip("/") or None
    return None
