"""Fleet: all hosts on one screen, what is broken first.

Reads recording rules, so that a large fleet stays cheap.
"""

from __future__ import annotations

from dashboards import variables
from dashboards.columns import (
    HOST,
    WORTH_A_LOOK,
    ago,
    container_keys,
    count,
    cpu,
    memory,
    share,
    throttled,
)
from dashboards.common import by_style, outside, running
from dashboards.layout import Annotation, Board, line, row
from dashboards.links import drill, series_to_host, to_container
from dashboards.many import KEPT_WAITING, NEAR, findings, kills, oom_kills
from dashboards.many import throttled as throttled_now
from dashboards.panels import BAD_IF_ANY, PLAIN, WATCH_IF_ANY, Figure, figures, graph, query
from dashboards.promql import ID, WHO, host, kind, total, zero
from dashboards.recordings import (
    CPU,
    MEMORY,
    MEMORY_SHARE,
    MISMATCH,
    OOM_KILLS,
    RESTARTS,
    THROTTLED,
    UNHEALTHY,
    beside,
    by_row,
    happened,
    recorded,
    row_beside,
    top_rows,
)
from dashboards.tables import Column, Key, rows
from dashboards.theme import BLUE, GREY, ORANGE, PURPLE, RED, TEXT, Uid

_HOST = "job, instance"
_RUNNING = "instance_engine_style:tallyman_host_containers:running"
_MISMATCHES = "instance_engine_style:tallyman_container_mismatch:sum"
_RESTARTS = "instance_engine_style:tallyman_container_restarts:increase5m"
_FINDINGS = "instance_engine_style_finding:tallyman_container_finding:sum"
_FAILING = "instance:tallyman_collector_success:failing"
_OF_STYLE = {style: f'style="{style}"' for style in ("app", "system", "unknown")}
_FIRING = 'alertname=~"Tallyman.*",alertstate="firing"'
_TO_AGENTS = drill(Uid.AGENT, "The agents")


def _of_host(expression: str) -> str:
    return total(_HOST, expression)


def _new(mismatches: str, rule: str = MISMATCH) -> str:
    """Keep those that were none a week ago."""
    a_day_then = f"last_over_time({recorded(rule)}[1d] offset 6d)"
    return f"({mismatches} unless on ({ID}) {a_day_then})"


_ALERT = "alertname, severity, name, job, instance, id"
_NOW_FIRING = (
    f"max by ({_ALERT}) ({host('ALERTS_FOR_STATE')} and ignoring (alertstate) "
    f"{host('ALERTS', _FIRING)})"
)

_BROKEN = line(
    4,
    figures(
        "What is broken",
        "Failing: alerts of alerts.yml that fire. Down: hosts that Prometheus could not scrape, "
        "which are missing from every other number here. Blind: collectors that fail. Restarting: "
        "containers that their engine restarted within five minutes. Near limit: above 90 % of "
        "the memory limit. Throttled: kept from the CPU in more than a quarter of the periods. OOM "
        "kills: over the time shown. Mismatches: new ones, which were none a week ago.",
        Figure("failing", zero(f"count({_NOW_FIRING})"), steps=BAD_IF_ANY),
        Figure("hosts down", zero(f"count({host('up')} == 0)"), steps=BAD_IF_ANY, link=_TO_AGENTS),
        Figure("blind", zero(f"sum({host(_FAILING)})"), steps=BAD_IF_ANY, link=_TO_AGENTS),
        Figure("unhealthy", zero(f"count({recorded(UNHEALTHY)})"), steps=BAD_IF_ANY),
        Figure("restarting", zero(f"count({recorded(RESTARTS)})"), steps=WATCH_IF_ANY),
        Figure("near limit", zero(f"count({recorded(MEMORY_SHARE)} > {NEAR})"), steps=BAD_IF_ANY),
        throttled_now(),
        oom_kills(),
        Figure("mismatches", zero(f"count{_new(recorded(MISMATCH))}"), steps=WATCH_IF_ANY),
    ),
)

