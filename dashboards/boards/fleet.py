"""Fleet: all hosts on one screen. Reads recording rules, so that a large fleet stays cheap."""

from __future__ import annotations

from dashboards import variables
from dashboards.layout import Annotation, Board, Line, Row
from dashboards.links import drill, series_to_container, series_to_host, to_container, to_host
from dashboards.look import BLUE, GREY, ORANGE, PURPLE, RED, STYLE_COLOURS, Uid
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
from dashboards.promql import ID, NAMED, WHO, host, increase, info, kind, recorded, total
from dashboards.tables import Column, Key, container_keys, rows

_HOST = "job, instance"
_RUNNING = "instance_engine_style:tallyman_host_containers:running"
_RATIO = "instance_id:container_memory_working_set_limit:ratio"
_CPU = "instance_id:container_cpu_usage_seconds:rate5m"
_MEMORY = "instance_id:container_memory_working_set_bytes:sum"
_THROTTLED = "instance_id:container_cpu_throttled_periods:ratio_rate5m"
_FINDINGS = "instance_engine_style_finding:tallyman_container_finding:sum"
_ZERO = " or vector(0)"
"""Only for counts of what should not be: there, no series is good news."""
_OUTSIDE = 'style="none"'


def _style_count(style: str) -> str:
    matcher = f'style="{style}"'
    return f"sum({kind(_RUNNING, matcher)}){_ZERO}"


def _of_host(expression: str) -> str:
    return total(_HOST, expression)


