"""A container as a Docker daemon describes it: in its API and, in the same words, in its files.

Engine API: https://docs.docker.com/reference/api/engine/ (ContainerInspect, ContainerList,
ImageInspect); on disk ``config.v2.json`` and ``hostconfig.json``, moby's daemon/container.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.facts import ALIVE, ImageFacts, Publish, Sighting, State
from collectors.formats.documents import ITEM_LIMIT, JsonObject, as_object, as_objects
from collectors.formats.kubernetes import PodFacts, pod_facts
from collectors.formats.numbers import parse_decimal
from collectors.formats.oci_spec import cgroup_of_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_PARENTHESES = re.compile(r"\(([^)]*)\)")
_NO_HEALTH_CHECK = frozenset({"", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupRule:
    """How a daemon names the cgroups of its containers."""

    systemd: bool = False
    """The cgroup driver: systemd's scopes, or plain directories."""
    parent: str = ""
    """``--cgroup-parent`` of the daemon; empty for the driver's own default."""

    def path(self, engine_id: str, parent: str) -> str | None:
        """Return the cgroup of a container, which may have been given a parent of its own."""
        parent = parent or self.parent
        if self.systemd:
            return cgroup_of_spec(f"{parent}:docker:{engine_id}")
        return cgroup_of_spec(f"/{parent.strip('/') or 'docker'}/{engine_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A container as its daemon describes it, without its processes."""

    sighting: Sighting
    pid: int | None
    """Its first process as the daemon counts; None where none runs."""
    image_id: str
    log_path: str


def describe(document: JsonObject, host_config: JsonObject, rule: CgroupRule) -> Described | None:
    """Read a container from ContainerInspect or config.v2.json; None where it has no id."""
    engine_id = document.text("Id") or document.text("ID")
    if not engine_id:
        return None
    config = document.object("Config")
    state = document.object("State")
    status = _state(state)
    labels = config.text_map("Labels")
    pod = pod_facts(labels) or PodFacts()
    health = state.object("Health").text("Status")
    running = status in ALIVE
    sighting = Sighting(
        collector="docker",
        engine="docker",
        engine_id=engine_id,
        name=document.text("Name").removeprefix("/"),
        state=status,
        image=config.text("Image"),
        cgroup=rule.path(engine_id, host_config.text("CgroupParent")),
        hostname=config.text("Hostname"),
        created=document.time("Created"),
        started=state.time("StartedAt"),
        finished=None if running else state.time("FinishedAt"),
        exit_code=state.integer("ExitCode") if status in (State.EXITED, State.DEAD) else None,
        oom_killed=state.flag("OOMKilled"),
        restarts=document.integer("RestartCount"),
        health=None if health in _NO_HEALTH_CHECK else health,
        labels=labels,
        role=pod.role,
        pod=pod.pod,
        namespace=pod.namespace,
        container_name=pod.container_name,
        runtime=host_config.text("Runtime"),
        command=tuple(filter(None, (document.text("Path"), *document.texts("Args")))),
        publishes=tuple(_publishes(document.object("NetworkSettings").object("Ports"))),
        network_mode=_network_mode(host_config.text("NetworkMode")),
        cpu_shares=host_config.integer("CpuShares") or None,
        privileged=host_config.flag("Privileged"),
        tty=config.flag("Tty"),
        auto_remove=host_config.flag("AutoRemove"),
        restart_policy=host_config.object("RestartPolicy").text("Name") or "no",
        # With the containerd image store of Docker 29 there is no graph driver.
        rootfs=document.object("GraphDriver").object("Data").text("MergedDir"),
        mounts=tuple(_mount_sources(document)),
    )
    pid = state.integer("Pid")
    return Described(
        sighting=sighting,
        pid=pid if pid and running else None,
        image_id=document.text("Image"),
        log_path=document.text("LogPath"),
    )


def describe_listed(listed: JsonObject) -> Sighting | None:
    """Read a container that cannot be inspected from ContainerList; None where it has no id."""
    engine_id = listed.text("Id")
    if not engine_id:
        return None
    created = listed.integer("Created")
    names = listed.texts("Names")
    own = [name for name in names if name.count("/") == 1]  # others are links from elsewhere
    return Sighting(
        collector="docker",
        engine="docker",
        engine_id=engine_id,
        name=next(iter(own or names), "").removeprefix("/"),
        state=_named_state(listed.text("State")),
        image=listed.text("Image"),
        created=float(created) if created else None,
        labels=listed.text_map("Labels"),
        network_mode=_network_mode(listed.object("HostConfig").text("NetworkMode")),
    )


def fingerprint(listed: JsonObject) -> tuple[object, ...]:
    """Return what changes in ContainerList when an inspection would show a change.

    ``Status`` is prose for people, "Up 3 minutes (healthy)": only what is in parentheses counts.
    """
    status = tuple(_IN_PARENTHESES.findall(listed.text("Status")))
    return (listed.texts("Names"), listed.text("State"), listed.text("Image"), status)


def describe_image(document: JsonObject) -> ImageFacts:
    """Read ImageInspect."""
    config = document.object("Config")
    return ImageFacts(
        id=document.text("Id"),
        digests=_digests_of_registries(document),
        created=document.time("Created"),
        size_bytes=document.integer("Size"),
        labels=config.text_map("Labels"),
        entrypoint=config.texts("Entrypoint"),
        command=config.texts("Cmd"),
    )


def _digests_of_registries(document: JsonObject) -> tuple[str, ...]:
    """Return the digests under which registries have an image.

    Where images are in containerd's store, ``RepoDigests`` has one of every image, also of those
    that were built or imported here: it is the image's id there. ``Identity`` tells them apart,
    since version 1.53 of the API (Docker 29); before, it is not known which are in a registry.
    """
    digests = document.texts("RepoDigests")
    image_id = document.text("Id")
    in_containerds_store = any(digest.rpartition("@")[2] == image_id for digest in digests)
    if in_containerds_store and not document.object("Identity").objects("Pull"):
        return ()
    return digests


def _state(state: JsonObject) -> State:
    """Read State; on disk there is no ``Status``, and the daemon works it out in this order."""
    status = state.text("Status")
    if status:
        return _named_state(status)
    if state.flag("Running"):
        if state.flag("Paused"):
            return State.PAUSED
        return State.RESTARTING if state.flag("Restarting") else State.RUNNING
    if state.flag("RemovalInProgress"):
        return State.REMOVING
    if state.flag("Dead"):
        return State.DEAD
    return State.CREATED if state.time("StartedAt") is None else State.EXITED


def _named_state(name: str) -> State:
    try:
        return State(name)
    except ValueError:
        return State.UNKNOWN


def _network_mode(mode: str) -> str:
    return "bridge" if mode == "default" else mode


def _publishes(ports: JsonObject) -> Iterator[Publish]:
    for name, bindings in list(ports.raw.items())[:ITEM_LIMIT]:
        number, _, protocol = name.partition("/")
        inside = parse_decimal(number)
        for binding in as_objects(bindings)[:ITEM_LIMIT]:
            outside = parse_decimal(binding.text("HostPort"))
            if inside and outside:
                yield Publish(binding.text("HostIp"), outside, inside, protocol or "tcp")


def _mount_sources(document: JsonObject) -> Iterator[str]:
    on_disk = document.object("MountPoints").raw.values()
    for mount in (*document.objects("Mounts"), *(as_object(value) for value in on_disk)):
        source = mount.text("Source")
        if source:
            yield source
