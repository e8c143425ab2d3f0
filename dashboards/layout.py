"""A dashboard's frame: panels in lines and rows, stable ids, links between dashboards."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.theme import SCHEMA_VERSION, TAG, Uid
from dashboards.variables import SOURCE, Builder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboards.panels import Panel

WIDTH = 24


@dataclass(frozen=True, slots=True)
class Line:
    """Panels beside each other, of one height; each with its width of 24."""

    height: int
    panels: Sequence[tuple[int, Panel]]


def line(height: int, *panels: Panel | tuple[int, Panel]) -> Line:
    """Put panels beside each other; those without a width share evenly what the others leave."""
    wide = [panel for panel in panels if isinstance(panel, tuple)]
    others = len(panels) - len(wide)
    share = (WIDTH - sum(width for width, _ in wide)) // others if others else 0
    return Line(height, [p if isinstance(p, tuple) else (share, p) for p in panels])


@dataclass(frozen=True, slots=True)
class Row:
    """Lines under a heading; a collapsed one asks nothing until it is opened."""

    title: str
    lines: Sequence[Line]
    collapsed: bool


def row(title: str, *lines: Line, collapsed: bool = False) -> Row:
    """Put lines under a heading."""
    return Row(title, lines, collapsed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Moments that are marked on every graph."""

    name: str
    expr: str
    text: str
    """With ``{{label}}`` in it."""
    colour: str
    value_is_time: bool = False
    """The value is the moment, in milliseconds since the epoch."""
    on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard."""

    uid: Uid
    title: str
    about: str
    variables: Sequence[Builder]
    rows: Sequence[Row]
    """Lines of a row without a title stand at the top, under no heading."""
    annotations: Sequence[Annotation] = ()
    since: str = "now-1h"

    def build(self) -> models.Dashboard:
        """Return it as Grafana's classic model."""
        board = (
            builders.Dashboard(f"Tallyman / {self.title}")
            .uid(self.uid)
            .description(self.about)
            .tags([TAG])
            .readonly()
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .time(self.since, "now")
            .timezone("browser")
            .refresh("1m")
            .link(_siblings())
        )
        for variable in self.variables:
            board.with_variable(variable)
        made = board.build()
        made.schema_version = SCHEMA_VERSION
        made.panels = _place(self.rows)
        return made

    def json(self) -> str:
        """Return it as the text that is committed and provisioned."""
        raw = json.loads(json.dumps(self.build(), cls=JSONEncoder))
        for variable in raw["templating"]["list"]:
            # The SDK writes them for every kind of variable, Grafana's schema has them for one.
            for key in ("auto", "auto_min", "auto_count"):
                del variable[key]
        raw["annotations"] = {"list": [_annotation(a) for a in self.annotations]}
        return json.dumps(raw, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _annotation(a: Annotation) -> dict[str, object]:
    # By hand: the SDK's annotation has no useValueForTime, and without it Grafana marks the
    # whole time in which the series exists.
    return {
        "name": a.name,
        "datasource": {"type": SOURCE.type_val, "uid": SOURCE.uid},
        "enable": a.on,
        "hide": False,
        "iconColor": a.colour,
        "expr": a.expr,
        "step": "60s",
        "titleFormat": a.name,
        "textFormat": a.text,
        "useValueForTime": a.value_is_time,
    }


def _siblings() -> builders.DashboardLink:
    return (
        builders.DashboardLink("Tallyman")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
        .icon("external link")
        .tooltip("The other dashboards, with the same hosts and time")
        .url("")
    )


def _place(rows: Sequence[Row]) -> list[models.Panel | models.RowPanel]:
    placed: list[models.Panel | models.RowPanel] = []
    y = 0
    for row in rows:
        heading = None
        if row.title:
            heading = models.RowPanel(
                collapsed=row.collapsed,
                title=row.title,
                grid_pos=models.GridPos(h=1, w=WIDTH, x=0, y=y),
                id_val=stable_id(f"row {row.title}"),
            )
            placed.append(heading)
            y += 1
        inside: list[models.Panel] = []
        for line in row.lines:
            x = 0
            for width, builder in line.panels:
                panel = builder.build()
                panel.id_val = stable_id(panel.title or "")
                panel.grid_pos = models.GridPos(h=line.height, w=width, x=x, y=y)
                inside.append(panel)
                x += width
            y += line.height
        if heading is not None and row.collapsed:
            heading.panels = inside
        else:
            placed += inside
    return placed


def stable_id(title: str) -> int:
    """Return a panel its number by its title: links to it outlive a new panel above it."""
    return zlib.crc32(title.encode()) % 100_000 + 1
