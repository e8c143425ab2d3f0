"""System-style: containers that are small servers. They live long, so each has a line by name."""

from __future__ import annotations

from dashboards import variables
from dashboards.layout import Annotation, Board, Line, Row
from dashboards.links import series_to_container
from dashboards.look import ORANGE, PURPLE, RED, Uid
from dashboards.panels import BAD_IF_ANY, SHARE, WATCH_IF_ANY, Figure, figures, graph, query, states
from dashboards.promql import (
    END,
    ID,
    NAMED,
    RATE,
    WHO,
    at_end,
    host,
    increase,
    info,
    rate,
    recorded,
    top,
    total,
    who,
)
from dashboards.tables import Column, Key, container_keys, rows

_SYSTEM = "system"
_NAME = "{{name}}"
_ZERO = " or vector(0)"
_RUNNING = 'state="running"'
_RATIO = "instance_id:container_memory_working_set_limit:ratio"
_CPU = "instance_id:container_cpu_usage_seconds:rate5m"
_THROTTLED = "instance_id:container_cpu_throttled_periods:ratio_rate5m"
_CALCS = ("mean", "max")
_UPTIME = f"time() - {host('container_start_time_seconds')}"
_DISK = (
    f"({host('tallyman_openvz_disk_used_bytes')} / {host('tallyman_openvz_disk_hard_limit_bytes')})"
    f" or on ({ID}) (sum by ({ID}) ({host('container_fs_usage_bytes')})"
    f" / sum by ({ID}) ({host('container_fs_limit_bytes')} > 0))"
)
_INODES = (
    f"{host('tallyman_openvz_disk_inodes_used')} / {host('tallyman_openvz_disk_inodes_hard_limit')}"
)
_SWAP = (
    f"({host('tallyman_openvz_swap_used_bytes')} / "
    f"({host('tallyman_openvz_swap_limit_bytes')} > 0))"
)


def _mine(expression: str) -> str:
    return f"({expression}) * on ({ID}) group_left () {info(_SYSTEM)}"


def _named(expression: str) -> str:
    return total(NAMED, who(expression, _SYSTEM, "name"))


def _rows(expression: str) -> str:
    return total(WHO, who(expression, _SYSTEM))


def _top(expression: str, over_range: str) -> str:
    return top(_named(expression), total(ID, who(over_range, _SYSTEM, "name")))


def _top_gauge(gauge: str) -> str:
    return _top(gauge, f"sum_over_time({gauge}{END})")


def _top_rate(*counters: str) -> str:
    def together(window: str) -> str:
        return " + ".join(rate(counter, window=window) for counter in counters)

    return _top(together(RATE), together(END))


def _top_share(share: str) -> str:
    """Draw a share of a limit, of those where it is largest at the end of the range."""
    return f"{_named(share)} and on ({ID}) topk($top, {at_end(_named(share))})"


