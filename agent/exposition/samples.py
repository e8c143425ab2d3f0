"""Samples of one container from the inventory: whatever changes only when the scout reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from agent.labels import orchestration
from agent.model import Style
from collectors.catalogue import ENGINES
from collectors.facts import ALIVE, FilesystemUsage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Container
    from collectors.facts import Beancounter, OpenvzFacts

Labels = tuple[tuple[str, str], ...]

_HEALTH = {"healthy": 1, "starting": 0, "unhealthy": 0}
_HAS_HEALTH_CHECKS = frozenset(engine.name for engine in ENGINES if engine.health_checks)
_OPENVZ_STATUSES = ("running", "stopped", "mounted", "suspended", "paused", "unknown")


class Sample(NamedTuple):
    """One sample; ``labels`` are those besides the ones that all series of a container carry."""

    name: str
    value: float
    labels: Labels = ()


def is_alive(container: Container) -> bool:
    """Return whether a container may have processes, as far as the inventory knows."""
    return container.state in ALIVE and not container.gone


def container_samples(container: Container, *, all_beancounters: bool = False) -> Iterator[Sample]:
    """Return the samples of one container, without the counters that are read at each scrape.

    ``all_beancounters``: include those of OpenVZ's resources that have no limit.
    """
    yield _info(container)
    yield from _life(container)
    yield from _verdict(container)
    yield from _image(container)
    if is_alive(container):
        yield from _spec(container)
        yield from filesystem_samples(_filesystem(container))
        if container.openvz is not None and container.openvz.without_cgroup:
            yield from _openvz_counters(container, container.openvz)
    if container.openvz is not None:
        yield from _openvz(container.openvz)
        for counter in container.openvz.beancounters:
            yield from beancounter_samples(counter, whole=all_beancounters)


def _info(c: Container) -> Sample:
    namespaces = ",".join(sorted(c.isolation.shared_namespaces))
    from_labels = tuple(orchestration(c).items())
    versions = {"2" if controller == "" else "1" for controller in c.cgroups}
    return Sample(
        "tallyman_container_info",
        1,
        (
            ("name", c.name),
            ("image", c.image),
            ("engine", c.engine),
            ("engine_instance", c.instance),
            ("engine_id", c.engine_id),
            ("style", c.verdict.style),
            ("expected_style", c.expected_style),
            ("parent_id", c.parent_id),
            ("oci_runtime", c.runtime),
            ("cgroup_version", min(versions, default="")),
            ("namespaces", namespaces),
            ("network", c.network),
            ("role", c.role),
            ("hostname", c.hostname),
            ("container", c.container_name),
            ("pod", c.pod),
            ("namespace", c.namespace),
            *from_labels,
            ("restart_policy", c.restart_policy),
        ),
    )


def _life(c: Container) -> Iterator[Sample]:
    yield Sample("tallyman_container_state", 1, (("state", c.state),))
    yield from _present(
        ("tallyman_container_created_seconds", c.created),
        ("tallyman_container_started_seconds", c.started),
        ("tallyman_container_restarts_total", c.restarts),
    )
    if not is_alive(c):
        yield from _present(
            ("tallyman_container_exit_code", c.exit_code),
            ("tallyman_container_oom_killed", c.oom_killed),
            ("tallyman_container_finished_seconds", c.finished),
        )
        return
    start = c.started if c.started is not None else c.created
    yield from _present(("container_start_time_seconds", start))
    if c.health is not None:
        yield Sample("tallyman_container_health", 1, (("health", c.health),))
    if c.health in _HEALTH:
        yield Sample("container_health_state", _HEALTH[c.health])
    elif c.health is None and c.engine in _HAS_HEALTH_CHECKS:
        yield Sample("container_health_state", -1)


def _verdict(c: Container) -> Iterator[Sample]:
    verdict = c.verdict
    if verdict.style is not Style.UNKNOWN or verdict.axes:
        yield Sample("tallyman_container_style_score", verdict.score)
    yield Sample("tallyman_container_style_confidence", verdict.confidence)
    for axis, score in verdict.axes.items():
        yield Sample("tallyman_container_axis_score", score, (("axis", axis),))
    for piece in verdict.evidence:
        labels = (("axis", piece.axis), ("rule", piece.rule))
        yield Sample("tallyman_container_evidence", piece.weight, labels)
    yield Sample("tallyman_container_style_changes_total", c.style_changes)
    yield Sample("tallyman_container_mismatch", c.mismatch)
    for name, severity in {finding.name: finding.severity for finding in c.findings}.items():
        of_finding = (("finding", name), ("severity", severity.value))
        yield Sample("tallyman_container_finding", 1, of_finding)
    yield from _present(
        ("tallyman_container_services", verdict.services),
        ("tallyman_container_users", verdict.users),
        ("tallyman_container_sessions", verdict.sessions),
        ("tallyman_container_listening_sockets", c.listeners),
    )


def _image(c: Container) -> Iterator[Sample]:
    image = c.image_facts
    if image is not None:
        digest = image.digests[0] if image.digests else ""
        if image.id or digest:
            labels = (("image_id", image.id), ("digest", digest))
            yield Sample("tallyman_container_image_info", 1, labels)
        yield from _present(
            ("tallyman_container_image_size_bytes", image.size_bytes),
            ("tallyman_container_image_created_seconds", image.created),
        )
    if c.writable_layer_bytes is not None:
        yield Sample("tallyman_container_writable_layer_bytes", c.writable_layer_bytes)


def _spec(c: Container) -> Iterator[Sample]:
    limits = c.limits
    if limits.cpu_quota_us is not None:
        yield from _present(
            ("container_spec_cpu_quota", limits.cpu_quota_us),
            ("container_spec_cpu_period", limits.cpu_period_us),
        )
    yield from _present(
        ("container_spec_cpu_shares", limits.cpu_shares),
        ("container_spec_memory_reservation_limit_bytes", limits.memory_reservation_bytes),
        ("container_threads_max", limits.pids),
        # 0 is a limit: on cgroup v2 it is how no swap is allowed.
        ("container_spec_memory_limit_bytes", limits.memory_bytes),
        ("container_spec_memory_swap_limit_bytes", limits.memory_swap_bytes),
        ("tallyman_container_cpuset_cpus", limits.cpus),
    )


def _filesystem(c: Container) -> FilesystemUsage:
    """Return the space that its files take and may take, from the best source there is."""
    measured = c.filesystem is not None and c.filesystem.used_bytes is not None
    if c.openvz is not None and not (measured and c.openvz.disk_used_bytes is None):
        return FilesystemUsage(
            used_bytes=c.openvz.disk_used_bytes,
            limit_bytes=c.openvz.disk_hard_bytes,
            inodes=c.openvz.inodes_hard,
            inodes_used=c.openvz.inodes_used,
        )
    usage = c.filesystem or FilesystemUsage()
    if usage.used_bytes is None and c.writable_layer_bytes is not None:
        return replace(usage, used_bytes=c.writable_layer_bytes + (c.log_bytes or 0))
    return usage


def filesystem_samples(usage: FilesystemUsage) -> Iterator[Sample]:
    """Return how full a filesystem is."""
    free = None
    if usage.inodes is not None and usage.inodes_used is not None:
        free = max(0, usage.inodes - usage.inodes_used)
    yield from _present(
        ("container_fs_usage_bytes", usage.used_bytes),
        ("container_fs_limit_bytes", usage.limit_bytes),
        ("container_fs_inodes_total", usage.inodes),
        ("container_fs_inodes_free", free),
        labels=(("device", usage.device),) if usage.device else (),
    )


def _openvz_counters(container: Container, facts: OpenvzFacts) -> Iterator[Sample]:
    """Return counters by OpenVZ's own accounting, for a container without a cgroup."""
    held = {counter.resource: counter for counter in facts.beancounters}
    pages, swap, kernel = held.get("physpages"), held.get("swappages"), held.get("kmemsize")
    yield from _present(
        ("container_cpu_usage_seconds_total", facts.cpu_seconds), labels=(("cpu", "total"),)
    )
    yield from _present(
        ("container_cpu_user_seconds_total", facts.cpu_user_seconds),
        ("container_cpu_system_seconds_total", facts.cpu_system_seconds),
        ("container_memory_usage_bytes", pages.held if pages else None),
        ("container_memory_max_usage_bytes", pages.maxheld if pages else None),
        ("container_memory_swap", swap.held if swap else None),
        ("container_memory_kernel_usage", kernel.held if kernel else None),
        ("container_processes", container.processes),
        ("container_threads", facts.processes),  # numproc counts both
    )


