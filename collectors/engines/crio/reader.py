"""One store of CRI-O's: a Kubernetes node's containers, which it shares with podman.

Format: https://github.com/cri-o/cri-o, internal/annotations (the bundle's annotations),
internal/oci/container.go (``state.json``) and internal/storage/runtime.go (the metadata in
``containers.json``); conmon(8) for the monitor's arguments.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.engines.shared.cgroup_paths import cgroup_of
from collectors.engines.shared.conmon import is_conmon
from collectors.engines.shared.containers_storage import folders, load_images
from collectors.engines.shared.files import FileCache, parsed, read_object
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import host_numbers, running_state
from collectors.engines.shared.views import cgroup_prefix, open_root
from collectors.facts import Sighting, State
from collectors.formats.command_line import option_value
from collectors.formats.documents import (
    JsonObject,
    as_objects,
    parse_json,
    parse_object,
    parse_time,
)
from collectors.formats.kubernetes import PodFacts, pod_facts
from collectors.formats.numbers import parse_decimal
from collectors.formats.oci_spec import Spec, cgroup_of_spec, parse_spec
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.engines.crio.discovery import Store
    from collectors.facts import ImageFacts, Process
    from collectors.hostfs import Dir

_LABELS = "io.kubernetes.cri-o.Labels"
_CREATED = "io.kubernetes.cri-o.Created"
_IMAGE_REF = "io.kubernetes.cri-o.ImageRef"
_RESTARTS = "io.kubernetes.container.restartCount"


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenStore:
    """A store that is open for one reading."""

    ctx: Context
    store: Store
    graph: Dir
    numbers: Mapping[int, Process]
    images: Mapping[str, ImageFacts]


class StoreReader:
    """Reads one store in every pass, and parses only what changed."""

    def __init__(self) -> None:
        self._specs = FileCache(parsed(parse_spec))
        self._states = FileCache(read_object)
        self._images = FileCache(load_images)

    def read(self, ctx: Context, store: Store) -> Iterator[Sighting | None]:
        """Return its containers, None for what is none; none where there is no such store."""
        with ExitStack() as stack, suppress(HostReadError):
            yield from self._containers(self._open(ctx, store, stack))
        for cache in (self._specs, self._states, self._images):
            cache.sweep()

    def _open(self, ctx: Context, store: Store, stack: ExitStack) -> _OpenStore:
        top = stack.enter_context(open_root(ctx, store.monitor))
        graph = stack.enter_context(top.open_dir(store.graphroot, confined=True))
        images: dict[str, ImageFacts] = {}
        for folder in folders(graph, "-images"):
            with suppress(HostReadError):
                images |= self._images.get(graph, f"{folder}/images.json") or {}
        return _OpenStore(
            ctx=ctx,
            store=store,
            graph=graph,
            numbers=host_numbers(ctx, store.monitor),
            images=images,
        )

    def _containers(self, view: _OpenStore) -> Iterator[Sighting | None]:
        for folder in folders(view.graph, "-containers"):
            for name in ("containers.json", "volatile-containers.json"):
                try:
                    entries = as_objects(parse_json(view.graph.read(f"{folder}/{name}")))
                except HostReadError:
                    continue
                for entry in entries:
                    about = parse_object(entry.text("metadata") or "{}") or JsonObject()
                    is_its = about.text("pod-id") and entry.text("id")
                    yield self._container(view, folder, entry.text("id"), about) if is_its else None

    def _container(
        self, view: _OpenStore, folder: str, engine_id: str, about: JsonObject
    ) -> Sighting | None:
        spec, state, recorded = Spec(), JsonObject(), None
        try:
            with view.graph.open_dir(f"{folder}/{engine_id}/userdata") as own:
                spec = self._specs.get(own, "config.json") or spec
                state = self._states.get(own, "state.json") or state
                recorded = own.stat("state.json").st_mtime
        except HostReadError:
            pass  # no state yet, or never: a sandbox without a process has none
        labels = _labels(spec)
        pod = pod_facts(labels, spec.annotations) or PodFacts(
            namespace=about.text("namespace"),
            pod=about.text("pod-name"),
            container_name=about.text("metadata-name"),
            is_sandbox=engine_id == about.text("pod-id"),
            image=about.text("image-name"),
        )
        process = _first_process(view, engine_id, state, recorded)
        if process is None and pod.is_sandbox and not state:
            return None
        wanted = cgroup_of_spec(spec.cgroups_path)
        prefix = cgroup_prefix(view.ctx, view.store.monitor)
        created = parse_time(spec.annotations.get(_CREATED, ""))
        restarts = spec.annotations.get(_RESTARTS, "")
        finished = state.time("finished") if process is None else None
        return Sighting(
            collector="cri-o",
            engine="cri-o",
            instance=view.store.instance,
            engine_id=engine_id,
            name=pod.name,
            state=_state(view, state, process),
            image=pod.image,
            init=process.id if process is not None else None,
            cgroup=(
                cgroup_of(process, wanted, engine_id)
                if process is not None
                else (prefix + wanted if wanted is not None else None)
            ),
            hostname=spec.hostname,
            created=created if created is not None else state.time("created"),
            started=state.time("started"),
            finished=finished,
            exit_code=state.integer("exitCode") if finished is not None else None,
            oom_killed=bool(state.flag("oomKilled")) if state else None,
            restarts=parse_decimal(restarts),
            labels=labels,
            role=pod.role,
            pod=pod.pod,
            namespace=pod.namespace,
            container_name=pod.container_name,
            runtime=_runtime(view.ctx, process),
            command=spec.command,
            cpu_shares=spec.cpu_shares,
            tty=spec.tty,
            network_mode=spec.network_mode,
            rootfs=spec.rootfs,
            mounts=spec.mounts,
            image_facts=_image(view, spec, pod.image),
        )


def _state(view: _OpenStore, state: JsonObject, process: Process | None) -> State:
    if process is not None:
        return running_state(view.ctx, process)
    return State.EXITED if state.time("started") is not None else State.CREATED


def _first_process(
    view: _OpenStore, engine_id: str, state: JsonObject, recorded: float | None
) -> Process | None:
    return recorded_process(
        view.ctx,
        view.numbers,
        state.integer("initPid") or state.integer("pid"),
        engine_id,
        recorded=recorded,
        start_ticks=parse_decimal(state.text("initStartTime")),
    )


def _runtime(ctx: Context, process: Process | None) -> str:
    monitor = ctx.processes.get(process.ppid) if process is not None else None
    if monitor is None or not is_conmon(monitor):
        return ""
    return posixpath.basename(option_value(monitor.argv, "-r", "--runtime"))


def _image(view: _OpenStore, spec: Spec, reference: str) -> ImageFacts | None:
    image = spec.annotations.get(_IMAGE_REF, "").rpartition("@")[2].removeprefix("sha256:")
    facts = view.images.get(image)
    return replace(facts, reference=reference) if facts is not None else None


def _labels(spec: Spec) -> dict[str, str]:
    """Return the labels that Kubernetes set, which stand as JSON in one annotation."""
    return JsonObject({"": parse_json(spec.annotations.get(_LABELS, "{}"))}).text_map("")
