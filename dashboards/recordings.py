"""What deploy/prometheus/rules.yml records of each container, and how boards ask for it.

A board of many hosts reads nothing else that is by container: a recorded series has the labels to
filter and group by itself, so that no panel joins all containers of all hosts.
"""

from __future__ import annotations

from dashboards.promql import END, ID, NAMED, WHO, host, total

RUNNING = "instance_id:tallyman_container_state:running"
STARTED = "instance_id:container_start_time_seconds:max"
JUST_STARTED = "instance_id:tallyman_container_started_seconds:last5m"
CPU = "instance_id:container_cpu_usage_seconds:rate5m"
THROTTLED = "instance_id:container_cpu_throttled_periods:ratio_rate5m"
MEMORY = "instance_id:container_memory_working_set_bytes:sum"
MEMORY_SHARE = "instance_id:container_memory_working_set_limit:ratio"
NETWORK = "instance_id:container_network_bytes:rate5m"
DISK = "instance_id:container_fs_bytes:rate5m"
DISK_SHARE = "instance_id:container_fs_usage_limit:ratio"
WRITTEN = "instance_id:tallyman_container_writable_layer_bytes:max"
HEALTH = "instance_id:container_health_state:max"
UNHEALTHY = "instance_id:tallyman_container_health:unhealthy"
OOM_KILLS = "instance_id:container_oom_events:increase5m"
RESTARTS = "instance_id:tallyman_container_restarts:increase5m"
TURNS = "instance_id:tallyman_container_style_changes:increase5m"
MISMATCH = "instance_id:tallyman_container_mismatch:confidence"
FINDING = "instance_id_finding:tallyman_container_finding:confidence"
ENDED = "instance_id:tallyman_container_finished_seconds:stopped"
EXIT_CODE = "instance_id:tallyman_container_exit_code:stopped"
LIVED = "instance_id:tallyman_container_lived_seconds:stopped"
OOM_KILLED = "instance_id:tallyman_container_oom_killed:stopped"

SERVICES = "instance_id:tallyman_container_services:system"
PROCESSES = "instance_id:container_processes:system"
SESSIONS = "instance_id:tallyman_container_sessions:system"
LOAD = "instance_id:tallyman_openvz_load5_cpus:ratio"
SWAP_SHARE = "instance_id:tallyman_openvz_swap_limit:ratio"
INODES_SHARE = "instance_id:tallyman_openvz_disk_inodes_limit:ratio"
OF_LIMIT = "instance_id_resource:tallyman_openvz_beancounter_limit:ratio"
OF_BARRIER = "instance_id_resource:tallyman_openvz_beancounter_barrier:ratio"
REFUSED = "instance_id_resource:tallyman_openvz_beancounter_failures:increase5m"
"""Of system-style containers, or of OpenVZ's alone."""

IMAGE_BUILT = "instance_engine_style_image:tallyman_container_image_created_seconds:max"
IMAGE_SIZE = "instance_engine_style_image:tallyman_container_image_size_bytes:max"
IMAGE_CONTAINERS = "instance_engine_style_image:tallyman_container_info:count"


def recorded(rule: str, style: str = "$style", more: str = "") -> str:
    """Select a recorded series of the chosen containers."""
    matchers = f'engine=~"$engine",style=~"{style}",name=~"$container"'
    return host(rule, matchers + (f",{more}" if more else ""))


def happened(rule: str, style: str = "$style", more: str = "") -> str:
    """Return how often something happened within the time shown; what has not is absent.

    Recorded is the last five minutes, and a subquery looks at each full five minutes. What
    happened since the last of them is shown for containers with nothing before it.
    """
    series = recorded(rule, style, more)
    return f"(sum_over_time({series}[$__range:5m]) or {series})"


def by_row(rule: str, style: str = "$style", more: str = "") -> str:
    """Return a recorded series as a column of a table with a row for each container."""
    return total(WHO, recorded(rule, style, more))


def top_rows(expression: str) -> str:
    """Return the column that a table is ranked by."""
    return f"topk($rows, {expression})"


def beside(expression: str, ranked: str, on: str = ID) -> str:
    """Return another column of a table that has the rows of ``top_rows(ranked)``."""
    return f"{expression} and on ({on}) {top_rows(ranked)}"


def row_beside(series: str, ranked: str) -> str:
    """Return another column of a table with a row for each container: of the ranked ones only.

    Both are series as recorded: only the few that are shown are summed up by what a row has.
    """
    return total(WHO, beside(series, ranked))


def leading(rule: str, style: str = "$style") -> str:
    """Return lines of those containers where it was largest, and for longest, over the range."""
    series = recorded(rule, style)
    over_range = total(NAMED, f"sum_over_time({series}{END})")
    return f"{total(NAMED, series)} and on ({ID}) topk($top, {over_range})"


def closest(rule: str, style: str = "$style", labels: str = NAMED, on: str = ID) -> str:
    """Return lines of those containers where it is largest at the end of the range."""
    series = recorded(rule, style)
    at_end = total(labels, f"{series} @ end()")
    return f"{total(labels, series)} and on ({on}) topk($top, {at_end})"
