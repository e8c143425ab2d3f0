"""One podman store: its containers with their current state."""

from __future__ import annotations

import posixpath
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.engines.podman.config import STATES, Configured
from collectors.engines.podman.database import Database, DatabaseReader, newest_database
from collectors.engines.shared.cgroup_paths import cgroup_of, user_manager
from collectors.engines.shared.containers_storage import folders, load_images
from collectors.engines.shared.files import FileCache, parsed, read_object
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import host_numbers
from collectors.engines.shared.views import cgroup_prefix, open_root
from collectors.facts import ALIVE, ImageFacts, Sighting, State
from collectors.formats.bolt import DATABASE_LIMIT
from collectors.formats.documents import JsonObject, as_objects, parse_json
from collectors.formats.numbers import parse_decimal
from collectors.formats.oci_spec import Spec, parse_spec
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.contract import Context
    from collectors.engines.podman.discovery import Store
    from collectors.facts import Process
    from collectors.hostfs import Dir

_EXIT_FILE_LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenStore:
    """A store that is open for one reading."""

    ctx: Context
    store: Store
    root: Dir
    graph: Dir
    numbers: Mapping[int, Process]
    """Processes by their number in this podman's view."""


class StoreReader:
    """Reads one store in every pass, and parses only what changed."""

    def __init__(self, *, database_limit: int = DATABASE_LIMIT) -> None:
        self._databases = FileCache(DatabaseReader(database_limit).load)
        self._images = FileCache(load_images)
        self._health = FileCache(read_object)
        self._specs = FileCache(parsed(parse_spec))

    def read(self, ctx: Context, store: Store) -> Iterator[Sighting | None]:
        """Return the store's containers, None for what is none; none where it is not there."""
        with _opened(ctx, store) as view:
            if view is None:
                return
            database = self._database(view.graph)
            if database is None:
                yield from self._without_database(view)
            else:
                images = self._all_images(view.graph)
                for container, state in database.containers:
                    yield self._sighting(view, database, images, container, state)
        for cache in (self._databases, self._images, self._health, self._specs):
            cache.sweep()

    def _database(self, graph: Dir) -> Database | None:
        name = newest_database(graph)
        try:
            return self._databases.get(graph, name) if name else None
        except HostReadError:
            return None

    def _all_images(self, graph: Dir) -> dict[str, ImageFacts]:
        images: dict[str, ImageFacts] = {}
        for folder in folders(graph, "-images"):
            try:
                images |= self._images.get(graph, f"{folder}/images.json") or {}
            except HostReadError:
                continue
        return images

    def _sighting(
        self,
        view: _OpenStore,
        database: Database,
        images: Mapping[str, ImageFacts],
        container: Configured,
        state: JsonObject,
    ) -> Sighting:
        base = container.sighting
        status = STATES.get(state.integer("state") or 0, State.UNKNOWN)
        process = None
        if status in ALIVE:
            recorded = state.time("startedTime")
            process = _first_process(view, base.engine_id, state.integer("pid"), recorded)
            status = status if process is not None else State.EXITED
        exit_code = None
        if status is State.EXITED:
            # Go leaves out what is zero.
            is_cleaned_up = state.flag("exited") or state.integer("exitCode") is not None
            code = (state.integer("exitCode") or 0) if is_cleaned_up else None
            exit_code = _exit_file(view, base.engine_id) if code is None else code
        facts = images.get(container.image_id)
        return replace(
            base,
            instance=view.store.instance,
            state=status,
            init=process.id if process is not None else None,
            cgroup=_cgroup(view, container, process),
            started=state.time("startedTime"),
            finished=state.time("finishedTime") if process is None else None,
            exit_code=exit_code,
            oom_killed=bool(state.flag("oomKilled")),
            restarts=state.integer("restartCount") or 0,
            health=self._health_of(view, container, state) if process is not None else None,
            pod=database.pods.get(container.pod_id, container.pod_id),
            image_facts=replace(facts, reference=base.image) if facts is not None else None,
            log_bytes=_size_of(view, container.log_path),
            rootfs=base.rootfs or state.text("mountPoint"),
        )

    def _health_of(self, view: _OpenStore, container: Configured, state: JsonObject) -> str | None:
        """Return the result of the last health check: libpod/healthcheck.go."""
        if not container.has_health_check:
            return None
        folder = posixpath.dirname(state.text("runDir"))
        try:
            with view.root.open_dir(folder, confined=True) as directory:
                document = self._health.get(directory, "healthcheck.log") or JsonObject()
        except HostReadError:
            return None
        return document.text("Status") or None

    def _without_database(self, view: _OpenStore) -> Iterator[Sighting | None]:
        """Return the containers by the storage library's list and the bundles."""
        for folder in folders(view.graph, "-containers"):
            for name in ("containers.json", "volatile-containers.json"):
                try:
                    data = view.graph.read(f"{folder}/{name}")
                except HostReadError:
                    continue
                for entry in as_objects(parse_json(data)):
                    yield self._stored(view, folder, entry)

    def _stored(self, view: _OpenStore, folder: str, entry: JsonObject) -> Sighting | None:
        metadata = as_objects([parse_json(entry.text("metadata") or "{}")])
        about = metadata[0] if metadata else JsonObject()
        engine_id = entry.text("id")
        # CRI-O and buildah keep theirs in the same store.
        if (
            not engine_id
            or "pod-id" in about.raw
            or "buildah.json" in entry.texts("big-data-names")
        ):
            return None
        spec, recorded, pid = Spec(), None, None
        try:
            spec = self._specs.get(view.graph, f"{folder}/{engine_id}/userdata/config.json") or spec
            pidfile = f"{view.store.runroot}/{folder}/{engine_id}/userdata/pidfile"
            with view.root.open_dir(posixpath.dirname(pidfile), confined=True) as directory:
                pid = parse_decimal(directory.read_text("pidfile", _EXIT_FILE_LIMIT))
                recorded = directory.stat("pidfile").st_mtime
        except HostReadError:
            pass  # never started, or not since the last boot
        process = _first_process(view, engine_id, pid, recorded)
        names = entry.texts("names")
        return Sighting(
            collector="podman",
            engine="podman",
            instance=view.store.instance,
            engine_id=engine_id,
            name=about.text("name") or (names[0] if names else ""),
            state=State.RUNNING if process else State.EXITED if pid else State.CREATED,
            image=about.text("image-name"),
            init=process.id if process is not None else None,
            cgroup=cgroup_of(process, None, engine_id) if process is not None else None,
            hostname=spec.hostname,
            created=entry.time("created"),
            exit_code=None if process is not None else _exit_file(view, engine_id),
            command=spec.command,
            cpu_shares=spec.cpu_shares,
            tty=spec.tty,
            network_mode=spec.network_mode,
            mounts=spec.mounts,
            rootfs=spec.rootfs,
        )


