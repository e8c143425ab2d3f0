"""Host: one machine, what it promised to whom, and who uses it."""

from __future__ import annotations

from dashboards import variables
from dashboards.layout import Annotation, Board, Line, Row
from dashboards.links import drill, series_to_container
from dashboards.look import BLUE, GREY, ORANGE, PURPLE, RED, SAND, STYLE_COLOURS, Uid
from dashboards.panels import (
    BAD_IF_ANY,
    SHARE,
    WATCH_IF_ANY,
    Figure,
    bars,
    figures,
    graph,
    now,
    query,
)
from dashboards.promql import (
    ID,
    WHO,
    busiest,
    host,
    increase,
    info,
    kind,
    largest,
    memory_share,
    rate,
    total,
    who,
)
from dashboards.tables import Column, Key, container_keys, rows

_OUTSIDE = 'style="none"'
_CORES = f"sum({host('machine_cpu_cores')})"
_MEMORY = f"sum({host('machine_memory_bytes')})"
_MEMORY_OF = kind("tallyman_host_memory_bytes")
_OVER = ((None, "text"), (1, ORANGE))
"""More promised than there is: worth a look, not an alarm."""
_USED_COLOURS = {**STYLE_COLOURS, "there is": RED}


def _running(style: str) -> str:
    matchers = f'style="{style}",state="running",engine=~"$engine"'
    return f"sum({host('tallyman_host_containers', matchers)}) or vector(0)"


_FACTS = Line(
    4,
    (
        (
            8,
            rows(
                "Host and kernel",
                "What the agent says of the host.",
                (
                    Key(label="nodename", title="Name"),
                    Key(label="kernel", title="Kernel"),
                    Key(label="cgroup_mode", title="Cgroups", width=90),
                    Key(label="virtualization", title="Runs on", width=90),
                ),
                (
                    Column(
                        title="CPUs",
                        expr=f"sum by (nodename, kernel, cgroup_mode, virtualization) "
                        f"({host('tallyman_host_info')} * on (job, instance) group_left () "
                        f"sum by (job, instance) ({host('machine_cpu_cores')}))",
                        width=70,
                    ),
                ),
                empty="the agent does not say",
            ),
        ),
        (
            8,
            figures(
                "Running containers",
                "App-style exist to run one application, system-style are small servers; unknown "
                "are those of which too little could be seen for a verdict.",
                Figure(
                    name="app-style",
                    expr=_running("app"),
                    colour=BLUE,
                    over_time=True,
                    link=drill(Uid.APP, "Its app-style containers", instance="instance"),
                ),
                Figure(
                    name="system-style",
                    expr=_running("system"),
                    colour=PURPLE,
                    over_time=True,
                    link=drill(Uid.SYSTEM, "Its system-style containers", instance="instance"),
                ),
                Figure(name="unknown", expr=_running("unknown"), colour=GREY, over_time=True),
            ),
        ),
        (
            8,
            figures(
                "To look at",
                "Mismatches: the verdict is sure and differs from what the engine is made for. "
                "OOM kills: of the time shown. Failing collectors: what they see is missing or "
                "old.",
                Figure(
                    name="mismatches",
                    expr=f"sum({host('tallyman_container_mismatch')})",
                    steps=WATCH_IF_ANY,
                ),
                Figure(
                    name="OOM kills",
                    expr=f"sum({increase('container_oom_events_total')}) or vector(0)",
                    steps=BAD_IF_ANY,
                ),
                Figure(
                    name="failing collectors",
                    expr=f"count({host('tallyman_collector_success')} == 0) or vector(0)",
                    steps=BAD_IF_ANY,
                    link=drill(Uid.AGENT, "The agent", instance="instance"),
                ),
            ),
        ),
    ),
)