def _openvz(facts: OpenvzFacts) -> Iterator[Sample]:
    onboot = "" if facts.onboot is None else str(facts.onboot).lower()
    yield Sample(
        "tallyman_openvz_info",
        1,
        (
            ("ctid", facts.ctid),
            ("ostemplate", facts.ostemplate),
            ("addresses", ",".join(facts.addresses)),
            ("onboot", onboot),
            ("layout", facts.layout),
        ),
    )
    for status in dict.fromkeys((*_OPENVZ_STATUSES, facts.status)):
        labels = (("status", status),)
        yield Sample("tallyman_openvz_status", facts.status == status, labels)
    load = facts.load or (None, None, None)
    yield from _present(
        ("tallyman_openvz_disk_used_bytes", facts.disk_used_bytes),
        ("tallyman_openvz_disk_soft_limit_bytes", facts.disk_soft_bytes),
        ("tallyman_openvz_disk_hard_limit_bytes", facts.disk_hard_bytes),
        ("tallyman_openvz_disk_inodes_used", facts.inodes_used),
        ("tallyman_openvz_disk_inodes_soft_limit", facts.inodes_soft),
        ("tallyman_openvz_disk_inodes_hard_limit", facts.inodes_hard),
        ("tallyman_openvz_load1", load[0]),
        ("tallyman_openvz_load5", load[1]),
        ("tallyman_openvz_load15", load[2]),
        ("tallyman_openvz_uptime_seconds", facts.uptime_seconds),
        ("tallyman_openvz_cpu_limit_ratio", facts.cpu_limit_ratio),
        ("tallyman_openvz_cpu_units", facts.cpu_units),
        ("tallyman_openvz_cpus", facts.cpus),
        ("tallyman_openvz_swap_used_bytes", facts.swap_used_bytes),
        ("tallyman_openvz_swap_limit_bytes", facts.swap_limit_bytes),
        ("tallyman_openvz_processes", facts.processes),
        ("tallyman_openvz_as_of_seconds", facts.as_of),
    )


def beancounter_samples(counter: Beancounter, *, whole: bool) -> Iterator[Sample]:
    """Return what operators watch of a beancounter, or all of it if ``whole``.

    Only a limited resource can come near its limit or be refused, and a container of today has two
    or three of them. A barrier of 0 or equal to the limit adds no information.
    """
    limited = counter.limit is not None or bool(counter.barrier)
    if not (whole or limited or counter.failures):
        return
    barrier = counter.barrier if whole or counter.barrier not in (0, counter.limit) else None
    yield from _present(
        ("tallyman_openvz_beancounter_held", counter.held),
        ("tallyman_openvz_beancounter_maxheld", counter.maxheld),
        ("tallyman_openvz_beancounter_barrier", barrier),
        ("tallyman_openvz_beancounter_limit", counter.limit),
        ("tallyman_openvz_beancounter_failures_total", counter.failures),
        labels=(("resource", counter.resource),),
    )


def _present(*values: tuple[str, float | None], labels: Labels = ()) -> Iterator[Sample]:
    """Return samples of the values that are not None."""
    for name, value in values:
        if value is not None:
            yield Sample(name, value, labels)