_ALERTS = line(
    7,
    rows(
        "Failing now",
        "The alerts of deploy/prometheus/alerts.yml that are firing, the latest first. "
        "docs/runbooks.md says what each means and what to do.",
        (
            Key("alertname", "Alert", width=250, grows=True),
            Key(
                "severity",
                "Severity",
                width=90,
                values={
                    "critical": ("critical", RED),
                    "warning": ("warning", ORANGE),
                    "info": ("info", TEXT),
                },
            ),
            Key("name", "Container", link=to_container()),
            HOST,
            Key("job"),
            Key("id"),
        ),
        (
            ago(
                "Since",
                top_rows(_NOW_FIRING),
            ),
        ),
        sort="Since",
        empty="nothing, or alerts.yml is not loaded",
    ),
)
_TROUBLE = line(
    10,
    rows(
        "Containers in trouble",
        "What the figures above count, container by container: a cell says what is wrong with it, "
        "and an empty one is in order. Restarts within five minutes, OOM kills over the time "
        "shown. Mismatch: confidence of a verdict that differs from what the engine was made for, "
        "or told to run, and did not a week ago.",
        container_keys(),
        (
            Column(
                "Health", top_rows(by_row(UNHEALTHY)), values={"1": ("unhealthy", RED)}, width=90
            ),
            count("Restarts", top_rows(by_row(RESTARTS)), 80, WORTH_A_LOOK),
            share("Of limit", top_rows(f"{by_row(MEMORY_SHARE)} > {NEAR}"), 80),
            throttled(top_rows(f"{by_row(THROTTLED)} > {KEPT_WAITING}")),
            count("OOM kills", top_rows(total(WHO, happened(OOM_KILLS))), 90, ((None, RED),)),
            share("Mismatch", top_rows(_new(by_row(MISMATCH))), 95, ((None, ORANGE),)),
        ),
        empty="no container is in trouble",
    ),
)

_OVERVIEW = line(
    4,
    (
        8,
        figures(
            "Hosts",
            "Hosts whose agent answers, and what they have: share of all CPUs and of all memory "
            "in use, in containers or not.",
            Figure("up", zero(f"count({host('up')} == 1)")),
            Figure(
                "CPU",
                f"sum({host('tallyman_host_cores')}) / sum({host('machine_cpu_cores')})",
                unit="percentunit",
            ),
            Figure(
                "memory",
                f"sum({host('tallyman_host_memory_bytes')}) / sum({host('machine_memory_bytes')})",
                unit="percentunit",
            ),
        ),
    ),
    (
        8,
        running(
            lambda style: zero(f"sum({kind(_RUNNING, _OF_STYLE[style])})"),
            lambda uid: drill(uid, "These containers"),
        ),
    ),
    figures(
        "To look at",
        "Mismatches: a confident verdict differs from what the engine was made for, or told to "
        "run. Warnings: bad practices, listed below.",
        Figure("all mismatches", zero(f"sum({kind(_MISMATCHES)})"), steps=WATCH_IF_ANY),
        Figure("warnings", zero(f"sum({kind(_FINDINGS)})"), steps=WATCH_IF_ANY),
    ),
)

_STYLES = line(
    8,
    by_style(
        "Running containers by style",
        "Without infra containers, which hold a pod's namespaces.",
        query(total("style", kind(_RUNNING)), "{{style}}"),
        unit="short",
        empty="no recording rules, or no containers",
    ),
    by_style(
        "CPU by style",
        "CPUs kept busy. Style none is everything outside containers.",
        query(total("style", kind("tallyman_host_cores")), "{{style}}"),
        outside("tallyman_host_cores"),
        unit="cores",
    ),
    by_style(
        "Memory by style",
        "Working sets. Style none is everything outside containers.",
        query(total("style", kind("tallyman_host_memory_bytes")), "{{style}}"),
        outside("tallyman_host_memory_bytes"),
        unit="bytes",
    ),
)


