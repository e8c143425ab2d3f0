"""PromQL by application: image, Compose service, pod or whatever the user chose as one.

Containers are summed up first, by the labels of the variable ``by``; only what is left, one series
for each application, is given a name.
"""

from __future__ import annotations

from dashboards.promql import END
from dashboards.recordings import RUNNING, recorded

APP = "app"
NO_INFRA = 'role!="infra"'
_LABELS = (
    *("image", "compose_project", "compose_service", "namespace", "pod", "swarm_service"),
    "name",
)
"""All labels that can be chosen, those that belong together beside each other."""
_QUOTED = ", ".join(f'"{label}"' for label in _LABELS)


def series(rule: str) -> str:
    """Select a recorded series of app-style containers."""
    return recorded(rule, APP, NO_INFRA)


def _named(applications: str) -> str:
    """Give each application its name, and keep those that are chosen by it."""
    joined = f'label_join({applications}, "unit", " / ", {_QUOTED})'
    bare = f'label_replace({joined}, "unit", "$1", "unit", "[ /]*(.*?)[ /]*")'
    named = f'label_replace({bare}, "unit", "other", "unit", "")'
    # PromQL matches no label that it has made itself, but it can join on one.
    return (
        f'(label_replace({named}, "chosen", "1", "unit", "$application") '
        'and on (chosen) label_replace(vector(1), "chosen", "1", "", ""))'
    )


def by_unit(expression: str, how: str = "sum") -> str:
    """Aggregate by application."""
    again = "sum" if how == "count" else how
    return f"{again} by (unit) ({_named(f'{how} by (${{by:raw}}) ({expression})')})"


def of_chosen(shown: str) -> str:
    """Keep those running containers that belong to the chosen applications."""
    chosen = _named(f"count by (${{by:raw}}) ({series(RUNNING)})")
    return f"{shown} and on (${{by:raw}}) {chosen}"


def top_units(rule: str, how: str = "sum", only: str = "") -> str:
    """Return lines of those applications where it was largest over the range.

    ``only`` is a comparison: other containers are left out.
    """
    shown = by_unit(f"{series(rule)}{only}", how)
    over_range = by_unit(f"sum_over_time({series(rule)}{END}){only}", how)
    return f"{shown} and on (unit) topk($top, {over_range})"
