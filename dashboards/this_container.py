"""PromQL of the one container that a dashboard is about."""

from __future__ import annotations

from dashboards.promql import host, increase, rate

THIS = 'id="$id"'


def this(metric: str, more: str = "") -> str:
    """Select a metric of this container."""
    return host(metric, f"{THIS},{more}" if more else THIS)


def this_rate(metric: str, more: str = "") -> str:
    """Return the rate of a counter of this container, under whatever name."""
    return f"sum({rate(metric, f'{THIS},{more}' if more else THIS)})"


def this_increase(metric: str) -> str:
    """Return how much a counter of this container grew over the time shown."""
    return f"sum({increase(metric, THIS)})"
