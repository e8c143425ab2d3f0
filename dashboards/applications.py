"""PromQL by application: image, Compose service, pod or whatever the user chose as one."""

from __future__ import annotations

from dashboards.promql import END, ID, WHO, each, info, together, total

APP = "app"
_INFO = info(APP, 'role!="infra"')
_UNITS = (
    f'label_replace(label_join({_INFO}, "unit", " / ", ${{by:raw}}), '
    '"unit", "other", "unit", "[ /]*")'
)
# PromQL matches no label that it has made itself, but it can join on one.
_CHOSEN = (
    f'(label_replace({_UNITS}, "chosen", "1", "unit", "$application") '
    'and on (chosen) label_replace(vector(1), "chosen", "1", "", ""))'
)
"""The chosen app-style containers, each with the application that it belongs to."""


def chosen(expression: str, labels: str = "") -> str:
    """Keep what belongs to the chosen applications, with ``labels`` of their containers."""
    return f"({expression}) * on ({ID}) group_left ({labels}) {_CHOSEN}"


def by_container(expression: str) -> str:
    """Return the rows of a table of containers."""
    return total(WHO, chosen(expression, "name, engine, style"))


def by_unit(expression: str, how: str = "sum") -> str:
    """Aggregate by application."""
    return f"{how} by (unit) ({chosen(expression, 'unit')})"


def _top(expression: str, over_range: str, how: str = "sum") -> str:
    return f"{by_unit(expression, how)} and on (unit) topk($top, {by_unit(over_range, how)})"


def top_rate(*counters: str) -> str:
    """Return the rate of counters together, of the applications that moved them most."""
    return _top(together(counters), together(counters, END))


def top_gauge(gauge: str, how: str = "sum") -> str:
    """Return a gauge, of the applications where it was largest over the range."""
    return _top(each(gauge), total(ID, f"sum_over_time({gauge}{END})"), how)
