"""PromQL in pieces: selectors that follow the variables, and the join with a container's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.metrics import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTS = 'job=~"$job",instance=~"$instance"'
KINDS = f'{HOSTS},engine=~"$engine"'
RATE = "[$__rate_interval]"
ID = "job, instance, id"
NAMED = "job, instance, id, name"
"""Labels of a graph's line that is one container: without style, which may change meanwhile."""
WHO = "job, instance, id, name, engine, style"
"""Labels of a table's row that is one container."""

_PROMETHEUS = frozenset(
    {
        *("up", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling"),
        *("ALERTS", "ALERTS_FOR_STATE"),
    }
)

NETWORK = ("container_network_receive_bytes_total", "container_network_transmit_bytes_total")
DISK = ("container_fs_reads_bytes_total", "container_fs_writes_bytes_total")


def host(metric: str, more: str = "") -> str:
    """Select a metric on the chosen hosts; ``more`` are further matchers."""
    if metric not in BY_NAME and metric not in _PROMETHEUS and ":" not in metric:
        raise KeyError(f"{metric} is not in the catalogue")
    return f"{metric}{{{HOSTS}{',' if more else ''}{more}}}"


def one_of_each(selector: str) -> str:
    """Keep one series of each container, with its labels: the right side of a join.

    For some minutes after a restart of Prometheus, what was renamed has two.
    """
    return f"topk by ({ID}) (1, {selector})"


def each(gauge: str) -> str:
    """Return a gauge by container alone: the left side of a join.

    What cAdvisor names has the name of its container, too, which may change.
    """
    return f"max by ({ID}) ({gauge})"


def info(style: str = "$style", more: str = "") -> str:
    """Return the info series of the chosen containers, one of each."""
    matchers = f'engine=~"$engine",style=~"{style}",name=~"$container"'
    return one_of_each(host("tallyman_container_info", matchers + (f",{more}" if more else "")))


def kind(rule: str, more: str = "") -> str:
    """Select a series that is by engine and style."""
    return host(rule, f'engine=~"$engine",style=~"$style"{"," if more else ""}{more}')


def who(expression: str, style: str = "$style", labels: str = "name, engine, style") -> str:
    """Join an expression by container with the labels that identify it to people.

    The expression has one series of each container: see ``each`` and ``grown``.
    """
    return f"({expression}) * on ({ID}) group_left ({labels}) {info(style)}"


def chosen(expression: str, style: str = "$style") -> str:
    """Keep what belongs to the chosen containers."""
    return f"({expression}) * on ({ID}) group_left () {info(style)}"


def rate(metric: str, more: str = "", window: str = RATE) -> str:
    """Return the rate of a counter on the chosen hosts."""
    return f"rate({host(metric, more)}{window})"


def increase(metric: str, more: str = "", window: str = "[$__range]") -> str:
    """Return how much a counter grew on the chosen hosts."""
    return f"increase({host(metric, more)}{window})"


def grown(metric: str, more: str = "", window: str = "[$__range]") -> str:
    """Return how much a counter of each chosen container grew, under whatever name."""
    return total(ID, increase(metric, more, window))


def total(by: str, expression: str) -> str:
    """Sum by labels."""
    return f"sum by ({by}) ({expression})"


def zero(expression: str) -> str:
    """Return 0 where there are no series: only for counts of what should not be."""
    return f"{expression} or vector(0)"


def together(counters: Sequence[str], window: str = RATE) -> str:
    """Add up the rates of counters of each chosen container."""
    return total(ID, " + ".join(rate(counter, "", window) for counter in counters))


def top(expression: str, over_range: str, on: str = ID) -> str:
    """Keep the series that are the largest over the whole range.

    A bare ``topk`` chooses anew at every step, and its graph flickers. ``over_range`` is the same
    quantity with ``[$__range] @ end()``.
    """
    return f"{expression} and on ({on}) topk($top, {over_range})"


END = "[$__range] @ end()"


def busiest(*counters: str, style: str = "$style") -> str:
    """Return the rate of counters together, of those containers that moved them most."""
    shown = total(NAMED, who(together(counters), style, "name"))
    return top(shown, chosen(together(counters, END), style))


def largest(gauge: str, style: str = "$style") -> str:
    """Return a gauge of those containers where it was largest, and for longest, over the range.

    ``gauge`` is a metric or a recorded series.
    """
    shown = total(NAMED, who(each(host(gauge)), style, "name"))
    over_range = total(ID, f"sum_over_time({host(gauge)}{END})")
    return top(shown, chosen(over_range, style))
