"""PromQL of the one container that was chosen."""

from __future__ import annotations

from dashboards.promql import host, increase, rate

ME = 'id="$id"'


def my(metric: str, more: str = "") -> str:
    """Select a metric of it."""
    return host(metric, f"{ME},{more}" if more else ME)


def my_rate(metric: str, more: str = "") -> str:
    """Return the rate of a counter of it."""
    return rate(metric, f"{ME},{more}" if more else ME)


def grown(metric: str) -> str:
    """Return how much a counter of it grew over the time shown."""
    return increase(metric, ME)
