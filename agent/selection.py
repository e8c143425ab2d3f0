"""Which containers of a snapshot to show, and in what order: each below the one it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.model import Container, LookAlike, Severity, Style
from agent.sanitize import printable

if TYPE_CHECKING:
    from agent.model import Snapshot

NONE = "none"
"""Style of what is not a container."""

_WARNINGS = frozenset({Severity.WARNING.value})

STYLES = (Style.APP.value, Style.SYSTEM.value, Style.UNKNOWN.value, NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to show of a snapshot."""

    everything: bool = False
    """Also what is not a container."""
    engines: frozenset[str] = frozenset()
    """Empty: every engine."""
    styles: frozenset[str] = frozenset()
    """Empty: every style."""
    gone: bool = False
    """Also removed containers that are still remembered."""
    findings: frozenset[str] | None = None
    """Only containers with findings of these names or severities; empty: with warnings; None: all
    containers."""

    sort: str = ""
    """A name in ``SORTS``, with a dash before it for the reverse; empty: by engine and name."""

    def containers(self, snapshot: Snapshot) -> list[tuple[int, Container]]:
        """Return the selected containers with their depth, each below the one it runs in."""
        tree = _tree(snapshot.containers, self.sort)
        return [(depth, c) for depth, c in tree if self._fits(c)]

    def look_alikes(self, snapshot: Snapshot) -> list[LookAlike]:
        """Return what is not a container, if that is selected."""
        if not (self.everything or NONE in self.styles) or self.findings is not None:
            return []
        return [
            other
            for other in sorted(snapshot.look_alikes, key=lambda o: (o.kind, o.name, o.pid or 0))
            if (not self.styles or NONE in self.styles)
            and (not self.engines or other.engine in self.engines)
        ]

    def shown_findings(self, container: Container) -> list[str]:
        """Return the selected findings of a container, one printable line each."""
        return [
            f"{printable(finding.name)}: {printable(finding.sentence)}"
            for finding in container.findings
            if {finding.name, finding.severity.value} & (self.findings or _WARNINGS)
        ]

    def _fits(self, container: Container) -> bool:
        if container.gone and not self.gone:
            return False
        if self.engines and container.engine not in self.engines:
            return False
        if self.styles and container.verdict.style not in self.styles:
            return False
        return self.findings is None or bool(self.shown_findings(container))


def _warnings(container: Container) -> int:
    return sum(finding.severity is Severity.WARNING for finding in container.findings)


SORTS: Mapping[str, Callable[[Container], Any]] = {
    "name": lambda c: c.name,
    "engine": lambda c: c.engine,
    "image": lambda c: c.image,
    "state": lambda c: c.state,
    "style": lambda c: c.verdict.style,
    "score": lambda c: c.verdict.score,
    "confidence": lambda c: c.verdict.confidence,
    "warnings": _warnings,
    "age": lambda c: -(c.started or c.created or 0.0),
}
"""By what containers can be sorted: those that run in another one, among themselves."""


def _tree(containers: Mapping[str, Container], sort: str) -> Iterator[tuple[int, Container]]:
    children: dict[str, list[Container]] = {}
    ordered = sorted(containers.values(), key=lambda c: (c.engine, c.name, c.id))
    if sort:
        ordered.sort(key=SORTS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    for container in ordered:
        parent = container.parent_id if container.parent_id in containers else ""
        children.setdefault(parent, []).append(container)
    stack = [(0, container) for container in reversed(children.pop("", []))]
    while stack:
        depth, container = stack.pop()
        yield depth, container
        stack += [(depth + 1, child) for child in reversed(children.pop(container.id, []))]
    # Containers that name each other as parent are still shown.
    for ring in children.values():
        yield from ((0, container) for container in ring)
