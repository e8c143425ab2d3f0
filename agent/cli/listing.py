"""What ``tallyman ls`` shows: every container with its verdict, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import phrases
from agent.cli.terminal import Cell, Column, Screen, table
from agent.model import Container, LookAlike, Style
from agent.sanitize import escape_bytes, line

if TYPE_CHECKING:
    from agent.model import Snapshot

NONE = "none"
"""Style of what is not a container."""

STYLES = (Style.APP.value, Style.SYSTEM.value, Style.UNKNOWN.value, NONE)

STYLE_COLOURS = {Style.APP: "cyan", Style.SYSTEM: "magenta", Style.UNKNOWN: "yellow"}

_COLUMNS = (
    Column("NAME", 12),
    Column("ENGINE"),
    Column("IMAGE", 8),
    Column("STATE"),
    Column("STYLE"),
    Column("SCORE", right=True),
    Column("CONF", right=True),
    Column("EXPECTED"),
    Column("FINDINGS", right=True),
    Column("AGE", right=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a snapshot is to be shown."""

    everything: bool = False
    """Also what is not a container."""
    engines: frozenset[str] = frozenset()
    """Empty: every engine."""
    styles: frozenset[str] = frozenset()
    """Empty: every style."""
    gone: bool = False
    """Also containers that were removed and are remembered for a while."""
    findings: frozenset[str] | None = None
    """Only containers with one of these findings; empty: with any; None: all containers."""

    def containers(self, snapshot: Snapshot) -> list[tuple[int, Container]]:
        """Return the containers that fit with their depth, each below the one that it runs in."""
        return [(depth, c) for depth, c in _tree(snapshot.containers) if self._fits(c)]

    def look_alikes(self, snapshot: Snapshot) -> list[LookAlike]:
        """Return what is not a container, where that is asked for."""
        if not (self.everything or NONE in self.styles) or self.findings is not None:
            return []
        return [
            other
            for other in sorted(snapshot.look_alikes, key=lambda o: (o.kind, o.name, o.pid or 0))
            if (not self.styles or NONE in self.styles)
            and (not self.engines or other.engine in self.engines)
        ]

    def shown_findings(self, container: Container) -> list[str]:
        """Return the findings of a container that were asked for, as lines for people."""
        return [
            f"{line(finding.name)}: {line(finding.sentence)}"
            for finding in container.findings
            if not self.findings or finding.name in self.findings
        ]

    def _fits(self, container: Container) -> bool:
        if container.gone and not self.gone:
            return False
        if self.engines and container.engine not in self.engines:
            return False
        if self.styles and container.verdict.style not in self.styles:
            return False
        return self.findings is None or bool(self.shown_findings(container))


def _tree(containers: Mapping[str, Container]) -> Iterator[tuple[int, Container]]:
    below: dict[str, list[Container]] = {}
    for container in sorted(containers.values(), key=lambda c: (c.engine, c.name, c.id)):
        parent = container.parent_id if container.parent_id in containers else ""
        below.setdefault(parent, []).append(container)
    waiting = [(0, container) for container in reversed(below.pop("", []))]
    while waiting:
        depth, container = waiting.pop()
        yield depth, container
        children = below.pop(container.id, [])
        waiting += [(depth + 1, child) for child in reversed(children)]
    # Containers that name each other as parent are still containers.
    for ring in below.values():
        yield from ((0, container) for container in ring)


def as_table(snapshot: Snapshot, selection: Selection, screen: Screen) -> Iterator[str]:
    """Return the lines of the table for people."""
    shown = selection.containers(snapshot)
    if not shown:
        yield "No containers."
    else:
        rows = [_row(container, depth, snapshot.as_of) for depth, container in shown]
        head, *body = table(_COLUMNS, rows, screen)
        yield from head
        for (depth, container), lines in zip(shown, body, strict=True):
            yield from lines
            if selection.findings is not None:
                for finding in selection.shown_findings(container):
                    yield from screen.wrap(finding, "  " * (depth + 1))
    others = selection.look_alikes(snapshot)
    if others:
        yield ""
        yield from _others(others, screen)
    inside = phrases.inside(snapshot.host)
    if inside:
        yield ""
        yield from screen.wrap(inside, "")


def summary(snapshot: Snapshot, selection: Selection) -> str:
    """Return one line that counts what is shown."""
    styles = [container.verdict.style for _, container in selection.containers(snapshot)]
    counted = [f"{styles.count(style)} {style}" for style in Style if style in styles]
    number = f"{len(styles)} container{'' if len(styles) == 1 else 's'}"
    return f"{number}: {', '.join(counted)}" if counted else number


def _row(container: Container, depth: int, now: float) -> Sequence[Cell]:
    verdict = container.verdict
    known = verdict.style is not Style.UNKNOWN
    since = container.started or container.created
    expected = container.expected_style.value if container.expected_style != Style.UNKNOWN else ""
    return (
        Cell("  " * depth + phrases.title(container)),
        Cell(line(container.engine)),
        Cell(line(container.image)),
        Cell(phrases.state(container)),
        Cell(verdict.style.value, STYLE_COLOURS[verdict.style]),
        Cell(f"{verdict.score:+.2f}" if known else ""),
        Cell(phrases.percent(verdict.confidence).replace(" ", "") if known else ""),
        Cell(f"{expected} !", "red") if container.mismatch else Cell(expected),
        Cell(str(len(container.findings)) if container.findings else "", "yellow"),
        Cell(phrases.age(max(0.0, now - since)) if since else ""),
    )


def _others(others: Sequence[LookAlike], screen: Screen) -> Iterator[str]:
    heads = (
        Column("NOT A CONTAINER", 12),
        Column("KIND"),
        Column("ENGINE"),
        Column("PID", right=True),
        Column("WHY", 30, wrap=True),
    )
    rows = [
        (
            Cell(line(other.name)),
            Cell(line(other.kind)),
            Cell(line(other.engine)),
            Cell("" if other.pid is None else str(other.pid)),
            Cell(line(other.reason)),
        )
        for other in others
    ]
    for lines in table(heads, rows, screen):
        yield from lines


def as_objects(snapshot: Snapshot, selection: Selection) -> list[dict[str, object]]:
    """Return the objects of ``ls --json``; their keys are a promise."""
    found = [as_object(container) for _, container in selection.containers(snapshot)]
    return found + [_other_object(other) for other in selection.look_alikes(snapshot)]


def as_object(container: Container) -> dict[str, object]:
    """Return one container as JSON has it; ``pid`` is its init's, in the host's numbering."""
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
        "created": container.created,
        "started": container.started,
        "finished": container.finished,
        "exit_code": container.exit_code,
        "oom_killed": container.oom_killed,
        "namespace": escape_bytes(container.namespace),
        "pod": escape_bytes(container.pod),
        "findings": [
            {"name": finding.name, "sentence": escape_bytes(finding.sentence)}
            for finding in container.findings
        ],
        "isolation": _isolation_object(container),
        "seen_by": list(container.seen_by),
    }


_SECCOMP = {0: "off", 1: "strict", 2: "filter"}


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


def _other_object(other: LookAlike) -> dict[str, object]:
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