_OVERVIEW = Line(
    4,
    (
        (
            8,
            figures(
                "System-style containers",
                "Those that run now, people who are logged into them, and those that were booted "
                "within the time shown.",
                Figure(
                    name="running",
                    expr=f"count({_mine(host('tallyman_container_state', _RUNNING))}){_ZERO}",
                    colour=PURPLE,
                ),
                Figure(
                    name="people",
                    expr=f"sum({_mine(host('tallyman_container_sessions'))}){_ZERO}",
                ),
                Figure(name="booted", expr=f"count({_mine(f'{_UPTIME} < $__range_s')}){_ZERO}"),
            ),
        ),
        (
            8,
            figures(
                "Near a limit",
                "Above 90 % of the memory limit, of the disk quota, of the inode quota.",
                Figure(
                    name="memory",
                    expr=f"count({recorded(_RATIO, _SYSTEM)} > 0.9){_ZERO}",
                    steps=BAD_IF_ANY,
                ),
                Figure(name="disk", expr=f"count({_mine(_DISK)} > 0.9){_ZERO}", steps=BAD_IF_ANY),
                Figure(
                    name="inodes", expr=f"count({_mine(_INODES)} > 0.9){_ZERO}", steps=BAD_IF_ANY
                ),
            ),
        ),
        (
            8,
            figures(
                "Refused and killed",
                "Over the time shown: what beancounters refused (failcnt), processes killed for "
                "want of memory. Throttled: kept from the CPU in more than a quarter of the "
                "periods now.",
                Figure(
                    name="refused",
                    expr="sum("
                    f"{_mine(increase('tallyman_openvz_beancounter_failures_total'))}){_ZERO}",
                    steps=BAD_IF_ANY,
                ),
                Figure(
                    name="OOM kills",
                    expr=f"sum({_mine(increase('container_oom_events_total'))}){_ZERO}",
                    steps=BAD_IF_ANY,
                ),
                Figure(
                    name="throttled",
                    expr=f"count({recorded(_THROTTLED, _SYSTEM)} > 0.25){_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
            ),
        ),
    ),
)

_SERVERS = Line(
    13,
    (
        (
            24,
            rows(
                "Servers",
                "One row each; a name leads to its container. Load is known of OpenVZ alone; a "
                "share is missing where there is no limit.",
                container_keys("style"),
                (
                    Column(
                        title="Up for",
                        expr=_rows(_UPTIME),
                        unit="s",
                        decimals=1,
                        width=90,
                    ),
                    Column(
                        title="Services", expr=_rows(host("tallyman_container_services")), width=85
                    ),
                    Column(
                        title="CPU",
                        expr=total(WHO, recorded(_CPU, _SYSTEM)),
                        unit="cores",
                        decimals=2,
                        width=90,
                    ),
                    Column(
                        title="Load",
                        expr=_rows(host("tallyman_openvz_load1")),
                        decimals=2,
                        width=65,
                    ),
                    Column(
                        title="Memory",
                        expr=total(WHO, recorded(_RATIO, _SYSTEM)),
                        unit="percentunit",
                        decimals=0,
                        gauge=True,
                        high=1,
                        steps=SHARE,
                        width=112,
                    ),
                    Column(
                        title="Disk",
                        expr=_rows(_DISK),
                        unit="percentunit",
                        decimals=0,
                        gauge=True,
                        high=1,
                        steps=SHARE,
                        width=112,
                    ),
                ),
                sort="Memory",
                empty="no system-style container runs",
            ),
        ),
    ),
)

_MEMORY = Row(
    "Memory and swap",
    (
        Line(
            9,
            (
                (
                    8,
                    graph(
                        "Memory by server",
                        "Working sets, of those that had most over the time shown.",
                        query(_top_gauge(host("container_memory_working_set_bytes")), _NAME),
                        unit="bytes",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no system-style container runs",
                    ),
                ),
                (
                    8,
                    graph(
                        "Memory against limit by server",
                        "Working set against the limit, of those that are closest to it. Servers "
                        "without a limit are not here.",
                        query(
                            f"sum by ({NAMED}) ({recorded(_RATIO, _SYSTEM)}) and on ({ID}) "
                            f"topk($top, {at_end(recorded(_RATIO, _SYSTEM))})",
                            _NAME,
                        ),
                        unit="percentunit",
                        high=1,
                        steps=((None, "transparent"), (0.9, RED)),
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no server has a memory limit",
                    ),
                ),
                (
                    8,
                    graph(
                        "Swap against limit by server",
                        "Of OpenVZ, which alone says both.",
                        query(_top_share(_SWAP), _NAME),
                        unit="percentunit",
                        high=1,
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no server says its swap",
                    ),
                ),
            ),
        ),
    ),
)

_WORK = Row(
    "CPU, load and people",
    (
        Line(
            9,
            (
                (
                    8,
                    graph(
                        "CPU by server",
                        "Of the busiest over the time shown.",
                        query(_top_rate("container_cpu_usage_seconds_total"), _NAME),
                        unit="cores",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no system-style container runs",
                    ),
                ),
                (
                    8,
                    graph(
                        "Load by CPU",
                        "Load over five minutes for each CPU that the server sees: above 1 work "
                        "waits. OpenVZ alone.",
                        query(
                            _top_share(
                                f"({host('tallyman_openvz_load5')} / "
                                f"({host('tallyman_openvz_cpus')} > 0))"
                            ),
                            _NAME,
                        ),
                        decimals=2,
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no server says its load",
                    ),
                ),
                (
                    8,
                    graph(
                        "People logged in",
                        "Sessions of people, by server.",
                        query(f"{_named(host('tallyman_container_sessions'))} > 0", _NAME),
                        decimals=0,
                        stacked=True,
                        link=series_to_container(),
                        empty="nobody was logged in",
                    ),
                ),
            ),
        ),
        Line(
            9,
            (
                (
                    8,
                    states(
                        "Running",
                        "When each ran; gaps are stops, or times without data.",
                        query(_named(host("tallyman_container_state", _RUNNING)), _NAME),
                        values={"1": ("running", PURPLE)},
                        empty="no system-style container ran",
                    ),
                ),
                (
                    8,
                    graph(
                        "Processes by server",
                        "Processes, of those that had most over the time shown.",
                        query(_top_gauge(host("container_processes")), _NAME),
                        decimals=0,
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no system-style container runs",
                    ),
                ),
                (
                    8,
                    graph(
                        "Network by server",
                        "Bytes received and sent on its own interfaces.",
                        query(
                            _top_rate(
                                "container_network_receive_bytes_total",
                                "container_network_transmit_bytes_total",
                            ),
                            _NAME,
                        ),
                        unit="Bps",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no server has a network of its own",
                    ),
                ),
            ),
        ),
    ),
)

_HELD = (
    f"{host('tallyman_openvz_beancounter_held')} / "
    f"({host('tallyman_openvz_beancounter_limit')} > 0)"
)
_BY_RESOURCE = f"{NAMED}, resource"
_OPENVZ = Row(
    "Quotas and beancounters",
    (
        Line(
            9,
            (
                (
                    8,
                    graph(
                        "Disk against quota",
                        "Space in use against the hard quota or the size of its disk.",
                        query(_top_share(f"({_DISK})"), _NAME),
                        unit="percentunit",
                        high=1,
                        steps=((None, "transparent"), (0.9, RED)),
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no server has a disk quota",
                    ),
                ),
                (
                    8,
                    graph(
                        "Inodes against quota",
                        "Inodes in use against the hard quota. OpenVZ alone.",
                        query(_top_share(f"({_INODES})"), _NAME),
                        unit="percentunit",
                        high=1,
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no server has an inode quota",
                    ),
                ),
                (
                    8,
                    graph(
                        "Disk reads and writes by server",
                        "Bytes read and written on block devices.",
                        query(
                            _top_rate(
                                "container_fs_reads_bytes_total", "container_fs_writes_bytes_total"
                            ),
                            _NAME,
                        ),
                        unit="Bps",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no server read or wrote",
                    ),
                ),
            ),
        ),
        Line(
            9,
            (
                (
                    10,
                    graph(
                        "Refused by beancounters",
                        "How often a server was refused more of a resource (failcnt), within each "
                        "step.",
                        query(
                            total(
                                _BY_RESOURCE,
                                who(
                                    increase(
                                        "tallyman_openvz_beancounter_failures_total", "", RATE
                                    ),
                                    _SYSTEM,
                                    "name",
                                ),
                            )
                            + " > 0",
                            "{{name}} {{resource}}",
                        ),
                        bars=True,
                        stacked=True,
                        link=series_to_container(),
                        empty="nothing was refused",
                    ),
                ),
                (
                    14,
                    rows(
                        "Beancounters closest to their limit",
                        "Held now, against the limit; unlimited ones are not here.",
                        (
                            *container_keys("style")[:2],
                            Key(label="resource", title="Resource", width=120),
                            Key(label="job"),
                            Key(label="id"),
                        ),
                        (
                            Column(
                                title="Of limit",
                                expr=f"topk($top, "
                                f"{total(_BY_RESOURCE, who(_HELD, _SYSTEM, 'name'))})",
                                unit="percentunit",
                                decimals=0,
                                gauge=True,
                                high=1,
                                steps=SHARE,
                            ),
                        ),
                        sort="Of limit",
                        empty="no server has beancounters",
                    ),
                ),
            ),
        ),
    ),
)

BOARD = Board(
    uid=Uid.SYSTEM,
    title="System-style",
    about="Containers that are small servers: uptime, load, services, people, memory and swap "
    "against their limits, beancounters and disk quotas.",
    variables=(
        variables.datasource(),
        variables.job(),
        variables.instances(),
        variables.engine(_SYSTEM),
        variables.containers(_SYSTEM),
        variables.busiest(),
    ),
    rows=(Row("", (_OVERVIEW, _SERVERS)), _MEMORY, _WORK, _OPENVZ),
    annotations=(
        Annotation(
            name="Booted",
            expr=f"{host('container_start_time_seconds')} * on ({ID}) group_left () "
            f"{info(_SYSTEM)} * 1000",
            text="{{name}} on {{instance}}",
            colour=PURPLE,
            value_is_time=True,
        ),
        Annotation(
            name="Verdict turned",
            expr=f"{_mine(increase('tallyman_container_style_changes_total', '', '[5m]'))} > 0",
            text="{{id}} on {{instance}}",
            colour=ORANGE,
        ),
    ),
)
