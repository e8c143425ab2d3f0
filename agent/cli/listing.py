"""The table of ``tallyman ls``: every container with its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import phrases
from agent.api import objects
from agent.cli.terminal import Cell, Column, Screen, table
from agent.model import Container, LookAlike, Severity, Style
from agent.sanitize import printable

if TYPE_CHECKING:
    from agent.model import Snapshot
    from agent.selection import Selection

STYLE_COLOURS = {Style.APP: "cyan", Style.SYSTEM: "magenta", Style.UNKNOWN: "yellow"}

_COLUMNS = (
    Column("NAME", 12),
    Column("ENGINE", expendable=2),
    Column("IMAGE", 8, expendable=7),
    Column("STATE", expendable=1),
    Column("STYLE"),
    Column("SCORE", right=True, expendable=9),
    Column("CONF", right=True, expendable=8),
    Column("EXPECTED", expendable=6),
    Column("WARNINGS", right=True, expendable=5),
    Column("AGE", right=True, expendable=4),
    Column("PORTS", 8, expendable=3),
)
_STYLE = 9
_SMALL = 12 + _STYLE
"""In a terminal of fewer columns not even the least name and the style fit."""


def as_table(snapshot: Snapshot, selection: Selection, screen: Screen) -> Iterator[str]:
    """Return the lines of the table."""
    shown = selection.containers(snapshot)
    if not shown:
        yield "No containers."
    else:
        rows = [_row(container, depth, snapshot.as_of, screen) for depth, container in shown]
        heads = list(_COLUMNS)
        if screen.width is not None and screen.width < _SMALL:
            heads[0] = replace(heads[0], least=max(1, screen.width - _STYLE))
        if not any(row[-1].text for row in rows):
            heads, rows = heads[:-1], [row[:-1] for row in rows]
        head, *body = table(heads, rows, screen)
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
    """Return one line that counts the containers shown."""
    styles = [container.verdict.style for _, container in selection.containers(snapshot)]
    counted = [f"{styles.count(style)} {style}" for style in Style if style in styles]
    number = f"{len(styles)} container{'' if len(styles) == 1 else 's'}"
    return f"{number}: {', '.join(counted)}" if counted else number


def _row(container: Container, depth: int, now: float, screen: Screen) -> Sequence[Cell]:
    verdict = container.verdict
    judged = verdict.style is not Style.UNKNOWN
    since = container.started or container.created
    expected = container.expected_style.value if container.expected_style != Style.UNKNOWN else ""
    return (
        Cell("  " * depth + phrases.title(container)),
        Cell(printable(container.engine)),
        Cell(printable(container.image)),
        Cell(phrases.state(container)),
        Cell(verdict.style.value, STYLE_COLOURS[verdict.style]),
        Cell(f"{verdict.score:+.2f}" if judged else ""),
        Cell(phrases.percent(verdict.confidence).replace(" ", "") if judged else ""),
        Cell(f"{expected} !", "red") if container.mismatch else Cell(expected),
        Cell(_warnings(container), "yellow"),
        Cell(phrases.age(max(0.0, now - since)) if since else ""),
        Cell(ports(container, "→" if screen.unicode else "->")),
    )


def ports(container: Container, arrow: str = "→") -> str:
    """Return the ways into a container from outside: ``8080→80 nginx, 53/udp dnsmasq``."""
    shown: dict[str, None] = {}
    for port in objects.ports(container):
        inside = str(port.port) + ("" if port.protocol == "tcp" else f"/{port.protocol}")
        if port.published_port is not None:
            where = "" if port.published_address in _ANY else f"{port.published_address}:"
            inside = f"{where}{port.published_port}{arrow}{inside}"
        elif (port.address or "").startswith("127.") or port.address == "::1":
            continue
        shown[f"{inside} {port.program or ''}".rstrip()] = None
    return printable(", ".join(shown))


_ANY = ("", "0.0.0.0", "::", None)  # noqa: S104 - addresses that are shown


def _warnings(container: Container) -> str:
    """Return how many warnings there are; advice and information are for ``explain``."""
    number = sum(finding.severity is Severity.WARNING for finding in container.findings)
    return str(number) if number else ""


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
            Cell(printable(other.name)),
            Cell(printable(other.kind)),
            Cell(printable(other.engine)),
            Cell("" if other.pid is None else str(other.pid)),
            Cell(printable(other.reason)),
        )
        for other in others
    ]
    for lines in table(heads, rows, screen):
        yield from lines