_SHARES = Line(
    4,
    (
        (
            6,
            figures(
                "Used",
                "Share of the host's CPUs and memory in use, in containers or not.",
                Figure(
                    name="CPU",
                    expr=f"sum({host('tallyman_host_cores')}) / {_CORES}",
                    steps=SHARE,
                    over_time=True,
                ),
                Figure(
                    name="memory",
                    expr=f"sum({host('tallyman_host_memory_bytes')}) / {_MEMORY}",
                    steps=SHARE,
                    over_time=True,
                ),
                unit="percentunit",
            ),
        ),
        (
            6,
            figures(
                "Promised",
                "Sum of the limits against what there is. More than 100 %: not all can have what "
                "they were promised. Containers without a limit are not in it.",
                Figure(
                    name="CPU",
                    expr=f"sum({host('tallyman_host_limit_cores')}) / {_CORES}",
                ),
                Figure(
                    name="memory",
                    expr=f"sum({host('tallyman_host_limit_bytes')}) / {_MEMORY}",
                    steps=_OVER,
                ),
                unit="percentunit",
                empty="no limits",
            ),
        ),
        (
            6,
            figures(
                "Without a limit",
                "Running containers that may take all of the host's CPU, or memory.",
                *(
                    Figure(
                        name=name,
                        expr=f"sum({host('tallyman_host_unlimited_containers', matcher)})"
                        " or vector(0)",
                    )
                    for name, matcher in (
                        ("CPU", 'resource="cpu"'),
                        ("memory", 'resource="memory"'),
                    )
                ),
            ),
        ),
        (
            6,
            figures(
                "In no container",
                "Share of the CPU in use, and of the memory in use, that belongs to no container.",
                *(
                    Figure(
                        name=name,
                        expr=f"sum({host(metric, _OUTSIDE)}) / sum({host(metric)})",
                        colour=SAND,
                    )
                    for name, metric in (
                        ("CPU", "tallyman_host_cores"),
                        ("memory", "tallyman_host_memory_bytes"),
                    )
                ),
                unit="percentunit",
            ),
        ),
    ),
)

_PROMISED = Row(
    "Promised and used",
    (
        Line(
            9,
            (
                (
                    12,
                    graph(
                        "CPU used, and what there is",
                        "CPUs kept busy by style; none is what runs in no container.",
                        query(total("style", host("tallyman_host_cores")), "{{style}}"),
                        query(_CORES, "there is"),
                        unit="cores",
                        stacked=True,
                        colours=_USED_COLOURS,
                        dashed=("there is",),
                    ),
                ),
                (
                    12,
                    graph(
                        "Memory used, and what there is",
                        "Working sets by style; none is what runs in no container.",
                        query(total("style", host("tallyman_host_memory_bytes")), "{{style}}"),
                        query(_MEMORY, "there is"),
                        unit="bytes",
                        stacked=True,
                        colours=_USED_COLOURS,
                        dashed=("there is",),
                    ),
                ),
            ),
        ),
        Line(
            8,
            (
                (
                    8,
                    graph(
                        "Memory promised by style",
                        "Sums of the memory limits, against the memory that there is.",
                        query(total("style", host("tallyman_host_limit_bytes")), "{{style}}"),
                        query(_MEMORY, "there is"),
                        unit="bytes",
                        stacked=True,
                        colours=_USED_COLOURS,
                        dashed=("there is",),
                        empty="no container has a memory limit",
                    ),
                ),
                (
                    8,
                    bars(
                        "Memory by engine and style",
                        "Working sets of running containers.",
                        now(
                            f"sort_desc({total('engine, style', _MEMORY_OF)})",
                            "{{engine}} · {{style}}",
                        ),
                        unit="bytes",
                        colours={f"/ {s}$/": colour for s, colour in STYLE_COLOURS.items()},
                        empty="no containers",
                    ),
                ),
                (
                    8,
                    bars(
                        "Containers by engine, style and state",
                        "Stopped ones too, where the engine keeps them.",
                        now(
                            "sort_desc(sum by (engine, style, state) "
                            f"({kind('tallyman_host_containers')}))",
                            "{{engine}} · {{style}} · {{state}}",
                        ),
                        colours={f"/ {s} /": colour for s, colour in STYLE_COLOURS.items()},
                        decimals=0,
                        empty="no containers",
                    ),
                ),
            ),
        ),
    ),
)

_NETWORK = ("container_network_receive_bytes_total", "container_network_transmit_bytes_total")
_DISK = ("container_fs_reads_bytes_total", "container_fs_writes_bytes_total")
_CALCS = ("mean", "max")


_BUSIEST = Row(
    "Busiest containers",
    (
        Line(
            11,
            (
                (
                    12,
                    graph(
                        "CPU by container",
                        "Of the busiest over the time shown. Click a line for its container.",
                        query(busiest(("container_cpu_usage_seconds_total",)), "{{name}}"),
                        unit="cores",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no container runs",
                    ),
                ),
                (
                    12,
                    graph(
                        "Memory by container",
                        "Working sets of those that held most over the time shown.",
                        query(largest("container_memory_working_set_bytes"), "{{name}}"),
                        unit="bytes",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no container runs",
                    ),
                ),
            ),
        ),
        Line(
            11,
            (
                (
                    12,
                    graph(
                        "Disk by container",
                        "Bytes read and written on block devices.",
                        query(busiest(_DISK), "{{name}}"),
                        unit="Bps",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no container read or wrote",
                    ),
                ),
                (
                    12,
                    graph(
                        "Network by container",
                        "Bytes received and sent, of containers with a network of their own.",
                        query(busiest(_NETWORK), "{{name}}"),
                        unit="Bps",
                        legend=_CALCS,
                        link=series_to_container(),
                        empty="no container has a network of its own",
                    ),
                ),
            ),
        ),
    ),
)

