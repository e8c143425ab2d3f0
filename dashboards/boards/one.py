"""One container: everything of it, with its verdict axis by axis, and its history."""

from __future__ import annotations

from dashboards import variables
from dashboards.layout import Annotation, Board, Line, Row
from dashboards.links import to_host
from dashboards.look import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, TEXT, Uid
from dashboards.panels import (
    BAD_IF_ANY,
    SHARE,
    WATCH_IF_ANY,
    Figure,
    Steps,
    bars,
    figures,
    graph,
    now,
    number,
    query,
    states,
)
from dashboards.promql import ID, host, increase, rate, total
from dashboards.tables import Column, Key, rows

_ME = 'id="$id"'
_LEAN: Steps = ((None, BLUE), (0, PURPLE))
"""Below zero it leans to app, above to system."""


def _mine(metric: str, more: str = "") -> str:
    return host(metric, f"{_ME},{more}" if more else _ME)


def _rate(metric: str, more: str = "") -> str:
    return rate(metric, f"{_ME},{more}" if more else _ME)


def _grown(metric: str) -> str:
    return increase(metric, _ME)


_LIMIT = f"{_mine('container_spec_memory_limit_bytes')} > 0"
_QUOTA = f"{_mine('container_spec_cpu_quota')} / {_mine('container_spec_cpu_period')}"
_IDENTITY = (
    "job, instance, id, name, engine, style, expected_style, image, hostname, network, oci_runtime"
)

_HELD_OF_LIMIT = (
    f"{_mine('tallyman_openvz_beancounter_held')} / "
    f"({_mine('tallyman_openvz_beancounter_limit')} > 0)"
)

_WHO = Line(
    4,
    (
        (
            24,
            rows(
                "Who it is",
                "What the engine and the kernel say of it. Expected is the style that its engine "
                "is made for.",
                (
                    Key(label="name", title="Name"),
                    Key(label="instance", title="Host", link=to_host(), width=150),
                    Key(label="engine", title="Engine", width=100),
                    Key(label="style", title="Style", width=80),
                    Key(label="expected_style", title="Expected", width=90),
                    Key(label="image", title="Image or template"),
                    Key(label="hostname"),
                    Key(label="network", title="Network", width=90),
                    Key(label="oci_runtime"),
                    Key(label="job"),
                    Key(label="id"),
                ),
                (
                    Column(
                        title="Confidence",
                        expr=f"sum by ({_IDENTITY}) ({_mine('tallyman_container_info')} "
                        f"* on ({ID}) group_left () "
                        f"{_mine('tallyman_container_style_confidence')})",
                        unit="percentunit",
                        decimals=0,
                        width=105,
                    ),
                ),
                empty="there is no such container now",
            ),
        ),
    ),
)

_NUMBERS = Line(
    4,
    (
        (
            4,
            number(
                "Up for",
                "Time since it was last started.",
                now(f"time() - {_mine('container_start_time_seconds')}"),
                unit="s",
                decimals=1,
                empty="not running",
            ),
        ),
        (
            7,
            figures(
                "Trouble",
                "Over the time shown: restarts by its engine, and processes that the kernel "
                "killed for want of memory. Exit code: how it ended, of a stopped one.",
                Figure(
                    name="restarts",
                    expr=_grown("tallyman_container_restarts_total"),
                    steps=WATCH_IF_ANY,
                ),
                Figure(
                    name="OOM kills",
                    expr=_grown("container_oom_events_total"),
                    steps=BAD_IF_ANY,
                ),
                Figure(name="exit code", expr=_mine("tallyman_container_exit_code")),
            ),
        ),
        (
            6,
            figures(
                "Against its limits",
                "Working set against the memory limit, and CPU against the quota; missing where "
                "there is no limit.",
                Figure(
                    name="memory",
                    expr=f"{_mine('container_memory_working_set_bytes')} / ({_LIMIT})",
                    steps=SHARE,
                ),
                Figure(
                    name="CPU",
                    expr=f"sum({_rate('container_cpu_usage_seconds_total')}) / sum({_QUOTA})",
                    steps=SHARE,
                ),
                unit="percentunit",
                empty="no limits",
            ),
        ),
        (
            7,
            states(
                "State and health",
                "State as its engine says, and its own health check where it has one.",
                query(_mine("tallyman_container_state"), "{{state}}"),
                query(f"{_mine('container_health_state')} + 2 > 1", "health"),
                values={"1": ("yes", BLUE), "3": ("healthy", GREEN), "2": ("not healthy", RED)},
                empty="there was no such container",
            ),
        ),
    ),
)

