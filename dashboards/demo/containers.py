"""What the agent would say of one container of the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards.demo.life import Life, hash_of

if TYPE_CHECKING:
    from dashboards.demo.page import Page
    from dashboards.demo.roster import Actor

_WARNINGS = frozenset({"docker_as_vm", "engine_socket_inside", "privileged"})
"""Findings of that severity, docs/verdict.md; the others here are advice."""
_AXES = ("init", "services", "users", "filesystem", "network", "provenance", "lifecycle")
EVIDENCE = {
    "app": (
        ("init", "program", -1.5),
        ("services", "one", -2.0),
        ("users", "single", -0.2),
        ("filesystem", "application_root", -0.4),
        ("network", "one_port", -0.2),
        ("provenance", "told_to_run", -0.4),
        ("lifecycle", "long_running", 0.2),
    ),
    "system": (
        ("init", "service_manager", 1.0),
        ("services", "operating_system", 3.5),
        ("users", "several", 0.3),
        ("filesystem", "whole_system", 0.4),
        ("network", "several_ports", 0.3),
        ("provenance", "told_to_run", -0.4),
        ("lifecycle", "repaired", 0.2),
    ),
}
"""By style, some of the rules of docs/verdict.md: axis, rule, weight."""
_MIB = 1 << 20
_DISK = "/dev/vda"


def container_samples(page: Page, life: Life, at: float, end: float, step: float) -> None:
    """Add all series of a container; ``end`` is the moment ``at`` counts from, since the epoch."""
    actor = life.actor
    alive = life.alive(at)
    if not life.turning(at, step):
        _info(page, life, at)
    _state(page, life, at, end, alive=alive)
    _verdict(page, life, at)
    _image(page, life, at, end)
    if not alive:
        return
    base = _base(actor)
    _spec(page, actor, base)
    _use(page, life, base)
    if actor.openvz:
        _openvz(page, life, at, end)


def _base(actor: Actor) -> dict[str, str]:
    in_pod = actor.pod and actor.role != "infra"
    return {
        "id": actor.id,
        "name": actor.name,
        "image": actor.image,
        "container": actor.name.rpartition("/")[2] if in_pod else "",
        "pod": actor.pod,
        "namespace": actor.namespace,
    }


def _info(page: Page, life: Life, at: float) -> None:
    actor = life.actor
    project, service = actor.compose or ("", "")
    oci = {"docker": "runc", "containerd": "runc", "podman": "crun"}
    page.add(
        "tallyman_container_info",
        1,
        **_base(actor),
        engine=actor.engine,
        engine_id=actor.engine_id,
        style=life.style(at),
        expected_style="unknown" if actor.engine == "none" else actor.expected,
        oci_runtime=oci.get(actor.engine, ""),
        cgroup_version="1" if actor.openvz else "2",
        network="own" if actor.traffic else "host",
        namespaces="" if actor.traffic else "net",
        role=actor.role,
        hostname=actor.name if actor.style == "system" else actor.engine_id[:12],
        compose_project=project,
        compose_service=service,
        restart_policy=actor.restart_policy,
    )


def _state(page: Page, life: Life, at: float, end: float, *, alive: bool) -> None:
    actor = life.actor
    me = actor.id
    gone = actor.gone is not None and at >= actor.gone
    state = "running" if alive else "exited" if gone else actor.state
    page.add("tallyman_container_state", 1, id=me, state=state)
    page.add("tallyman_container_created_seconds", end + actor.created, id=me)
    started = life.started or actor.created
    page.add("tallyman_container_started_seconds", end + started, id=me)
    finished = actor.gone if actor.gone is not None else -86400.0
    page.add("container_last_seen", end + (at if alive else finished), **_base(actor))
    if not alive:
        page.add("tallyman_container_exit_code", actor.exit_code, id=me)
        page.add("tallyman_container_oom_killed", actor.exit_code == 137, id=me)
        page.add("tallyman_container_finished_seconds", end + finished, id=me)
        return
    page.add("container_start_time_seconds", end + started, **_base(actor))
    if actor.engine in {"docker", "podman"}:
        page.add("tallyman_container_restarts_total", life.counters.get("restarts", 0), id=me)
    if actor.unhealthy_since is not None or actor.name.startswith("shop-web"):
        since = actor.unhealthy_since
        sick = since is not None and at >= since
        page.add("tallyman_container_health", 1, id=me, health="unhealthy" if sick else "healthy")
        page.add("container_health_state", 0 if sick else 1, **_base(actor))


def _verdict(page: Page, life: Life, at: float) -> None:
    actor, me, style = life.actor, life.actor.id, life.style(at)
    sure = 0.82 + 0.17 * hash_of(me)
    sign = {"app": -1.0, "system": 1.0}.get(style, 0.0)
    page.add("tallyman_container_style_score", sign * sure if sign else None, id=me)
    page.add("tallyman_container_style_confidence", sure if sign else 0.1, id=me)
    if sign:
        for axis in _AXES:
            lean = 0.25 + 0.75 * hash_of(me + axis)
            against = axis == "provenance" and style != actor.expected
            page.add(
                "tallyman_container_axis_score", -sign * 0.5 if against else sign * lean,
                id=me, axis=axis,
            )  # fmt: skip
    if sign:
        for axis, rule, weight in EVIDENCE[style]:
            page.add("tallyman_container_evidence", weight, id=me, axis=axis, rule=f"{axis}.{rule}")
    turned = actor.turns_system is not None and at >= actor.turns_system
    page.add("tallyman_container_style_changes_total", turned, id=me)
    page.add("tallyman_container_mismatch", bool(sign) and style != actor.expected, id=me)
    for finding, since in actor.findings.items():
        if at >= since:
            severity = "warning" if finding in _WARNINGS else "advice"
            page.add("tallyman_container_finding", 1, id=me, finding=finding, severity=severity)
    if life.alive(at):
        sessions = actor.sessions if at >= max(actor.findings.values(), default=at) else 0
        page.add("tallyman_container_services", actor.services, id=me)
        page.add("tallyman_container_users", 1 + actor.services // 2, id=me)
        page.add("tallyman_container_sessions", sessions, id=me)
        page.add("tallyman_container_listening_sockets", actor.services, id=me)


def _image(page: Page, life: Life, at: float, end: float) -> None:
    actor = life.actor
    if actor.engine not in {"docker", "podman", "containerd"}:
        return
    me, dice = actor.id, hash_of(actor.image)
    page.add("tallyman_container_image_info", 1, id=me, image_id=f"sha256:{dice:.16f}"[:23])
    size = 2600 if "bloated_image" in actor.findings else 40 + 700 * dice
    page.add("tallyman_container_image_size_bytes", size * _MIB, id=me)
    days = 1400 if "stale_image" in actor.findings else 3 + 150 * dice
    page.add("tallyman_container_image_created_seconds", end - days * 86400, id=me)
    grown = 900 * _MIB if "drifted" in actor.findings else 2 * _MIB
    layer = grown * hash_of(me) + life.counters.get("written", 0) / 50
    # As with --inventory.walk.
    page.add("tallyman_container_writable_layer_bytes", layer, id=me)
    if life.alive(at):
        page.add("container_fs_usage_bytes", layer, **_base(actor))


def _spec(page: Page, actor: Actor, base: dict[str, str]) -> None:
    page.add("container_spec_memory_limit_bytes", actor.memory_limit or None, **base)
    page.add("container_spec_memory_swap_limit_bytes", actor.memory_limit * 2 or None, **base)
    page.add("container_spec_cpu_shares", 1024, **base)
    if actor.quota:
        page.add("container_spec_cpu_quota", actor.quota * 100_000, **base)
        page.add("container_spec_cpu_period", 100_000, **base)
    page.add("container_threads_max", 4096 if actor.memory_limit else None, **base)


def _use(page: Page, life: Life, base: dict[str, str]) -> None:
    actor, c, memory = life.actor, life.counters, life.memory
    for name, value in (
        ("container_cpu_user_seconds_total", c.get("user")),
        ("container_cpu_system_seconds_total", c.get("system")),
        ("container_cpu_cfs_periods_total", c.get("periods")),
        ("container_cpu_cfs_throttled_periods_total", c.get("throttled_periods")),
        ("container_cpu_cfs_throttled_seconds_total", c.get("throttled_seconds")),
        ("container_memory_working_set_bytes", memory),
        ("container_memory_usage_bytes", memory * 1.15),
        ("container_memory_rss", memory * 0.8),
        ("container_memory_cache", memory * 0.35),
        ("container_memory_mapped_file", memory * 0.08),
        ("container_memory_swap", 40 * _MIB if life.pressed else 0),
        ("container_memory_kernel_usage", memory * 0.03),
        ("container_oom_events_total", c.get("oom", 0)),
        ("container_processes", actor.processes),
        ("container_threads", actor.processes * 3),
    ):
        page.add(name, value, **base)
    page.add("container_cpu_usage_seconds_total", c.get("cpu"), **base, cpu="total")
    for kind, counter in (("pgfault", "faults"), ("pgmajfault", "major")):
        labels = {"failure_type": kind, "scope": "container"}
        page.add("container_memory_failures_total", c.get(counter), **base, **labels)
    page.add("container_fs_reads_bytes_total", c.get("read"), **base, device=_DISK)
    page.add("container_fs_writes_bytes_total", c.get("written"), **base, device=_DISK)
    page.add("container_fs_reads_total", c.get("read", 0) // 16384, **base, device=_DISK)
    page.add("container_fs_writes_total", c.get("written", 0) // 16384, **base, device=_DISK)
    if actor.traffic:
        for direction, counter in (("receive", "received"), ("transmit", "sent")):
            octets = c.get(counter, 0.0)
            for what, value in (
                ("bytes", octets),
                ("packets", octets // 700),
                ("packets_dropped", 0),
                ("errors", 0),
            ):
                name = f"container_network_{direction}_{what}_total"
                page.add(name, value, **base, interface="eth0")
    if actor.openvz:
        page.add("container_memory_failcnt", c.get("failures", 0), **base)
        return
    for resource in ("cpu", "memory", "io"):
        waited = c.get(f"{resource}_waiting", 0.0)
        page.add(f"container_pressure_{resource}_waiting_seconds_total", waited, **base)
        page.add(f"container_pressure_{resource}_stalled_seconds_total", waited * 0.4, **base)


def _openvz(page: Page, life: Life, at: float, end: float) -> None:
    actor, facts, me = life.actor, life.actor.openvz, life.actor.id
    if facts is None:
        return
    number = int(facts.ctid)
    page.add(
        "tallyman_openvz_info", 1, id=me, ctid=facts.ctid, ostemplate=actor.image,
        addresses=f"198.51.100.{number}", onboot="true", layout="ploop",
    )  # fmt: skip
    for status in ("running", "stopped", "mounted", "suspended", "paused", "unknown"):
        page.add("tallyman_openvz_status", status == "running", id=me, status=status)
    for resource, held, limit in (
        ("privvmpages", life.memory * 1.6, actor.memory_limit * 1.7),
        ("physpages", life.memory, actor.memory_limit),
        ("kmemsize", life.memory * 0.05, actor.memory_limit * 0.1),
        ("numproc", actor.processes, 400),
        ("numtcpsock", 12 + actor.services * 5, 360),
    ):
        failing = resource in facts.failing and at >= facts.failing_since
        failures = max(0.0, at - facts.failing_since) // 40 if failing else 0.0
        name = "tallyman_openvz_beancounter"
        labels = {"id": me, "resource": resource}
        page.add(f"{name}_held", limit if failing else held, **labels)
        page.add(f"{name}_maxheld", limit if failing else held * 1.2, **labels)
        page.add(f"{name}_barrier", limit * 0.95, **labels)
        page.add(f"{name}_limit", limit, **labels)
        page.add(f"{name}_failures_total", failures, **labels)
    used = facts.disk_used + (at / 3600 * 0.025 if facts.disk_grows else 0)
    used = min(used, 0.99)
    page.add("container_fs_usage_bytes", facts.disk_bytes * used, **_base(actor))
    page.add("container_fs_limit_bytes", facts.disk_bytes, **_base(actor))
    page.add("tallyman_openvz_disk_used_bytes", facts.disk_bytes * used, id=me)
    page.add("tallyman_openvz_disk_soft_limit_bytes", facts.disk_bytes * 0.95, id=me)
    page.add("tallyman_openvz_disk_hard_limit_bytes", facts.disk_bytes, id=me)
    inodes = facts.disk_bytes // 16384
    page.add("tallyman_openvz_disk_inodes_used", inodes * used * 0.4, id=me)
    page.add("tallyman_openvz_disk_inodes_soft_limit", inodes * 0.95, id=me)
    page.add("tallyman_openvz_disk_inodes_hard_limit", inodes, id=me)
    for minutes, share in ((1, 1.0), (5, 0.95), (15, 0.9)):
        page.add(f"tallyman_openvz_load{minutes}", life.wants * 1.3 * share, id=me)
    page.add("tallyman_openvz_uptime_seconds", at - life.started, id=me)
    page.add("tallyman_openvz_cpu_limit_ratio", actor.quota or None, id=me)
    page.add("tallyman_openvz_cpu_units", 1000, id=me)
    page.add("tallyman_openvz_cpus", max(1, round(actor.quota)), id=me)
    page.add("tallyman_openvz_swap_used_bytes", (number % 5) * 30 * _MIB, id=me)
    page.add("tallyman_openvz_swap_limit_bytes", 512 * _MIB, id=me)
    page.add("tallyman_openvz_processes", actor.processes, id=me)
    page.add("tallyman_openvz_as_of_seconds", end + at - 12, id=me)
