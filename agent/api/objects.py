"""From the model to the objects of the schema."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agent import __version__, phrases
from agent.api import schema
from agent.labels import orchestration
from agent.selection import NONE
from agent.wire import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import (
        Container,
        Details,
        Evidence,
        Finding,
        LookAlike,
        ProcessEntry,
        Snapshot,
    )
    from agent.selection import Selection
    from collectors.facts import Mount

_SECCOMP = {0: "off", 1: "strict", 2: "filter"}
_TICKS = os.sysconf("SC_CLK_TCK")
_DEEPEST = 64
"""Deepest level of a tree of processes; what is below is shown on that level."""


def listed(
    snapshot: Snapshot, selection: Selection, uses: Mapping[str, schema.Use] | None = None
) -> tuple[schema.Container, ...]:
    """Return the containers of a selection, with what they use where that is known."""
    uses = uses or {}
    return tuple(
        schema.Container(**_facts(c), findings=tuple(map(summary, c.findings)), use=uses.get(c.id))
        for _, c in selection.containers(snapshot)
    )


def explained(
    container: Container, snapshot: Snapshot, use: schema.Use | None = None
) -> schema.ContainerDetails:
    """Return one container with all that is known of it."""
    verdict = container.verdict
    packed = snapshot.details.get(container.id)
    details = unpack(packed) if packed else None
    return schema.ContainerDetails(
        **_facts(container),
        findings=tuple(map(_finding, container.findings)),
        verdict=phrases.verdict(container),
        axes={axis.value: round(score, 4) for axis, score in verdict.axes.items()},
        evidence=tuple(map(evidence, verdict.evidence)),
        unseen=verdict.unseen,
        override=verdict.override,
        processes=_tree(details, snapshot.host.boot_time) if details else (),
        more_processes=details.more_processes if details else 0,
        mounts=tuple(map(_mount, details.mounts)) if details else (),
        more_mounts=details.more_mounts if details else 0,
        use=use,
    )


def look_alike(other: LookAlike) -> schema.LookAlike:
    """Return what only looks like a container."""
    return schema.LookAlike(
        id=None,
        name=other.name,
        engine=other.engine,
        image="",
        state=None,
        style=NONE,
        expected_style=NONE,
        score=None,
        confidence=None,
        mismatch=False,
        pid=other.pid,
        cgroup=other.cgroup,
        parent_id="",
        kind=other.kind,
        reason=other.reason,
    )


def host(
    snapshot: Snapshot, reading: schema.Reading | None = None, use: schema.Use | None = None
) -> schema.Host:
    """Return the host, how its collectors did, and how its containers divide it."""
    from agent.exposition.density import host_samples  # noqa: PLC0415 - ls does not need it

    facts = snapshot.host
    counts: list[schema.Count] = []
    promised: dict[tuple[str, str], dict[str, float]] = {}
    for sample in host_samples(snapshot.containers.values()):
        labels = dict(sample.labels)
        if sample.name == "tallyman_host_containers":
            counts.append(schema.Count(**labels, containers=int(sample.value)))
        elif sample.name in _PROMISED:
            kind = promised.setdefault((labels["engine"], labels["style"]), {})
            kind[_PROMISED[sample.name]] = sample.value
    return schema.Host(
        agent_version=__version__,
        nodename=facts.nodename,
        kernel=facts.kernel,
        boot_time=facts.boot_time or None,
        virtualization=facts.virtualization,
        cgroups=facts.cgroups.mode.value,
        cpus=facts.cpus,
        memory_bytes=facts.memory_bytes,
        swap_bytes=facts.swap_bytes,
        complete=snapshot.complete,
        as_of=snapshot.as_of or None,
        event_lag_seconds=snapshot.event_lag_seconds,
        dropped=snapshot.dropped,
        containers=tuple(counts),
        promised=tuple(
            schema.Promise(
                engine=engine,
                style=style,
                memory_bytes=sums.get("memory_bytes"),
                cores=sums.get("cores"),
            )
            for (engine, style), sums in promised.items()
        ),
        collectors=tuple(
            schema.Collector(
                name=health.name,
                success=health.success,
                error=health.error,
                duration_seconds=health.duration_seconds,
                last_success=health.last_success,
                denied=health.denied,
                malformed=health.malformed,
                containers=health.containers,
            )
            for health in snapshot.collectors
        ),
        reading=reading,
        use=use,
    )


_PROMISED = {"tallyman_host_limit_bytes": "memory_bytes", "tallyman_host_limit_cores": "cores"}


def evidence(piece: Evidence) -> schema.Evidence:
    """Return one piece of evidence."""
    return schema.Evidence(
        axis=piece.axis.value,
        rule=piece.rule,
        weight=piece.weight,
        sentence=piece.sentence,
        source=piece.source,
    )


def summary(finding: Finding) -> schema.FindingSummary:
    """Return a finding without the explanation of its kind."""
    return schema.FindingSummary(
        name=finding.name, severity=finding.severity.value, sentence=finding.sentence
    )


def ports(container: Container) -> tuple[schema.Port, ...]:
    """Return the ways into a container: what is published first, each with whose socket it is."""
    found: list[schema.Port] = []
    shown: set[int] = set()
    for publish in container.publishes:
        inside = [
            (number, socket)
            for number, socket in enumerate(container.sockets)
            if (socket.port, socket.protocol) == (publish.container_port, publish.protocol)
        ]
        shown.update(number for number, _ in inside)
        socket = next((s for _, s in inside if s.program), inside[0][1] if inside else None)
        found.append(
            schema.Port(
                published_address=publish.host_address,
                published_port=publish.host_port,
                protocol=publish.protocol,
                address=socket.address if socket else None,
                port=publish.container_port,
                program=(socket.program or None) if socket else None,
                pid=socket.pid if socket else None,
            )
        )
    return (
        *found,
        *(
            schema.Port(
                published_address=None,
                published_port=None,
                protocol=socket.protocol,
                address=socket.address,
                port=socket.port,
                program=socket.program or None,
                pid=socket.pid,
            )
            for number, socket in enumerate(container.sockets)
            if number not in shown
        ),
    )


def _finding(finding: Finding) -> schema.Finding:
    kind = phrases.finding_kind(finding)
    return schema.Finding(
        name=finding.name,
        severity=finding.severity.value,
        sentence=finding.sentence,
        title=kind.title if kind else "",
        means=kind.means if kind else "",
        matters=kind.matters if kind else "",
        advice=kind.advice if kind else "",
    )


def _mount(mount: Mount) -> schema.Mount:
    return schema.Mount(
        target=mount.target, type=mount.fstype, source=mount.source, root=mount.root
    )


def _facts(container: Container) -> dict[str, Any]:
    """Return the fields that a container has in the list and by itself."""
    verdict = container.verdict
    labels = orchestration(container)
    usage = container.filesystem
    return {
        "id": container.id,
        "name": container.name,
        "engine": container.engine,
        "instance": container.instance,
        "engine_id": container.engine_id,
        "image": container.image,
        "state": container.state.value,
        "style": verdict.style.value,
        "expected_style": container.expected_style.value,
        "score": round(verdict.score, 4),
        "confidence": round(verdict.confidence, 4),
        "mismatch": container.mismatch,
        "pid": container.init.pid if container.init is not None else None,
        "cgroup": container.cgroup,
        "parent_id": container.parent_id,
        "role": container.role,
        "hostname": container.hostname,
        "os_name": container.os_name,
        "os_version": container.os_version,
        "default_route": container.default_route,
        "created": container.created,
        "started": container.started,
        "finished": container.finished,
        "exit_code": container.exit_code,
        "oom_killed": container.oom_killed,
        "namespace": container.namespace,
        "pod": container.pod,
        "isolation": _isolation(container),
        "limits": _limits(container),
        "seen_by": container.seen_by,
        "removed": container.gone,
        "restarts": container.restarts,
        "health": container.health,
        "compose_project": labels["compose_project"],
        "compose_service": labels["compose_service"],
        "ports": ports(container),
        "filesystem": schema.Filesystem(
            used_bytes=usage.used_bytes if usage else None,
            limit_bytes=usage.limit_bytes if usage else None,
            writable_layer_bytes=container.writable_layer_bytes,
        ),
    }


def _isolation(container: Container) -> schema.Isolation:
    facts = container.isolation
    capabilities = facts.capabilities
    return schema.Isolation(
        shared_namespaces=tuple(sorted(facts.shared_namespaces)),
        network=container.network,
        pid_namespace=container.pid_namespace,
        user_mapped=facts.user_mapped,
        capabilities=f"{capabilities:016x}" if capabilities is not None else None,
        seccomp=_SECCOMP.get(facts.seccomp) if facts.seccomp is not None else None,
        no_new_privs=facts.no_new_privs,
        privileged=facts.privileged,
        engine_sockets=facts.engine_sockets,
    )


def _limits(container: Container) -> schema.Limits:
    limits = container.limits
    return schema.Limits(
        memory_bytes=limits.memory_bytes,
        memory_swap_bytes=limits.memory_swap_bytes,
        memory_reservation_bytes=limits.memory_reservation_bytes,
        cpu_quota_us=limits.cpu_quota_us,
        cpu_period_us=limits.cpu_period_us,
        cpus=limits.cpus,
        cores=limits.cores,
        cpu_shares=limits.cpu_shares,
        pids=limits.pids,
        seen=tuple(sorted(limits.seen)),
        higher=tuple(
            schema.HigherLimit(
                resource=higher.resource,
                cgroup=higher.cgroup,
                value=higher.value,
                binds=higher.binds,
            )
            for higher in limits.higher
        ),
    )


def _tree(details: Details, boot_time: float) -> tuple[schema.Process, ...]:
    """Return the processes as a tree; they come parents first."""
    depth: dict[int, int] = {}
    above: dict[int, int] = {}
    children: dict[int, list[ProcessEntry]] = {}
    for entry in details.processes:
        parent = entry.parent if entry.parent in depth and entry.parent != entry.pid else 0
        if depth.get(parent, 0) >= _DEEPEST:
            parent = above[parent]
        depth[entry.pid] = depth.get(parent, 0) + 1
        above[entry.pid] = parent
        children.setdefault(parent, []).append(entry)

    def below(pid: int) -> tuple[schema.Process, ...]:
        return tuple(_process(e, boot_time, below(e.pid)) for e in children.get(pid, ()))

    return below(0)


def _process(
    entry: ProcessEntry, boot_time: float, children: tuple[schema.Process, ...]
) -> schema.Process:
    return schema.Process(
        pid=entry.pid,
        inner_pid=entry.inner_pid,
        program=entry.program,
        exe=entry.exe,
        role=entry.task.value,
        uid=entry.uid,
        started=round(boot_time + entry.start_ticks / _TICKS, 2) if boot_time else None,
        arguments=entry.arguments,
        children=children,
    )