_VERDICT = Row(
    "The verdict, and why",
    (
        Line(
            9,
            (
                (
                    8,
                    bars(
                        "Axis by axis",
                        "From -1 (app, blue) to +1 (system, purple); only axes on which there is "
                        "evidence. tallyman explain NAME on the host gives each piece of it.",
                        now(f"sort({_mine('tallyman_container_axis_score')})", "{{axis}}"),
                        now(_mine("tallyman_container_style_score"), "all together"),
                        low=-1,
                        high=1,
                        steps=_LEAN,
                        decimals=2,
                        empty="no evidence: too little could be seen",
                    ),
                ),
                (
                    6,
                    figures(
                        "Judged from",
                        "What runs in it: unrelated services, users that run things, people "
                        "logged in, sockets that wait for connections.",
                        Figure(name="services", expr=_mine("tallyman_container_services")),
                        Figure(name="users", expr=_mine("tallyman_container_users")),
                        Figure(name="people", expr=_mine("tallyman_container_sessions")),
                        Figure(name="sockets", expr=_mine("tallyman_container_listening_sockets")),
                        empty="not seen",
                    ),
                ),
                (
                    10,
                    rows(
                        "Findings",
                        "Practices that the model warns of. tallyman explain NAME says what each "
                        "means and what to do.",
                        (Key(label="finding", title="Finding"),),
                        (
                            Column(
                                title="Of the time shown",
                                expr="sum by (finding) (count_over_time("
                                f"{_mine('tallyman_container_finding')}[$__range])) / "
                                "scalar(max(count_over_time("
                                f"{_mine('tallyman_container_style_confidence')}[$__range])))",
                                unit="percentunit",
                                decimals=0,
                                gauge=True,
                                high=1,
                                steps=((None, ORANGE),),
                                width=200,
                            ),
                        ),
                        empty="no findings",
                    ),
                ),
            ),
        ),
        Line(
            7,
            (
                (
                    12,
                    graph(
                        "Verdict over time",
                        "Score from -1 (app) to +1 (system), and how sure it is.",
                        query(_mine("tallyman_container_style_score"), "score"),
                        query(_mine("tallyman_container_style_confidence"), "confidence"),
                        low=-1,
                        high=1,
                        colours={"score": PURPLE, "confidence": GREY},
                        empty="no verdict",
                    ),
                ),
                (
                    12,
                    graph(
                        "People and services over time",
                        "Who was logged in, and how many unrelated services ran.",
                        query(_mine("tallyman_container_sessions"), "people"),
                        query(_mine("tallyman_container_services"), "services"),
                        decimals=0,
                        colours={"people": ORANGE, "services": PURPLE},
                        empty="not seen",
                    ),
                ),
            ),
        ),
    ),
)

_CPU = (
    graph(
        "CPU",
        "CPUs kept busy, in user mode and in the kernel, and its quota where it has one.",
        query(_rate("container_cpu_user_seconds_total"), "user"),
        query(_rate("container_cpu_system_seconds_total"), "kernel"),
        query(_QUOTA, "quota"),
        unit="cores",
        stacked=True,
        colours={"quota": RED},
        dashed=("quota",),
        empty="not running",
    ),
    graph(
        "Throttled",
        "Share of periods in which it was kept from the CPU by its quota.",
        query(
            f"{_rate('container_cpu_cfs_throttled_periods_total')} / "
            f"{_rate('container_cpu_cfs_periods_total')}",
            "throttled",
        ),
        unit="percentunit",
        high=1,
        colours={"throttled": ORANGE},
        empty="it has no CPU quota",
    ),
    graph(
        "Pressure on it",
        "Share of time in which some of its tasks waited for CPU, memory or I/O.",
        *(
            query(_rate(f"container_pressure_{what}_waiting_seconds_total"), what)
            for what in ("cpu", "memory", "io")
        ),
        unit="percentunit",
        empty="this kernel has no PSI for it",
    ),
)
_MEMORY = (
    graph(
        "Memory",
        "Anonymous memory, page cache and the working set, which the kernel cannot give back "
        "easily; and the limit.",
        query(_mine("container_memory_working_set_bytes"), "working set"),
        query(_mine("container_memory_rss"), "anonymous"),
        query(_mine("container_memory_cache"), "page cache"),
        query(_mine("container_memory_swap"), "swap"),
        query(_LIMIT, "limit"),
        unit="bytes",
        colours={"limit": RED},
        dashed=("limit",),
        empty="not running",
    ),
    graph(
        "Page faults",
        "Faults a second; major ones had to read from disk.",
        query(_rate("container_memory_failures_total", 'failure_type="pgfault"'), "all"),
        query(_rate("container_memory_failures_total", 'failure_type="pgmajfault"'), "major"),
        empty="not running",
    ),
    graph(
        "Processes and threads",
        "And the most threads that it may have, where that is limited.",
        query(_mine("container_processes"), "processes"),
        query(_mine("container_threads"), "threads"),
        decimals=0,
        empty="not running",
    ),
)
_TRAFFIC = (
    graph(
        "Disk",
        "Bytes read (below zero) and written on block devices.",
        query(f"-{total('device', _rate('container_fs_reads_bytes_total'))}", "{{device}} read"),
        query(total("device", _rate("container_fs_writes_bytes_total")), "{{device}} written"),
        unit="Bps",
        low=None,
        empty="it read and wrote nothing",
    ),
    graph(
        "Network",
        "Bytes received (below zero) and sent by interface; none where it shares the network of "
        "the host or of another container.",
        query(
            f"-{total('interface', _rate('container_network_receive_bytes_total'))}",
            "{{interface}} received",
        ),
        query(
            total("interface", _rate("container_network_transmit_bytes_total")),
            "{{interface}} sent",
        ),
        unit="Bps",
        low=None,
        empty="it has no network of its own",
    ),
    graph(
        "Files",
        "What its files take: the writable layer, or its disk and the quota.",
        query(_mine("tallyman_container_writable_layer_bytes"), "writable layer"),
        query(_mine("tallyman_openvz_disk_used_bytes"), "disk"),
        query(_mine("tallyman_openvz_disk_hard_limit_bytes"), "quota"),
        unit="bytes",
        colours={"quota": RED},
        dashed=("quota",),
        empty="nobody says what its files take",
    ),
)