def _containers_of(uid: Uid) -> tuple[str, str]:
    fields = {name: f"__data.fields.{name}" for name in ("job", "instance")}
    return drill(uid, "These containers", **fields)


def _of_capacity(metric: str, capacity: str) -> str:
    return f"{_of_host(host(metric))} / {_of_host(host(capacity))}"


_FULLEST = _of_capacity("tallyman_host_memory_bytes", "machine_memory_bytes")


# Of some OpenVZ nodes the memory is not known: they come last.
_RANKED = f"({_FULLEST} or 0 * {_of_host(kind(_RUNNING))})"


def _beside(expression: str) -> str:
    return beside(f"({expression})", _RANKED, _HOST)


_DENSITY = rows(
    "Hosts and their density",
    "What each host runs, how full it is, and how much of its CPU and memory is promised to "
    "containers by their limits. More than 100 % is over-committed; containers without a limit "
    "are not counted. Blind: collectors that fail. The fullest, as many as Rows says.",
    (Key("instance", "Host", link=HOST.link, width=120, grows=True), Key("job")),
    (
        count(
            "App",
            _beside(_of_host(kind(_RUNNING, _OF_STYLE["app"]))),
            60,
            link=_containers_of(Uid.APP),
        ),
        count(
            "System",
            _beside(_of_host(kind(_RUNNING, _OF_STYLE["system"]))),
            75,
            link=_containers_of(Uid.SYSTEM),
        ),
        share(
            "CPU used",
            _beside(_of_capacity("tallyman_host_cores", "machine_cpu_cores")),
            105,
            gauge=True,
        ),
        share(
            "CPU promised",
            _beside(_of_capacity("tallyman_host_limit_cores", "machine_cpu_cores")),
            115,
            PLAIN,
        ),
        share("Memory used", _beside(_FULLEST), 110, gauge=True),
        share(
            "Memory promised",
            _beside(_of_capacity("tallyman_host_limit_bytes", "machine_memory_bytes")),
            145,
            WORTH_A_LOOK,
        ),
        count("Mismatches", _beside(_of_host(kind(_MISMATCHES))), 100, WORTH_A_LOOK),
        count(
            "Blind",
            _beside(_of_host(host(_FAILING))),
            75,
            BAD_IF_ANY,
            link=drill(Uid.AGENT, "Its agent", instance="__data.fields.instance"),
        ),
    ),
    sort="Memory used",
    empty="no hosts",
)


def _of_engine(uid: Uid) -> tuple[str, str]:
    return drill(uid, "These containers", engine="__data.fields.engine")