@contextmanager
def _opened(ctx: Context, store: Store) -> Iterator[_OpenStore | None]:
    """Open a store; None where it is not there, or is not its user's own."""
    monitor = store.monitor
    with ExitStack() as stack:
        view = None
        try:
            root = stack.enter_context(open_root(ctx, monitor))
            graph = stack.enter_context(root.open_dir(store.graphroot, confined=True))
            if monitor is not None or store.uid in (0, graph.stat().st_uid):
                numbers = host_numbers(ctx, monitor)
                view = _OpenStore(ctx=ctx, store=store, root=root, graph=graph, numbers=numbers)
        except HostReadError:
            view = None
        yield view


def _first_process(
    view: _OpenStore, engine_id: str, pid: int | None, recorded: float | None
) -> Process | None:
    return recorded_process(
        view.ctx, view.numbers, pid, engine_id, recorded=recorded, owner=view.store.uid
    )


def _cgroup(view: _OpenStore, container: Configured, process: Process | None) -> str | None:
    store = view.store
    if process is not None:
        return cgroup_of(process, container.cgroup, container.sighting.engine_id)
    if container.cgroup is None:
        return None
    if store.uid != 0:
        return user_manager(store.uid) + container.cgroup if container.systemd_cgroup else None
    return cgroup_prefix(view.ctx, store.monitor) + container.cgroup


def _exit_file(view: _OpenStore, engine_id: str) -> int | None:
    """Read the exit code that conmon left, until podman cleans up."""
    try:
        with view.root.open_dir(f"{view.store.tmpdir}/exits", confined=True) as directory:
            return parse_decimal(directory.read_text(engine_id, _EXIT_FILE_LIMIT))
    except HostReadError:
        return None


def _size_of(view: _OpenStore, path: str) -> int | None:
    """Return the size of a file, if it lies in the store."""
    inside = view.store.graphroot.rstrip("/") + "/"
    if not path.startswith(inside):
        return None
    try:
        return view.graph.stat(path.removeprefix(inside)).st_size
    except HostReadError:
        return None