_TABLE = Row(
    "Containers of this host",
    (
        Line(
            12,
            (
                (
                    24,
                    rows(
                        "All running containers",
                        "Filter and sort by the headings; a name leads to its container.",
                        container_keys("instance"),
                        (
                            Column(
                                title="CPU",
                                expr=total(WHO, who(rate("container_cpu_usage_seconds_total"))),
                                unit="cores",
                                decimals=2,
                                gauge=True,
                                steps=((None, BLUE),),
                            ),
                            Column(
                                title="Memory",
                                expr=total(WHO, who(host("container_memory_working_set_bytes"))),
                                unit="bytes",
                                gauge=True,
                                steps=((None, BLUE),),
                            ),
                            Column(
                                title="Of limit",
                                expr=memory_share(),
                                unit="percentunit",
                                decimals=0,
                                steps=SHARE,
                                width=90,
                            ),
                            Column(
                                title="Processes",
                                expr=total(WHO, who(host("container_processes"))),
                                width=100,
                            ),
                            Column(
                                title="Started",
                                expr=total(WHO, who(host("container_start_time_seconds")))
                                + " * 1000",
                                unit="dateTimeFromNow",
                                width=140,
                            ),
                        ),
                        sort="CPU",
                        empty="no container runs",
                    ),
                ),
            ),
        ),
    ),
)

_ROOT = 'id="/"'
_DEVICES = Row(
    "The machine: pressure, disks, network",
    (
        Line(
            8,
            (
                (
                    8,
                    graph(
                        "Pressure",
                        "Share of time in which some task waited for CPU, memory or I/O. "
                        "Kernels without PSI have none.",
                        *(
                            query(
                                rate(f"container_pressure_{what}_waiting_seconds_total", _ROOT),
                                what,
                            )
                            for what in ("cpu", "memory", "io")
                        ),
                        unit="percentunit",
                        empty="this kernel has no PSI",
                    ),
                ),
                (
                    8,
                    graph(
                        "Disks",
                        "Bytes read (below zero) and written, by device.",
                        query(
                            f"-{total('device', rate('container_fs_reads_bytes_total', _ROOT))}",
                            "{{device}} read",
                        ),
                        query(
                            total("device", rate("container_fs_writes_bytes_total", _ROOT)),
                            "{{device}} written",
                        ),
                        unit="Bps",
                        low=None,
                        empty="no block devices",
                    ),
                ),
                (
                    8,
                    graph(
                        "Network",
                        "Bytes received (below zero) and sent, by interface.",
                        query(
                            "-"
                            + total(
                                "interface", rate("container_network_receive_bytes_total", _ROOT)
                            ),
                            "{{interface}} received",
                        ),
                        query(
                            total(
                                "interface", rate("container_network_transmit_bytes_total", _ROOT)
                            ),
                            "{{interface}} sent",
                        ),
                        unit="Bps",
                        low=None,
                        empty="no interfaces",
                    ),
                ),
            ),
        ),
    ),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.HOST,
    title="Host",
    about="One host: its capacity, what it promised and what is used, by engine and style, and "
    "what runs in no container.",
    variables=(
        variables.datasource(),
        variables.job(),
        variables.instance(),
        variables.engine(),
        variables.style(),
        variables.containers(),
        variables.busiest(),
    ),
    rows=(Row("", (_FACTS, _SHARES)), _PROMISED, _BUSIEST, _TABLE, _DEVICES),
    annotations=(
        Annotation(
            name="Container started",
            expr=f"{host('container_start_time_seconds')} * on ({ID}) group_left (style) "
            f"{info()} * 1000",
            text="{{name}}",
            colour=BLUE,
            value_is_time=True,
        ),
        Annotation(
            name="OOM kill",
            expr=f"increase({host('container_oom_events_total')}[2m]) * on ({ID}) "
            f"group_left (style) {info()} > 0",
            text="{{name}}",
            colour=RED,
            on=True,
        ),
    ),
)