_USE = Row(
    "Use",
    tuple(Line(8, tuple((8, panel) for panel in panels)) for panels in (_CPU, _MEMORY, _TRAFFIC)),
)

_OPENVZ = Row(
    "OpenVZ",
    (
        Line(
            9,
            (
                (
                    12,
                    rows(
                        "Beancounters",
                        "Held now and at most, and what may be held; memory in bytes, else counts.",
                        (Key(label="resource", title="Resource"),),
                        tuple(
                            Column(
                                title=title,
                                expr=f"sum by (resource) ({expression})",
                                unit=unit,
                                decimals=decimals,
                                steps=steps,
                                width=90,
                            )
                            for title, expression, unit, decimals, steps in (
                                (
                                    "Held",
                                    _mine("tallyman_openvz_beancounter_held"),
                                    "si:",
                                    1,
                                    ((None, TEXT),),
                                ),
                                (
                                    "Limit",
                                    _mine("tallyman_openvz_beancounter_limit"),
                                    "si:",
                                    1,
                                    ((None, TEXT),),
                                ),
                                (
                                    "Of limit",
                                    _HELD_OF_LIMIT,
                                    "percentunit",
                                    0,
                                    SHARE,
                                ),
                                (
                                    "Refused",
                                    _grown("tallyman_openvz_beancounter_failures_total"),
                                    "none",
                                    0,
                                    ((None, TEXT), (1, RED)),
                                ),
                            )
                        ),
                        sort="Of limit",
                        empty="it is no OpenVZ container",
                    ),
                ),
                (
                    12,
                    graph(
                        "Load",
                        "Load averages, and the CPUs that it sees.",
                        query(_mine("tallyman_openvz_load1"), "1 minute"),
                        query(_mine("tallyman_openvz_load5"), "5 minutes"),
                        query(_mine("tallyman_openvz_load15"), "15 minutes"),
                        query(_mine("tallyman_openvz_cpus"), "CPUs"),
                        colours={"CPUs": RED},
                        dashed=("CPUs",),
                        decimals=2,
                        empty="it is no OpenVZ container",
                    ),
                ),
            ),
        ),
    ),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.ONE,
    title="One container",
    about="Everything of one container: its verdict axis by axis, findings, use against limits "
    "and its history.",
    variables=(
        variables.datasource(),
        variables.job(),
        variables.instance(),
        variables.engine(),
        variables.style(),
        variables.container(),
        variables.identity(),
    ),
    rows=(Row("", (_WHO, _NUMBERS)), _VERDICT, _USE, _OPENVZ),
    annotations=(
        Annotation(
            name="Started",
            expr=f"{_mine('container_start_time_seconds')} * 1000",
            text="{{name}}",
            colour=BLUE,
            value_is_time=True,
            on=True,
        ),
        Annotation(
            name="OOM kill",
            expr=f"{increase('container_oom_events_total', _ME, '[2m]')} > 0",
            text="{{name}}",
            colour=RED,
            on=True,
        ),
        Annotation(
            name="Verdict turned",
            expr=f"{increase('tallyman_container_style_changes_total', _ME, '[2m]')} > 0",
            text="{{id}}",
            colour=PURPLE,
            on=True,
        ),
    ),
)
