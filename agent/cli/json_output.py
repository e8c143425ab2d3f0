"""The objects of ``--json``: their keys are a promise, as the names of metrics are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import phrases
from agent.sanitize import escape_bytes
from agent.selection import NONE

if TYPE_CHECKING:
    from agent.model import Container, Finding, LookAlike, Snapshot
    from agent.selection import Selection

_SECCOMP = {0: "off", 1: "strict", 2: "filter"}


def listed(snapshot: Snapshot, selection: Selection) -> list[dict[str, object]]:
    """Return the objects of ``ls --json``."""
    containers = [container_object(c) for _, c in selection.containers(snapshot)]
    return containers + [_look_alike_object(o) for o in selection.look_alikes(snapshot)]


def explained(container: Container) -> dict[str, object]:
    """Return the object of ``explain --json``: that of ``ls --json``, and the reasons."""
    verdict = container.verdict
    return container_object(container) | {
        "verdict": phrases.verdict(container),
        "axes": {axis.value: round(score, 4) for axis, score in verdict.axes.items()},
        "evidence": [
            {
                "axis": piece.axis.value,
                "rule": piece.rule,
                "weight": piece.weight,
                "sentence": escape_bytes(piece.sentence),
                "source": escape_bytes(piece.source),
            }
            for piece in verdict.evidence
        ],
        "findings": [_finding_object(finding) for finding in container.findings],
        "unseen": [escape_bytes(sentence) for sentence in verdict.unseen],
        "override": escape_bytes(verdict.override),
    }


def container_object(container: Container) -> dict[str, object]:
    """Return the object of one container; ``pid`` is its init's, in the host's numbering."""
    verdict = container.verdict
    return {
        "id": escape_bytes(container.id),
        "name": escape_bytes(container.name),
        "engine": escape_bytes(container.engine),
        "instance": escape_bytes(container.instance),
        "engine_id": escape_bytes(container.engine_id),
        "image": escape_bytes(container.image),
        "state": container.state.value,
        "style": verdict.style.value,
        "expected_style": container.expected_style.value,
        "score": round(verdict.score, 4),
        "confidence": round(verdict.confidence, 4),
        "mismatch": container.mismatch,
        "pid": container.init.pid if container.init is not None else None,
        "cgroup": escape_bytes(container.cgroup),
        "parent_id": escape_bytes(container.parent_id),
        "role": container.role,
        "hostname": escape_bytes(container.hostname),
        "os_name": escape_bytes(container.os_name),
        "os_version": escape_bytes(container.os_version),
        "default_route": container.default_route,
        "created": container.created,
        "started": container.started,
        "finished": container.finished,
        "exit_code": container.exit_code,
        "oom_killed": container.oom_killed,
        "namespace": escape_bytes(container.namespace),
        "pod": escape_bytes(container.pod),
        "findings": [
            {
                "name": finding.name,
                "severity": finding.severity.value,
                "sentence": escape_bytes(finding.sentence),
            }
            for finding in container.findings
        ],
        "isolation": _isolation_object(container),
        "limits": _limits_object(container),
        "seen_by": list(container.seen_by),
    }


def _isolation_object(container: Container) -> dict[str, object]:
    """Return what separates a container from the host; None is what could not be seen.

    ``network`` and ``pid_namespace`` say whose they are: own, host, or ``container:<id>``.
    """
    facts = container.isolation
    capabilities = facts.capabilities
    return {
        "shared_namespaces": sorted(facts.shared_namespaces),
        "network": escape_bytes(container.network),
        "pid_namespace": escape_bytes(container.pid_namespace),
        "user_mapped": facts.user_mapped,
        "capabilities": f"{capabilities:016x}" if capabilities is not None else None,
        "seccomp": _SECCOMP.get(facts.seccomp) if facts.seccomp is not None else None,
        "no_new_privs": facts.no_new_privs,
        "privileged": facts.privileged,
        "engine_sockets": [escape_bytes(path) for path in facts.engine_sockets],
    }


def _limits_object(container: Container) -> dict[str, object]:
    """Return the limits of a container; what has none is None, or unknown if not in ``seen``.

    ``higher`` are those of cgroups above its own; the one that ``binds`` is the container's.
    """
    limits = container.limits
    return {
        "memory_bytes": limits.memory_bytes,
        "memory_swap_bytes": limits.memory_swap_bytes,
        "memory_reservation_bytes": limits.memory_reservation_bytes,
        "cpu_quota_us": limits.cpu_quota_us,
        "cpu_period_us": limits.cpu_period_us,
        "cpus": limits.cpus,
        "cores": limits.cores,
        "cpu_shares": limits.cpu_shares,
        "pids": limits.pids,
        "seen": sorted(limits.seen),
        "higher": [
            {
                "resource": higher.resource,
                "cgroup": escape_bytes(higher.cgroup),
                "value": higher.value,
                "binds": higher.binds,
            }
            for higher in limits.higher
        ],
    }


def _finding_object(finding: Finding) -> dict[str, str]:
    entry = {
        "name": finding.name,
        "severity": finding.severity.value,
        "sentence": escape_bytes(finding.sentence),
    }
    kind = phrases.finding_kind(finding)
    if kind is not None:
        entry |= {
            "title": kind.title,
            "means": kind.means,
            "matters": kind.matters,
            "advice": kind.advice,
        }
    return entry


def _look_alike_object(other: LookAlike) -> dict[str, object]:
    return {
        "id": None,
        "name": escape_bytes(other.name),
        "engine": escape_bytes(other.engine),
        "image": "",
        "state": None,
        "style": NONE,
        "expected_style": NONE,
        "score": None,
        "confidence": None,
        "mismatch": False,
        "pid": other.pid,
        "cgroup": escape_bytes(other.cgroup),
        "parent_id": "",
        "kind": other.kind,
        "reason": escape_bytes(other.reason),
    }
