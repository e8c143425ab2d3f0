"""Panels and annotations that several boards have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards.layout import Annotation
from dashboards.links import series_to_container
from dashboards.panels import BAD_IF_ANY, WATCH_IF_ANY, Figure, figures, graph, query
from dashboards.promql import (
    DISK,
    NETWORK,
    chosen,
    each,
    grown,
    host,
    increase,
    rate,
    total,
    who,
    zero,
)
from dashboards.theme import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, STYLE_COLOURS, Uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from grafana_foundation_sdk.builders import stat, timeseries

    from dashboards.panels import Query, Steps

_OUTSIDE = 'style="none"'
_IN_NO_CONTAINER = "in no container"
_WHERE = "{{name}} on {{instance}}"
EXIT = ((None, GREEN), (1, ORANGE))
CALCS = ("mean", "max")
"""Numbers in the legend of a graph with many lines."""


def running(of_style: Callable[[str], str], to: Callable[[Uid], tuple[str, str]]) -> stat.Panel:
    """Count running containers by style; ``to`` links to the board of a style."""
    return figures(
        "Running containers",
        "App-style containers exist to run one application, system-style containers are small "
        "servers; unknown are those of which too little could be seen for a verdict.",
        Figure("app", of_style("app"), colour=BLUE, link=to(Uid.APP)),
        Figure("system", of_style("system"), colour=PURPLE, link=to(Uid.SYSTEM)),
        Figure("unknown", of_style("unknown"), colour=GREY),
    )


def oom_kills_of(keep: Callable[[str], str]) -> Figure:
    """Count OOM kills over the time shown, of the containers that ``keep`` narrows to."""
    kills = keep(grown("container_oom_events_total"))
    return Figure("OOM kills", zero(f"sum({kills})"), steps=BAD_IF_ANY)


def to_look_at(mismatches: str, to_agent: tuple[str, str]) -> stat.Panel:
    """Count what needs attention."""
    kills = chosen(grown("container_oom_events_total"))
    failing = f"count({host('tallyman_collector_success')} == 0)"
    return figures(
        "To look at",
        "Mismatches: a confident verdict differs from what the engine was made for, or told to "
        "run. OOM kills: over the time shown. Collectors: those that fail, so that their data is "
        "missing or old.",
        Figure("mismatches", zero(mismatches), steps=WATCH_IF_ANY),
        Figure("OOM kills", zero(f"sum({kills})"), steps=BAD_IF_ANY),
        Figure("collectors", zero(failing), steps=BAD_IF_ANY, link=to_agent),
    )


def by_style(
    title: str, about: str, shown: Query, *more: Query, unit: str, empty: str = "no containers"
) -> timeseries.Panel:
    """Draw something by style, stacked; a series named "capacity" is drawn as a limit."""
    return graph(
        title,
        about,
        shown,
        *more,
        unit=unit,
        stacked=True,
        colours={**STYLE_COLOURS, _IN_NO_CONTAINER: STYLE_COLOURS["none"], "capacity": RED},
        dashed=("capacity",),
        empty=empty,
    )


def outside(metric: str) -> Query:
    """Ask for what runs outside containers."""
    return query(f"sum({host(metric, _OUTSIDE)})", _IN_NO_CONTAINER)


def pressure(title: str, about: str, matchers: str, empty: str) -> timeseries.Panel:
    """Draw the share of time in which tasks waited."""
    return graph(
        title,
        about,
        *(
            query(rate(f"container_pressure_{what}_waiting_seconds_total", matchers), what)
            for what in ("cpu", "memory", "io")
        ),
        unit="percentunit",
        empty=empty,
    )


def disk(matchers: str, empty: str) -> timeseries.Panel:
    """Draw what is read and written, by device; idle ones are left out."""
    read, written = (f"({total('device', rate(counter, matchers))} > 0)" for counter in DISK)
    return graph(
        "Disk",
        "Bytes read (below zero) and written on block devices.",
        query(f"-{read}", "{{device}} read"),
        query(written, "{{device}} written"),
        unit="Bps",
        low=None,
        empty=empty,
    )


def network(matchers: str, empty: str) -> timeseries.Panel:
    """Draw what is received and sent, by interface; idle ones are left out."""
    received, sent = (f"({total('interface', rate(counter, matchers))} > 0)" for counter in NETWORK)
    return graph(
        "Network",
        "Bytes received (below zero) and sent, by interface.",
        query(f"-{received}", "{{interface}} received"),
        query(sent, "{{interface}} sent"),
        unit="Bps",
        low=None,
        empty=empty,
    )


def by_name(
    title: str,
    about: str,
    expr: str,
    *,
    unit: str = "short",
    high: float | None = None,
    steps: Steps = (),
    decimals: int | None = None,
    empty: str,
) -> timeseries.Panel:
    """Draw a line for each container, with a legend and a link to each."""
    return graph(
        title,
        about,
        query(expr, "{{name}}"),
        unit=unit,
        high=high,
        steps=steps,
        decimals=decimals,
        legend=CALCS,
        link=series_to_container(),
        empty=empty,
    )


def oom_kills(style: str = "$style", more: str = "", *, on: bool = False) -> Annotation:
    """Mark OOM kills in the chosen containers."""
    kills = grown("container_oom_events_total", more, "[2m]")
    return Annotation(
        name="OOM kill", expr=f"{who(kills, style, 'name')} > 0", text=_WHERE, colour=RED, on=on
    )


def starts(style: str = "$style", more: str = "", *, on: bool = False) -> Annotation:
    """Mark when the chosen containers were started."""
    started = who(each(host("container_start_time_seconds", more)), style, "name")
    return Annotation(
        name="Started",
        expr=f"{started} * 1000",
        text=_WHERE,
        colour=GREEN,
        value_is_time=True,
        on=on,
    )


def turns(style: str = "$style", more: str = "", *, on: bool = False) -> Annotation:
    """Mark when the verdicts of the chosen containers changed."""
    changes = increase("tallyman_container_style_changes_total", more, "[2m]")
    return Annotation(
        name="Verdict turned",
        expr=f"{who(changes, style, 'name')} > 0",
        text=_WHERE,
        colour=ORANGE,
        on=on,
    )
