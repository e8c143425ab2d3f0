"""The text of ``tallyman explain``: the verdict on one container and the reasons for it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent import phrases
from agent.cli.listing import STYLE_COLOURS
from agent.model import Axis, Container, Evidence, LookAlike, Severity, Style
from agent.sanitize import printable
from collectors.facts import ALIVE

if TYPE_CHECKING:
    from agent.cli.terminal import Screen
    from agent.model import Finding, Snapshot

_HALF = 20
"""Width of half a bar, in columns."""

_LEAST_PREFIX = 2
_SEVERITY_COLOURS = {
    Severity.WARNING: "red",
    Severity.ADVICE: "yellow",
    Severity.INFORMATION: "dim",
}


def find(snapshot: Snapshot, wanted: str) -> list[Container]:
    """Return the containers that ``wanted`` names: more than one if it is ambiguous.

    The first of these that any container matches decides: its id, its name, the engine's id, the
    pid of its first process, and the beginning of the engine's id or of the last part of the id.
    """
    containers = list(snapshot.containers.values())
    ways = (
        [c for c in containers if c.id == wanted],
        [c for c in containers if c.name == wanted],
        [c for c in containers if c.engine_id == wanted],
        [c for c in containers if c.init is not None and str(c.init.pid) == wanted],
        [c for c in containers if len(wanted) >= _LEAST_PREFIX and _begins(c, wanted)],
    )
    return next((matches for matches in ways if matches), [])


def _begins(container: Container, wanted: str) -> bool:
    own = container.id.rpartition("/")[2]
    ids = (container.engine_id, own, phrases.short_id(container))
    return any(each.startswith(wanted) for each in ids)


def find_look_alikes(snapshot: Snapshot, wanted: str) -> list[LookAlike]:
    """Return the look-alikes that ``wanted`` names."""
    return [
        other
        for other in snapshot.look_alikes
        if wanted in (other.name, other.cgroup) or str(other.pid) == wanted
    ]


def suggestion(snapshot: Snapshot, wanted: str) -> str:
    """Return the name that was probably meant; empty if none is similar."""
    names = [phrases.title(container) for container in snapshot.containers.values()]
    return next(iter(difflib.get_close_matches(wanted, names, n=1)), "")


def as_text(container: Container, snapshot: Snapshot, screen: Screen) -> Iterator[str]:
    """Return the lines about one container."""
    verdict = container.verdict
    sentence, *more = screen.wrap(phrases.verdict(container), "")
    yield screen.paint("bold", sentence)
    yield from (screen.paint("bold", part) for part in more)
    for fact in _facts(container, snapshot):
        yield from screen.wrap(fact, "")
    limits = phrases.limits(container)
    if limits:
        yield from screen.wrap(f"Limits: {limits}.", "")
    if verdict.axes:
        yield ""
        yield f"{'':13}{'app':<{_HALF}} {'system':>{_HALF}}"
        for axis in Axis:
            yield _bar(axis, verdict.axes.get(axis), screen)
    yield from _all_evidence(container, screen)
    if container.findings:
        yield from _head("Findings", screen)
        for finding in container.findings:
            yield from _finding(finding, screen)
    if verdict.unseen:
        yield from _head("Not known", screen)
        for sentence in verdict.unseen:
            yield from screen.wrap(phrases.sentence(printable(sentence)), "  ")


def look_alike_text(other: LookAlike, screen: Screen) -> Iterator[str]:
    """Return the lines that say why something is not a container."""
    yield screen.paint(
        "bold", f"{printable(other.name)} is not a container ({printable(other.kind)})."
    )
    yield from screen.wrap(printable(other.reason), "")
    places = [f"pid {other.pid}"] if other.pid is not None else []
    places += [f"cgroup {printable(other.cgroup)}"] if other.cgroup else []
    if places:
        yield ", ".join(places)


def _facts(container: Container, snapshot: Snapshot) -> Iterator[str]:
    words = [printable(container.engine)]
    if container.image:
        words.append(printable(container.image))
    words.append(phrases.state(container))
    since = container.started if container.state in ALIVE else container.finished
    if since:
        words.append(f"for {phrases.long_age(max(0.0, snapshot.as_of - since))}")
    elif container.created:
        words.append(
            f"created {phrases.long_age(max(0.0, snapshot.as_of - container.created))} ago"
        )
    if container.init is not None:
        words.append(f"pid {container.init.pid}")
    yield ", ".join(words) + "."
    yield f"id {printable(container.id)}"
    system = phrases.operating_system(container)
    if system:
        yield f"Its operating system is {system}."
    parent = snapshot.containers.get(container.parent_id)
    if parent is not None:
        yield f"It runs inside {phrases.title(parent)}."
    inside = [c for c in snapshot.containers.values() if c.parent_id == container.id]
    if inside:
        yield "Inside it: " + ", ".join(phrases.title(child) for child in inside) + "."
    if container.role:
        yield f"Its role is {printable(container.role)}: it does not count in the density metrics."


def _bar(axis: Axis, score: float | None, screen: Screen) -> str:
    full, empty, middle = ("█", "·", "│") if screen.unicode else ("#", ".", "|")
    if score is None:
        # Not 0: there is no evidence on this axis.
        return f"  {axis.value:<11}{empty * _HALF}{middle}{empty * _HALF}"
    cells = min(_HALF, round(abs(score) * _HALF))
    style = Style.SYSTEM if score > 0 else Style.APP
    filled = screen.paint(STYLE_COLOURS[style], full * cells)
    rest = empty * (_HALF - cells)
    left, right = (empty * _HALF, filled + rest) if score > 0 else (rest + filled, empty * _HALF)
    return f"  {axis.value:<11}{left}{middle}{right} {score:+.2f}"


def _all_evidence(container: Container, screen: Screen) -> Iterator[str]:
    pieces = sorted(container.verdict.evidence, key=lambda piece: -abs(piece.weight))
    app = [piece for piece in pieces if piece.weight < 0]
    system = [piece for piece in pieces if piece.weight > 0]
    match container.verdict.style:
        case Style.APP:
            parts = (("Evidence for app-style", app), ("Evidence against", system))
        case Style.SYSTEM:
            parts = (("Evidence for system-style", system), ("Evidence against", app))
        case Style.UNKNOWN:
            parts = (("Evidence for app-style", app), ("Evidence for system-style", system))
    for head, some in parts:
        if some:
            yield from _head(head, screen)
            yield from _evidence(some, screen)


def _evidence(pieces: Sequence[Evidence], screen: Screen) -> Iterator[str]:
    for piece in pieces:
        lead = f"  {piece.weight:+5.2f}  {piece.axis.value:<10}  "
        text = printable(piece.sentence)
        first, *rest = screen.wrap(text, " " * len(lead))
        yield lead + first[len(lead) :]
        yield from rest
        if piece.source:
            yield " " * len(lead) + screen.paint("dim", f"read from {printable(piece.source)}")


def _head(text: str, screen: Screen) -> Iterator[str]:
    yield ""
    yield screen.paint("bold", text)


def _finding(finding: Finding, screen: Screen) -> Iterator[str]:
    kind = phrases.finding_kind(finding)
    colour = _SEVERITY_COLOURS[finding.severity]
    head = screen.paint(colour, f"{finding.severity}: {printable(finding.name)}")
    yield f"  {head}  {printable(finding.sentence)}" if kind is None else f"  {head}  {kind.title}"
    if kind is not None:
        sentence = phrases.sentence(printable(finding.sentence))
        for text in (sentence, kind.means, kind.matters, f"To do: {kind.advice}"):
            yield from screen.wrap(text, "    ")