_OVERVIEW = Line(
    4,
    (
        (
            6,
            figures(
                "Hosts",
                "Hosts whose agent answers, and hosts whose agent Prometheus could not scrape: "
                "those are missing from every other number here.",
                Figure(name="up", expr=f"count({host('up')} == 1){_ZERO}"),
                Figure(
                    name="down",
                    expr=f"count({host('up')} == 0){_ZERO}",
                    steps=BAD_IF_ANY,
                    link=drill(Uid.AGENT, "The agents"),
                ),
            ),
        ),
        (
            9,
            figures(
                "Running containers",
                "App-style exist to run one application, system-style are small servers; unknown "
                "are those of which too little could be seen for a verdict.",
                Figure(
                    name="app-style",
                    expr=_style_count("app"),
                    colour=BLUE,
                    over_time=True,
                    link=drill(Uid.APP, "App-style containers"),
                ),
                Figure(
                    name="system-style",
                    expr=_style_count("system"),
                    colour=PURPLE,
                    over_time=True,
                    link=drill(Uid.SYSTEM, "System-style containers"),
                ),
                Figure(name="unknown", expr=_style_count("unknown"), colour=GREY, over_time=True),
            ),
        ),
        (
            9,
            figures(
                "To look at",
                "Mismatches: the verdict is sure and differs from what the engine is made for. "
                "OOM kills: of the time shown. Failing collectors: what they see is missing or "
                "old.",
                Figure(
                    name="mismatches",
                    expr="sum("
                    f"{kind('instance_engine_style:tallyman_container_mismatch:sum')}){_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
                Figure(
                    name="OOM kills",
                    expr=f"sum({increase('container_oom_events_total')} * on ({ID}) group_left () "
                    f"{info()}){_ZERO}",
                    steps=BAD_IF_ANY,
                ),
                Figure(
                    name="failing collectors",
                    expr=f"count({host('tallyman_collector_success')} == 0){_ZERO}",
                    steps=BAD_IF_ANY,
                    link=drill(Uid.AGENT, "The agents"),
                ),
            ),
        ),
    ),
)

_STYLES = Line(
    8,
    (
        (
            8,
            graph(
                "Running containers by style",
                "Without infra containers, which hold a pod's namespaces.",
                query(total("style", kind(_RUNNING)), "{{style}}"),
                stacked=True,
                colours=STYLE_COLOURS,
                decimals=0,
                empty="no recording rules, or no containers",
            ),
        ),
        (
            8,
            graph(
                "CPU by style",
                "CPUs kept busy. Style none is what runs in no container.",
                query(total("style", kind("tallyman_host_cores")), "{{style}}"),
                query(f"sum({host('tallyman_host_cores', _OUTSIDE)})", "none"),
                unit="cores",
                stacked=True,
                colours=STYLE_COLOURS,
            ),
        ),
        (
            8,
            graph(
                "Memory by style",
                "Working sets. Style none is what runs in no container.",
                query(total("style", kind("tallyman_host_memory_bytes")), "{{style}}"),
                query(f"sum({host('tallyman_host_memory_bytes', _OUTSIDE)})", "none"),
                unit="bytes",
                stacked=True,
                colours=STYLE_COLOURS,
            ),
        ),
    ),
)

_DENSITY = Line(
    7,
    (
        (
            24,
            rows(
                "Hosts and their density",
                "What each host runs, how full it is, and how much of its memory and CPU is "
                "promised to containers by their limits. More than 100 % is over-committed; "
                "containers without a limit are not in the sum.",
                (Key(label="instance", title="Host", link=to_host()), Key(label="job")),
                (
                    Column(
                        title="App",
                        expr=_of_host(kind(_RUNNING, 'style="app"')),
                        decimals=0,
                        width=70,
                    ),
                    Column(
                        title="System",
                        expr=_of_host(kind(_RUNNING, 'style="system"')),
                        decimals=0,
                        width=85,
                    ),
                    Column(
                        title="CPU used",
                        expr=f"{_of_host(host('tallyman_host_cores'))} / "
                        f"{_of_host(host('machine_cpu_cores'))}",
                        unit="percentunit",
                        decimals=0,
                        gauge=True,
                        high=1,
                        steps=SHARE,
                    ),
                    Column(
                        title="CPU promised",
                        expr=f"{_of_host(host('tallyman_host_limit_cores'))} / "
                        f"{_of_host(host('machine_cpu_cores'))}",
                        unit="percentunit",
                        decimals=0,
                        width=120,
                    ),
                    Column(
                        title="Memory used",
                        expr=f"{_of_host(host('tallyman_host_memory_bytes'))} / "
                        f"{_of_host(host('machine_memory_bytes'))}",
                        unit="percentunit",
                        decimals=0,
                        gauge=True,
                        high=1,
                        steps=SHARE,
                    ),
                    Column(
                        title="Memory promised",
                        expr=f"{_of_host(host('tallyman_host_limit_bytes'))} / "
                        f"{_of_host(host('machine_memory_bytes'))}",
                        unit="percentunit",
                        decimals=0,
                        steps=((None, "text"), (1, ORANGE)),
                        width=145,
                    ),
                    Column(
                        title="Mismatches",
                        expr=_of_host(
                            kind("instance_engine_style:tallyman_container_mismatch:sum")
                        ),
                        decimals=0,
                        steps=((None, "text"), (1, ORANGE)),
                        width=110,
                    ),
                ),
                sort="Memory used",
                empty="no hosts",
            ),
        ),
    ),
)

_KINDS = Line(
    9,
    (
        (
            8,
            bars(
                "Running containers by engine and style",
                "The engine does not tell which kind it is: that is why both are here.",
                now(
                    f"sort_desc({total('engine, style', kind(_RUNNING))})", "{{engine}} · {{style}}"
                ),
                colours={f"/ {style}$/": colour for style, colour in STYLE_COLOURS.items()},
                decimals=0,
                empty="no containers",
            ),
        ),
        (
            8,
            bars(
                "Findings",
                "Practices that the model warns of, and how many containers have each. "
                "What each means, and what to do: docs, or tallyman explain NAME.",
                now(f"sort_desc({total('finding', kind(_FINDINGS))})", "{{finding}}"),
                colour=ORANGE,
                decimals=0,
                empty="no findings",
            ),
        ),
        (
            8,
            graph(
                "Started, restarted, killed",
                "Containers that were started within 5 minutes, restarts by their engine and OOM "
                "kills: churn is normal for app-style, and rare for system-style.",
                query(
                    total("style", kind("instance_engine_style:tallyman_container_starts:count5m")),
                    "started, {{style}}",
                ),
                query(
                    f"sum({kind('instance_engine_style:tallyman_container_restarts:increase5m')})",
                    "restarted",
                ),
                query(
                    f"sum({kind('instance_engine_style:container_oom_events:increase5m')})",
                    "OOM kills",
                ),
                colours={
                    "started, app": BLUE,
                    "started, system": PURPLE,
                    "started, unknown": GREY,
                    "restarted": ORANGE,
                    "OOM kills": RED,
                },
                decimals=0,
                empty="nothing happened",
            ),
        ),
    ),
)

_ATTENTION = Line(
    8,
    (
        (
            9,
            bars(
                "Closest to their memory limit",
                "Working set against the limit. Containers without a limit are not here. Click a "
                "bar for its container.",
                now(
                    f"sort_desc(topk($top, sum by ({NAMED}) ({recorded(_RATIO)})))",
                    "{{name}}",
                ),
                unit="percentunit",
                decimals=0,
                high=1,
                steps=SHARE,
                link=series_to_container(),
                empty="no container has a memory limit",
            ),
        ),
        (
            15,
            rows(
                "Verdict differs from the engine",
                "The style is what the container does, the expected one what its engine is made "
                "for.",
                (
                    Key(label="name", title="Container", link=to_container()),
                    Key(label="instance", title="Host", link=to_host(), width=140),
                    Key(label="engine", title="Engine", width=90),
                    Key(label="style", title="Style", width=80),
                    Key(label="expected_style", title="Expected", width=90),
                    Key(label="job"),
                    Key(label="id"),
                ),
                (
                    Column(
                        title="Confidence",
                        expr=total(
                            f"{WHO}, expected_style",
                            f"({host('tallyman_container_style_confidence')} and on ({ID}) "
                            f"({host('tallyman_container_mismatch')} == 1))"
                            f" * on ({ID}) group_left (name, engine, style, expected_style) "
                            f"{info()}",
                        ),
                        unit="percentunit",
                        decimals=0,
                        width=105,
                    ),
                ),
                sort="Confidence",
                empty="every verdict is what its engine is made for",
            ),
        ),
    ),
)

_INVENTORY = Row(
    "Inventory",
    (
        Line(
            12,
            (
                (
                    24,
                    rows(
                        "Busiest containers",
                        "The containers that use most CPU now. Choose how many above.",
                        container_keys(),
                        (
                            Column(
                                title="CPU",
                                expr=f"topk($top, {total(WHO, recorded(_CPU))})",
                                unit="cores",
                                decimals=2,
                                gauge=True,
                                steps=((None, BLUE),),
                            ),
                            Column(
                                title="Memory",
                                expr=f"{total(WHO, recorded(_MEMORY))} and on ({ID}) "
                                f"topk($top, {recorded(_CPU)})",
                                unit="bytes",
                                width=110,
                            ),
                            Column(
                                title="Of limit",
                                expr=f"{total(WHO, recorded(_RATIO))} and on ({ID}) "
                                f"topk($top, {recorded(_CPU)})",
                                unit="percentunit",
                                decimals=0,
                                steps=SHARE,
                                width=90,
                            ),
                            Column(
                                title="Throttled",
                                expr=f"{total(WHO, recorded(_THROTTLED))} and on ({ID}) "
                                f"topk($top, {recorded(_CPU)})",
                                unit="percentunit",
                                decimals=0,
                                steps=((None, "text"), (0.25, ORANGE)),
                                width=100,
                            ),
                        ),
                        sort="CPU",
                        empty="no recording rules, or no containers",
                    ),
                ),
            ),
        ),
    ),
)

_BY_HOST = Row(
    "Use by host",
    (
        Line(
            8,
            (
                (
                    8,
                    graph(
                        "CPU by host",
                        "Share of the host's CPUs that is busy, in containers or not.",
                        query(
                            f"{_of_host(host('tallyman_host_cores'))} / "
                            f"{_of_host(host('machine_cpu_cores'))}",
                            "{{instance}}",
                        ),
                        unit="percentunit",
                        high=1,
                        link=series_to_host(),
                    ),
                ),
                (
                    8,
                    graph(
                        "Network by style",
                        "Received and sent, of containers that have a network of their own.",
                        query(
                            total(
                                "style",
                                kind("instance_engine_style:container_network_bytes:rate5m"),
                            ),
                            "{{style}}",
                        ),
                        unit="Bps",
                        stacked=True,
                        colours=STYLE_COLOURS,
                    ),
                ),
                (
                    8,
                    graph(
                        "Disk by style",
                        "Read and written on block devices.",
                        query(
                            total("style", kind("instance_engine_style:container_fs_bytes:rate5m")),
                            "{{style}}",
                        ),
                        unit="Bps",
                        stacked=True,
                        colours=STYLE_COLOURS,
                    ),
                ),
            ),
        ),
    ),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.FLEET,
    title="Fleet",
    about="All hosts: app-style against system-style, density, mismatches, findings, and what is "
    "failing. Needs the recording rules of deploy/prometheus/rules.yml.",
    variables=(
        variables.datasource(),
        variables.job(),
        variables.instances(),
        variables.engine(),
        variables.style(),
        variables.containers(),
        variables.busiest(),
    ),
    rows=(
        Row("", (_OVERVIEW, _STYLES, _DENSITY, _KINDS, _ATTENTION)),
        _INVENTORY,
        _BY_HOST,
    ),
    annotations=(
        Annotation(
            name="OOM kill",
            expr=f"increase({host('container_oom_events_total')}[2m]) * on ({ID}) "
            f"group_left (name) {info()} > 0",
            text="{{name}} on {{instance}}",
            colour=RED,
        ),
        Annotation(
            name="Agent version",
            expr=f"changes({host('process_start_time_seconds')}[5m]) > 0",
            text="{{instance}}",
            colour=GREY,
        ),
    ),
)
