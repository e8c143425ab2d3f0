"""One containerd: its containers by bundles, metadata database and shims.

No request is made to it: these have all that its API has. Docker's own namespace is left to Docker.
https://github.com/containerd/containerd/blob/main/docs
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.containerd.discovery import TASKS
from collectors.engines.containerd.images import read_image
from collectors.engines.containerd.metadata import (
    DATABASE,
    Image,
    Metadata,
    Record,
    load_metadata,
)
from collectors.engines.shared.cgroup_paths import cgroup_of
from collectors.engines.shared.files import FileCache, parsed, read_object
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import host_numbers, running_state
from collectors.engines.shared.views import cgroup_prefix, on_host, open_root
from collectors.facts import ImageFacts, Sighting, State
from collectors.formats.bolt import DATABASE_LIMIT
from collectors.formats.documents import JsonObject
from collectors.formats.kubernetes import PodFacts, pod_facts
from collectors.formats.numbers import parse_decimal
from collectors.formats.oci_spec import Spec, cgroup_of_spec, parse_spec
from collectors.hostfs import HostReadError, or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.engines.containerd.discovery import Installation
    from collectors.facts import Process
    from collectors.hostfs import Dir

_DOCKERS = "moby"
_CRI = "io.containerd.grpc.v1.cri/containers"
_PID_LIMIT = 64

_CLOCK_SLACK = 0.02
"""Seconds by which a directory's time may be behind the one that containerd writes: two ticks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenInstallation:
    """An installation that is open for one reading."""

    ctx: Context
    installation: Installation
    top: Dir
    root: Dir | None
    """Its persistent directory; None where it is unknown or gone."""
    numbers: Mapping[int, Process]
    metadata: Metadata


class InstallationReader:
    """Reads one containerd in every pass, and parses only what changed."""

    def __init__(self, *, database_limit: int = DATABASE_LIMIT) -> None:
        self._metadata = FileCache(partial(load_metadata, limit=database_limit))
        self._specs = FileCache(parsed(parse_spec))
        self._small = FileCache(read_object)
        self._images: dict[Image, ImageFacts] = {}
        self._used: set[Image] = set()
        """The images of the containers of this pass."""
        self._last: Metadata | None = None
        """For when the database is read in the middle of a change."""

    def read(self, ctx: Context, installation: Installation) -> Iterator[Sighting | None]:
        """Return its containers, None for one that cannot be read; none where it is not there."""
        with ExitStack() as stack, suppress(HostReadError):
            view = self._open(ctx, installation, stack)
            if view is not None:
                yield from self._containers(view)
        for cache in (self._metadata, self._specs, self._small):
            cache.sweep()
        self._images = {
            image: facts for image, facts in self._images.items() if image in self._used
        }
        self._used.clear()

    def _open(
        self, ctx: Context, installation: Installation, stack: ExitStack
    ) -> _OpenInstallation | None:
        engine = installation.engine
        top = stack.enter_context(open_root(ctx, engine))
        if installation.user and not _is_of(installation.user, top, installation.state):
            return None
        root = None
        metadata = None
        if installation.root:
            try:
                root = stack.enter_context(top.open_dir(installation.root, confined=True))
                if not installation.user or root.stat().st_uid == installation.user:
                    metadata = self._metadata.get(root, DATABASE) or self._last
                else:
                    root = None
            except HostReadError:
                metadata = None  # a shim has outlived its containerd, or it has just begun
        self._last = metadata or self._last
        return _OpenInstallation(
            ctx=ctx,
            installation=installation,
            top=top,
            root=root,
            numbers=host_numbers(ctx, engine),
            metadata=metadata or Metadata(),
        )

    def _containers(self, view: _OpenInstallation) -> Iterator[Sighting | None]:
        seen = set()
        for namespace, engine_id, bundle in _bundles(view):
            with bundle:
                record = view.metadata.containers.get((namespace, engine_id))
                if record is None and not bundle.exists("config.json"):
                    yield None  # a mere directory, of which a stranger may have any number
                    continue
                record = record or Record(namespace=namespace, engine_id=engine_id)
                try:
                    yield self._task(view, record, bundle)
                except HostReadError:
                    yield None  # its container ended
                    continue
                seen.add((namespace, engine_id))
        last_tasks: dict[str, float] = {}
        for (namespace, engine_id), record in view.metadata.containers.items():
            if (namespace, engine_id) not in seen:
                if namespace not in last_tasks:
                    last_tasks[namespace] = _last_task(view, namespace)
                yield self._without_task(view, record, last_tasks[namespace])

    def _task(self, view: _OpenInstallation, record: Record, bundle: Dir) -> Sighting:
        """Describe a container that has a task: it runs, or its end has not been collected yet."""
        spec = self._specs.get(bundle, "config.json") or record.spec
        process = _first_process(view, record, bundle)
        options = self._optional(bundle, "options.json")
        binary = options.text("binary_name") or options.text("BinaryName")
        return replace(
            self._sighting(view, record, spec, process),
            state=_state(view.ctx, process, bundle),
            runtime=posixpath.basename(binary) or record.runtime,
            rootfs=bundle.path("rootfs"),
        )

    def _without_task(self, view: _OpenInstallation, record: Record, last_task: float) -> Sighting:
        """Describe a container that does not run.

        The kubelet's leave a note of their end. Of others containerd has none: not whether they
        ever ran, when their task was deleted or their shim killed. What was created after the
        last task of its namespace came or went never had one.
        """
        sighting = self._sighting(view, record, record.spec, None)
        status = JsonObject()
        if view.root is not None:
            status = self._optional(view.root, f"{_CRI}/{record.engine_id}/status")
        started = _nanoseconds(status.integer("StartedAt"))
        finished = _nanoseconds(status.integer("FinishedAt"))
        state = State.UNKNOWN
        if finished is not None or started is not None:
            state = State.EXITED
        elif status or (record.created or 0.0) > last_task + _CLOCK_SLACK:
            state = State.CREATED
        elif sighting.role == "infra":
            state = State.EXITED  # the kubelet's are started as soon as they are created
        return replace(
            sighting,
            state=state,
            started=started,
            finished=finished,
            exit_code=status.integer("ExitCode") if finished is not None else None,
            oom_killed=status.text("Reason") == "OOMKilled" if finished is not None else None,
        )

    def _sighting(
        self, view: _OpenInstallation, record: Record, spec: Spec, process: Process | None
    ) -> Sighting:
        pod = pod_facts(record.labels, spec.annotations) or PodFacts()
        image = record.image or pod.image
        wanted = cgroup_of_spec(spec.cgroups_path)
        if process is not None:
            cgroup = cgroup_of(process, wanted, record.engine_id)
        else:
            prefix = cgroup_prefix(view.ctx, view.installation.engine)
            cgroup = prefix + wanted if wanted is not None else None
        return Sighting(
            collector="containerd",
            engine="containerd",
            instance=f"{view.installation.name}/{record.namespace}",
            engine_id=record.engine_id,
            name=pod.name or record.labels.get("nerdctl/name") or record.engine_id,
            image=image,
            init=process.id if process is not None else None,
            cgroup=cgroup,
            hostname=spec.hostname or record.labels.get("nerdctl/hostname", ""),
            created=record.created,
            labels=record.labels or spec.annotations,
            role=pod.role,
            pod=pod.pod,
            namespace=pod.namespace,
            container_name=pod.container_name,
            runtime=record.runtime,
            command=spec.command,
            cpu_shares=spec.cpu_shares,
            tty=spec.tty,
            network_mode=spec.network_mode,
            mounts=spec.mounts,
            image_facts=self._image(view, record.namespace, image),
        )

    def _image(self, view: _OpenInstallation, namespace: str, reference: str) -> ImageFacts | None:
        image = view.metadata.images.get((namespace, reference))
        if image is None or view.root is None:
            return None
        self._used.add(image)
        if image not in self._images:
            self._images[image] = read_image(view.root, reference, image)
        return replace(self._images[image], reference=reference)

    def _optional(self, directory: Dir, name: str) -> JsonObject:
        try:
            return self._small.get(directory, name) or JsonObject()
        except HostReadError:
            return JsonObject()


