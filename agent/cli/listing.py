"""The table of ``tallyman ls``: every container with its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent import phrases
from agent.cli.terminal import Cell, Column, Screen, table
from agent.model import Container, LookAlike, Severity, Style
from agent.sanitize import printable

if TYPE_CHECKING:
    from agent.model import Snapshot
    from agent.selection import Selection

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
    Column("WARNINGS", right=True),
    Column("AGE", right=True),
)


def as_table(snapshot: Snapshot, selection: Selection, screen: Screen) -> Iterator[str]:
    """Return the lines of the table."""
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
    """Return one line that counts the containers shown."""
    styles = [container.verdict.style for _, container in selection.containers(snapshot)]
    counted = [f"{styles.count(style)} {style}" for style in Style if style in styles]
    number = f"{len(styles)} container{'' if len(styles) == 1 else 's'}"
    return f"{number}: {', '.join(counted)}" if counted else number


def _row(container: Container, depth: int, now: float) -> Sequence[Cell]:
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
    )


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
