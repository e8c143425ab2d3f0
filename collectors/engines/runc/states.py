"""What runc, crun and youki write of one container: their state files, parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import CgroupLayout
    from collectors.formats.documents import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeState:
    """What a runtime wrote of one container, under names that are no runtime's own."""

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
    cpu_shares: int | None = None
    """As of the last ``runc update``; None where it does not say."""


def parse_runc_state(document: JsonObject, layout: CgroupLayout) -> RuntimeState | None:
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
        cpu_shares=config.object("cgroups").integer("cpu_shares") or None,
        cgroup=_runc_cgroup(document.text_map("cgroup_paths"), layout),
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


def parse_crun_state(document: JsonObject, _: CgroupLayout) -> RuntimeState | None:
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


def _runc_cgroup(paths: Mapping[str, str], layout: CgroupLayout) -> str | None:
    """Take the mount point off a path such as /sys/fs/cgroup/systemd/docker/<id>."""
    for controller in ("name=systemd", "", *paths):
        hierarchy = layout.hierarchies.get(controller)
        path = paths.get(controller, "")
        if hierarchy is not None and path.startswith(f"/sys/{hierarchy}/"):
            return path.removeprefix(f"/sys/{hierarchy}").rstrip("/") or None
    return None