def _is_of(user: int, top: Dir, path: str) -> bool:
    """Return whether a directory is a user's own: only root may name another's."""
    return top.stat(path.lstrip("/")).st_uid == user


def _bundles(view: _OpenInstallation) -> Iterator[tuple[str, str, Dir]]:
    """Open every bundle: ``<state>/<runtime plugin>/<namespace>/<id>``; the caller closes it.

    A bundle or a namespace that is removed meanwhile costs none of the others. What is hidden is a
    bundle that is being deleted: core/runtime/v2/bundle.go.
    """
    for plugin in TASKS:
        try:
            with view.top.open_dir(f"{view.installation.state}/{plugin}", confined=True) as tasks:
                for namespace in tasks.subdirectories():
                    if namespace == _DOCKERS:
                        continue
                    for engine_id in or_none(tasks.subdirectories, namespace) or ():
                        if engine_id.startswith("."):
                            continue
                        bundle = or_none(tasks.open_dir, f"{namespace}/{engine_id}")
                        if bundle is not None:
                            yield namespace, engine_id, bundle
        except HostReadError:
            continue  # there is no such plugin


def _last_task(view: _OpenInstallation, namespace: str) -> float:
    """Return when the last task of a namespace came or went, as far as is known; 0.0 for never.

    Each has a directory in the state directory, and one in the persistent directory.
    """
    last = 0.0
    for plugin in TASKS:
        state = view.installation.state.lstrip("/")
        places = [(view.top, f"{state}/{plugin}/{namespace}")]
        if view.root is not None:
            places.append((view.root, f"{plugin}/{namespace}"))
        for directory, path in places:
            status = or_none(directory.stat, path)
            last = max(last, status.st_mtime if status is not None else 0.0)
    return last


def _state(ctx: Context, process: Process | None, bundle: Dir) -> State:
    if process is not None:
        return running_state(ctx, process)
    # The shim makes the file when the runtime has made the container.
    return State.EXITED if bundle.exists("init.pid") else State.CREATED


def _first_process(view: _OpenInstallation, record: Record, bundle: Dir) -> Process | None:
    try:
        pid = parse_decimal(bundle.read_text("init.pid", _PID_LIMIT))
        recorded = bundle.stat("init.pid").st_mtime
    except HostReadError:
        return None
    engine = view.installation.engine
    owner = engine.uid if engine is not None and on_host(view.ctx, engine) else None
    return recorded_process(
        view.ctx, view.numbers, pid, record.engine_id, recorded=recorded, owner=owner
    )


def _nanoseconds(value: int | None) -> float | None:
    return value / 1e9 if value is not None and value > 0 else None