_KINDS = line(
    9,
    (
        8,
        rows(
            "Engines and what they run",
            "Running containers by engine and style. The engine alone does not tell the style.",
            (Key("engine", "Engine", width=80, grows=True),),
            tuple(
                count(
                    style.title(),
                    total("engine", kind(_RUNNING, _OF_STYLE[style])),
                    width,
                    steps,
                    link,
                )
                for style, width, steps, link in (
                    ("app", 55, ((None, BLUE),), _of_engine(Uid.APP)),
                    ("system", 70, ((None, PURPLE),), _of_engine(Uid.SYSTEM)),
                    ("unknown", 80, ((None, GREY),), None),
                )
            ),
            sort="App",
            empty="no recording rules, or no containers",
        ),
    ),
    (
        9,
        rows(
            "Warnings",
            "How many running containers have each warning; the row Inventory lists them. "
            "docs/verdict.md and tallyman explain NAME say what each means and what to do.",
            (Key("finding", "Finding", width=200, grows=True),),
            (count("Count", total("finding", kind(_FINDINGS)), 65, ((None, ORANGE),)),),
            sort="Count",
            empty="no warnings",
        ),
    ),
    graph(
        "Started, restarted, killed",
        "Containers started within 5 minutes, restarts by their engine and OOM kills: churn is "
        "normal for app-style, and rare for system-style.",
        query(
            total("style", kind("instance_engine_style:tallyman_container_starts:count5m")),
            "started, {{style}}",
        ),
        query(
            f"sum({kind(_RESTARTS)})",
            "restarted",
        ),
        query(f"sum({kind('instance_engine_style:container_oom_events:increase5m')})", "OOM kills"),
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
)

_MISMATCHED = total(f"{WHO}, expected_style", recorded(MISMATCH))
_ATTENTION = line(
    8,
    (
        8,
        rows(
            "Closest to their memory limit",
            "Working set against the limit. Containers without a limit are not shown.",
            container_keys("instance", "engine", "style"),
            (share("Of limit", top_rows(by_row(MEMORY_SHARE)), 100, gauge=True),),
            sort="Of limit",
            empty="no container has a memory limit",
        ),
    ),
    rows(
        "Verdict differs from the engine",
        "The style that the container has, and the style that its engine was made for, or told to "
        "run.",
        (
            *container_keys()[:4],
            Key("expected_style", "Expected", width=102),
            *container_keys()[4:],
        ),
        (share("Confidence", top_rows(_MISMATCHED), 95, PLAIN),),
        sort="Confidence",
        empty="no verdict differs from its engine's style",
    ),
)

_BUSIEST = recorded(CPU)
_INVENTORY = row(
    "Inventory",
    line(
        12,
        rows(
            "Busiest containers",
            "The containers that use most CPU now.",
            container_keys(),
            (
                cpu(total(WHO, top_rows(_BUSIEST))),
                memory(row_beside(recorded(MEMORY), _BUSIEST)),
                share("Of limit", row_beside(recorded(MEMORY_SHARE), _BUSIEST)),
                throttled(row_beside(recorded(THROTTLED), _BUSIEST)),
            ),
            sort="CPU",
            empty="no recording rules, or no containers",
        ),
    ),
    line(10, findings("Containers with warnings")),
)


def _fullest(used: str, there_is: str) -> str:
    shown = _of_capacity(used, there_is)
    return f"{shown} and on ({_HOST}) topk($top, {shown.replace('}', '} @ end()')})"


_BY_HOST = row(
    "Use by host and style",
    line(
        8,
        *(
            graph(
                f"{what} by host",
                f"Share of the host's {of} in use, in containers or not; the fullest hosts.",
                query(_fullest(used, there_is), "{{instance}}"),
                unit="percentunit",
                high=1,
                link=series_to_host(),
            )
            for what, of, used, there_is in (
                ("CPU", "CPUs", "tallyman_host_cores", "machine_cpu_cores"),
                ("Memory", "memory", "tallyman_host_memory_bytes", "machine_memory_bytes"),
            )
        ),
    ),
    line(
        8,
        by_style(
            "Network by style",
            "Bytes received and sent, of containers with a network of their own.",
            query(
                total("style", kind("instance_engine_style:container_network_bytes:rate5m")),
                "{{style}}",
            ),
            unit="Bps",
        ),
        by_style(
            "Disk by style",
            "Bytes read and written on block devices.",
            query(
                total("style", kind("instance_engine_style:container_fs_bytes:rate5m")), "{{style}}"
            ),
            unit="Bps",
        ),
    ),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.FLEET,
    title="Fleet",
    about="All hosts: what is broken and where, app-style against system-style, density, "
    "mismatches, warnings and churn. Needs the recording rules of deploy/prometheus/rules.yml.",
    variables=(
        variables.datasource(),
        variables.job(),
        variables.instances(),
        variables.engine(),
        variables.style(),
        variables.containers(),
        variables.lines(),
        variables.rows(),
    ),
    rows=(
        row("", _BROKEN, _ALERTS, _TROUBLE),
        row("Hosts, styles and engines", _OVERVIEW, _STYLES, line(7, _DENSITY), _KINDS, _ATTENTION),
        _INVENTORY,
        _BY_HOST,
    ),
    annotations=(
        kills(),
        Annotation(
            name="Agent started",
            expr=f"changes({host('process_start_time_seconds')}[5m]) > 0",
            text="{{instance}}",
            colour=GREY,
        ),
    ),
)
