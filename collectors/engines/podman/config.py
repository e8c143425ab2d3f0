"""A container's configuration: libpod/container_config.go and libpod/container.go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.facts import Publish, Sighting, State
from collectors.formats.oci_spec import cgroup_of_spec, expand_slice, spec_of

if TYPE_CHECKING:
    from collectors.formats.documents import JsonObject
    from collectors.formats.oci_spec import Spec

_SHORT_ID = 12
_PORTS_LIMIT = 100  # of one range

STATES = {
    1: State.CREATED,  # configured: known to libpod, not yet to the runtime
    2: State.CREATED,
    3: State.RUNNING,
    4: State.EXITED,  # stopped: its end is not cleaned up yet
    5: State.PAUSED,
    6: State.EXITED,
    7: State.REMOVING,
    8: State.RUNNING,  # stopping
}
"""``ContainerStatus`` of libpod/define/containerstate.go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A container's configuration, without how it is now."""

    sighting: Sighting
    """All that does not change; the other fields are empty."""
    image_id: str
    pod_id: str
    cgroup: str | None
    """The path that podman will give it; relative to the user's manager for a user's podman."""
    systemd_cgroup: bool
    log_path: str
    has_health_check: bool


def configured(config: JsonObject) -> Configured | None:
    """Read a container's configuration; None where it does not even have an id."""
    engine_id = config.text("id")
    if not engine_id:
        return None
    spec = spec_of(config.object("spec"))
    systemd_cgroup = config.text("cgroupManager") == "systemd"
    shares_name = bool(config.text("utsNsCtr"))  # with the other containers of its pod
    is_infra = config.flag("pause") or config.flag("isService")
    return Configured(
        sighting=Sighting(
            collector="podman",
            engine="podman",
            engine_id=engine_id,
            name=config.text("name"),
            image=config.text("rootfsImageName") or config.text("RawImageName"),
            hostname=spec.hostname or ("" if shares_name else engine_id[:_SHORT_ID]),
            created=config.time("createdTime"),
            labels=config.text_map("labels"),
            role="infra" if is_infra else "",
            runtime=config.text("runtime").rpartition("/")[2],
            boots=config.flag("systemd") or None,
            command=spec.command,
            cpu_shares=spec.cpu_shares,
            publishes=_publishes(config),
            network_mode=_network_mode(config, spec),
            privileged=config.flag("privileged"),
            tty=bool(spec.tty),
            auto_remove=spec.annotations.get("io.podman.annotations.autoremove") == "TRUE",
            restart_policy=config.text("restart_policy") or "no",
            rootfs=config.text("rootfs"),
            mounts=spec.mounts,
        ),
        image_id=config.text("rootfsImageID"),
        pod_id=config.text("pod"),
        cgroup=_cgroup(config, engine_id, systemd=systemd_cgroup),
        systemd_cgroup=systemd_cgroup,
        log_path=config.text("logPath") if config.text("logDriver") != "journald" else "",
        has_health_check=bool(config.object("healthcheck")),
    )


def _cgroup(config: JsonObject, engine_id: str, *, systemd: bool) -> str | None:
    if config.text("cgroupsMode") == "disabled" or config.flag("noCgroups"):
        return None
    parent = config.text("cgroupParent").strip("/")
    if systemd:
        # The slice may be given with its whole path, as a pod's is.
        top = expand_slice(parent.rpartition("/")[2] or "machine.slice")
        return f"/{top}/libpod-{engine_id}.scope"
    return cgroup_of_spec(f"/{parent or 'libpod_parent'}/libpod-{engine_id}")


def _network_mode(config: JsonObject, spec: Spec) -> str:
    other = config.text("netNsCtr")
    if other:
        return f"container:{other}"
    mode = config.text("networkMode") or spec.network_mode
    # The runtime makes a network namespace, but nothing is put into it.
    return mode or ("none" if config.flag("createNetNS") is False else "")


def _publishes(config: JsonObject) -> tuple[Publish, ...]:
    publishes = []
    for port in config.objects("newPortMappings"):
        first, inside = port.integer("host_port"), port.integer("container_port")
        if first and inside:
            publishes += [
                Publish(port.text("host_ip"), first + offset, inside + offset, protocol)
                for offset in range(min(port.integer("range") or 1, _PORTS_LIMIT))
                for protocol in (port.text("protocol") or "tcp").split(",")
            ]
    for port in config.objects("portMappings"):  # before podman 4
        first, inside = port.integer("hostPort"), port.integer("containerPort")
        if first and inside:
            protocol = port.text("protocol") or "tcp"
            publishes.append(Publish(port.text("hostIP"), first, inside, protocol))
    return tuple(publishes)
