"""What boards of many hosts have in common: it reads only what is recorded.

So do two tables of the board of one host, which are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards.columns import ago, container_keys, count, share
from dashboards.layout import Annotation
from dashboards.panels import BAD_IF_ANY, PLAIN, WATCH_IF_ANY, Figure
from dashboards.promql import NAMED, WHO, total, zero
from dashboards.recordings import (
    ENDED,
    EXIT_CODE,
    FINDING,
    LIVED,
    OOM_KILLED,
    OOM_KILLS,
    RUNNING,
    STARTED,
    THROTTLED,
    TURNS,
    beside,
    happened,
    recorded,
    top_rows,
)
from dashboards.tables import Column, Key, rows
from dashboards.theme import GREEN, ORANGE, RED, TEXT

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import table

NEAR = 0.9
"""From this share of a limit on, a container is near it."""
KEPT_WAITING = 0.25
"""From this share of its periods on, a container counts as throttled."""
_WHERE = "{{name}} on {{instance}}"
_EXIT = ((None, GREEN), (1, ORANGE))


def running(style: str, colour: str, more: str = "") -> Figure:
    """Count running containers."""
    return Figure("running", zero(f"count({recorded(RUNNING, style, more)})"), colour=colour)


def oom_kills(style: str = "$style") -> Figure:
    """Count OOM kills over the time shown."""
    return Figure("OOM kills", zero(f"sum({happened(OOM_KILLS, style)})"), steps=BAD_IF_ANY)


def throttled(style: str = "$style", link: tuple[str, str] | None = None) -> Figure:
    """Count containers that are kept from the CPU in more than a quarter of the periods."""
    kept = f"{recorded(THROTTLED, style)} > {KEPT_WAITING}"
    return Figure("throttled", zero(f"count({kept})"), steps=WATCH_IF_ANY, link=link)


def findings(title: str, *hidden: str, style: str = "$style") -> table.Panel:
    """List containers with their warnings, those with the surest verdict first."""
    found = total(f"{WHO}, finding", recorded(FINDING, style))
    keys = container_keys(*hidden)
    return rows(
        title,
        "Warnings about running containers; tallyman explain NAME says what each means and what "
        "to do, and adds what is advice. Confidence is that of the verdict.",
        (*keys[:4], Key("finding", "Finding", width=170, grows=True), *keys[4:]),
        (share("Confidence", top_rows(found), 105, PLAIN),),
        sort="Confidence",
        empty="no warnings",
    )


def ended(title: str, style: str, *hidden: str) -> table.Panel:
    """List containers that do not run, the last to end first."""
    state = f"{WHO}, state"
    ranked = recorded(ENDED, style)

    def shown(rule: str) -> str:
        return total(state, beside(recorded(rule, style), ranked))

    keys = container_keys(*hidden)
    return rows(
        title,
        "Stopped containers that the engine keeps, and removed ones for five minutes, the last to "
        "end first. Exit code 137 means killed: by a person, a time-out or the kernel.",
        (*keys[:4], Key("state", "State", width=80), *keys[4:]),
        (
            count("Exit code", shown(EXIT_CODE), 80, _EXIT),
            Column(
                "OOM",
                shown(OOM_KILLED),
                values={"1": ("killed", RED), "0": ("no", TEXT)},
                width=65,
            ),
            Column("Lived", shown(LIVED), unit="s", decimals=1, width=90),
            ago("Ended", total(state, top_rows(ranked))),
        ),
        sort="Ended",
        empty="no container has ended",
    )


def kills(style: str = "$style") -> Annotation:
    """Mark OOM kills in the chosen containers."""
    return Annotation(
        name="OOM kill",
        expr=f"{total(NAMED, recorded(OOM_KILLS, style))} > 0",
        text=_WHERE,
        colour=RED,
    )


def starts(style: str) -> Annotation:
    """Mark when the chosen containers were started."""
    return Annotation(
        name="Started",
        expr=f"{total(NAMED, recorded(STARTED, style))} * 1000",
        text=_WHERE,
        colour=GREEN,
        value_is_time=True,
    )


def turns(style: str) -> Annotation:
    """Mark when the verdicts of the chosen containers changed."""
    return Annotation(
        name="Verdict turned",
        expr=f"{total(NAMED, recorded(TURNS, style))} > 0",
        text=_WHERE,
        colour=ORANGE,
    )
