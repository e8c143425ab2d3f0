"""Keys and columns that several tables have."""

from __future__ import annotations

from dashboards.links import to_container, to_host
from dashboards.panels import PLAIN, SHARE, Steps
from dashboards.tables import Column, Key
from dashboards.theme import BLUE, ORANGE, TEXT

WORTH_A_LOOK: Steps = ((None, TEXT), (1, ORANGE))
"""For a count that is usually zero."""
_BARE: Steps = ((None, BLUE),)
"""For bars without a limit."""

HOST = Key("instance", "Host", link=to_host(), width=132, grows=True)


def container_keys(*hidden: str) -> tuple[Key, ...]:
    """Return the keys of ``promql.WHO``: name, host, engine and style, the rest for the links.

    ``hidden`` are labels that need not be shown: all rows have the same, or there is no room.
    """
    return (
        Key("name", "Container", link=to_container(), width=130, grows=True),
        Key("instance") if "instance" in hidden else HOST,
        Key("engine", "" if "engine" in hidden else "Engine", width=95),
        Key("style", "" if "style" in hidden else "Style", width=70),
        Key("job"),
        Key("id"),
    )


def count(
    title: str,
    expr: str,
    width: int = 80,
    steps: Steps = PLAIN,
    link: tuple[str, str] | None = None,
) -> Column:
    """Return a count."""
    return Column(title, expr, unit="none", decimals=0, steps=steps, width=width, link=link)


def share(
    title: str, expr: str, width: int = 80, steps: Steps = SHARE, *, gauge: bool = False
) -> Column:
    """Return a share; the default ``steps`` are those for a share of a limit."""
    return Column(
        title,
        expr,
        unit="percentunit",
        decimals=0,
        gauge=gauge,
        high=1 if gauge else None,
        steps=steps,
        width=width,
    )


def cpu(expr: str, title: str = "CPU", width: int = 0, *, gauge: bool = True) -> Column:
    """Return CPUs kept busy."""
    return Column(
        title,
        expr,
        unit="cores",
        decimals=3,
        gauge=gauge,
        steps=_BARE if gauge else PLAIN,
        width=width or (115 if gauge else 98),
    )


def memory(expr: str, title: str = "Memory", width: int = 0, *, gauge: bool = False) -> Column:
    """Return bytes of memory."""
    return Column(
        title,
        expr,
        unit="bytes",
        gauge=gauge,
        steps=_BARE if gauge else PLAIN,
        width=width or (130 if gauge else 95),
    )


def throttled(expr: str) -> Column:
    """Return the share of periods in which the CPU was kept from it."""
    return share("Throttled", expr, 85, ((None, TEXT), (0.25, ORANGE)))


def ago(title: str, expr: str, width: int = 140) -> Column:
    """Return how long ago a moment was, which ``expr`` gives in seconds since the epoch.

    0 is a moment that nobody knows.
    """
    unknown = {"0": ("-", TEXT)}
    when = f"({expr}) * 1000"
    return Column(title, when, unit="dateTimeFromNow", values=unknown, width=width, right=True)
