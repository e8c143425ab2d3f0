"""Fleet: all hosts on one screen. Reads recording rules, so that a large fleet stays cheap."""

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
from dashboards.common import (
    by_style,
    findings,
    oom_kills,
    outside,
    running,
    throttled_of,
    to_look_at,
)
from dashboards.layout import Annotation, Board, line, row
from dashboards.links import drill, series_to_host, to_container
from dashboards.panels import BAD_IF_ANY, PLAIN, WATCH_IF_ANY, Figure, figures, graph, query
from dashboards.promql import (
    CPU,
    ID,
    MEMORY,
    MEMORY_SHARE,
    THROTTLED,
    WHO,
    host,
    info,
    kind,
    recorded,
    total,
    zero,
)
from dashboards.tables import Key, rows
from dashboards.theme import BLUE, GREY, ORANGE, PURPLE, RED, TEXT, Uid

_HOST = "job, instance"
_RUNNING = "instance_engine_style:tallyman_host_containers:running"
_MISMATCHES = "instance_engine_style:tallyman_container_mismatch:sum"
_UNHEALTHY = "instance_engine_style:tallyman_container_health:unhealthy"
_RESTARTS = "instance_engine_style:tallyman_container_restarts:increase5m"
_FINDINGS = "instance_engine_style_finding:tallyman_container_finding:sum"
_OF_STYLE = {style: f'style="{style}"' for style in ("app", "system", "unknown")}


def _of_host(expression: str) -> str:
    return total(_HOST, expression)


def _busiest(rule: str) -> str:
    return f"{total(WHO, recorded(rule))} and on ({ID}) topk($top, {recorded(CPU)})"


_OVERVIEW = line(
    4,
    (
        6,
        figures(
            "Hosts",
            "Hosts whose agent answers, and hosts whose agent Prometheus could not scrape: the "
            "latter are missing from every other number here.",
            Figure("up", zero(f"count({host('up')} == 1)")),
            Figure(
                "down",
                zero(f"count({host('up')} == 0)"),
                steps=BAD_IF_ANY,
                link=drill(Uid.AGENT, "The agents"),
            ),
        ),
    ),
    running(
        lambda style: zero(f"sum({kind(_RUNNING, _OF_STYLE[style])})"),
        lambda uid: drill(uid, "These containers"),
    ),
    to_look_at(f"sum({kind(_MISMATCHES)})", drill(Uid.AGENT, "The agents")),
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


_FIRING = 'alertname=~"Tallyman.*",alertstate="firing"'
_BROKEN = line(
    4,
    figures(
        "What is broken",
        "Alerts that fire, as listed below, and containers: those whose own health check fails, "
        "restarts by their engine within five minutes, those above 90 % of their memory limit, "
        "and those that are kept from the CPU in more than a quarter of the periods.",
        Figure("alerts", zero(f"count({host('ALERTS', _FIRING)})"), steps=BAD_IF_ANY),
        Figure("unhealthy", zero(f"sum({kind(_UNHEALTHY)})"), steps=BAD_IF_ANY),
        Figure("restarts", zero(f"sum({kind(_RESTARTS)})"), steps=WATCH_IF_ANY),
        Figure("near limit", zero(f"count({recorded(MEMORY_SHARE)} > 0.9)"), steps=BAD_IF_ANY),
        throttled_of(recorded(THROTTLED)),
    ),
)


def _containers_of(uid: Uid) -> tuple[str, str]:
    fields = {name: f"__data.fields.{name}" for name in ("job", "instance")}
    return drill(uid, "These containers", **fields)


_DENSITY = rows(
    "Hosts and their density",
    "What each host runs, how full it is, and how much of its CPU and memory is promised to "
    "containers by their limits. More than 100 % is over-committed; containers without a limit "
    "are not counted. Failing: collectors.",
    (Key("instance", "Host", link=HOST.link, width=120, grows=True), Key("job")),
    (
        count("App", _of_host(kind(_RUNNING, _OF_STYLE["app"])), 60, link=_containers_of(Uid.APP)),
        count(
            "System",
            _of_host(kind(_RUNNING, _OF_STYLE["system"])),
            75,
            link=_containers_of(Uid.SYSTEM),
        ),
        share(
            "CPU used",
            f"{_of_host(host('tallyman_host_cores'))} / {_of_host(host('machine_cpu_cores'))}",
            105,
            gauge=True,
        ),
        share(
            "CPU promised",
            f"{_of_host(host('tallyman_host_limit_cores'))} / "
            f"{_of_host(host('machine_cpu_cores'))}",
            115,
            PLAIN,
        ),
        share(
            "Memory used",
            f"{_of_host(host('tallyman_host_memory_bytes'))} / "
            f"{_of_host(host('machine_memory_bytes'))}",
            110,
            gauge=True,
        ),
        share(
            "Memory promised",
            f"{_of_host(host('tallyman_host_limit_bytes'))} / "
            f"{_of_host(host('machine_memory_bytes'))}",
            145,
            WORTH_A_LOOK,
        ),
        count("Mismatches", _of_host(kind(_MISMATCHES)), 100, WORTH_A_LOOK),
        count(
            "Failing",
            _of_host(f"1 - {host('tallyman_collector_success')}"),
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

_ALERT = "alertname, severity, name, job, instance, id"
_MISMATCHED = (
    f"({host('tallyman_container_style_confidence')} and on ({ID}) "
    f"({host('tallyman_container_mismatch')} == 1))"
    f" * on ({ID}) group_left (name, engine, style, expected_style) {info()}"
)
_FAILING = line(
    8,
    rows(
        "What is failing",
        "The alerts of deploy/prometheus/alerts.yml that are firing. docs/runbooks.md says "
        "what each means and what to do.",
        (
            Key("alertname", "Alert", width=210, grows=True),
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
                f"max by ({_ALERT}) ({host('ALERTS_FOR_STATE')} and ignoring (alertstate) "
                f"{host('ALERTS', _FIRING)})",
            ),
        ),
        sort="Since",
        empty="nothing, or alerts.yml is not loaded",
    ),
)
_ATTENTION = line(
    8,
    (
        8,
        rows(
            "Closest to their memory limit",
            "Working set against the limit. Containers without a limit are not shown.",
            container_keys("instance", "engine", "style"),
            (
                share(
                    "Of limit",
                    f"topk($top, {total(WHO, recorded(MEMORY_SHARE))})",
                    100,
                    gauge=True,
                ),
            ),
            sort="Of limit",
            empty="no container has a memory limit",
        ),
    ),
    rows(
        "Verdict differs from the engine",
        "The style that the container has, and the style that its engine is made for.",
        (
            *container_keys()[:4],
            Key("expected_style", "Expected", width=102),
            *container_keys()[4:],
        ),
        (share("Confidence", total(f"{WHO}, expected_style", _MISMATCHED), 95, PLAIN),),
        sort="Confidence",
        empty="no verdict differs from its engine's style",
    ),
)

_INVENTORY = row(
    "Inventory",
    line(
        12,
        rows(
            "Busiest containers",
            "The containers that use most CPU now. Set how many with Busiest, above.",
            container_keys(),
            (
                cpu(f"topk($top, {total(WHO, recorded(CPU))})"),
                memory(_busiest(MEMORY)),
                share("Of limit", _busiest(MEMORY_SHARE)),
                throttled(_busiest(THROTTLED)),
            ),
            sort="CPU",
            empty="no recording rules, or no containers",
        ),
    ),
    line(10, findings("Containers with warnings")),
)

_BY_HOST = row(
    "Use by host and style",
    line(
        8,
        *(
            graph(
                f"{what} by host",
                f"Share of the host's {of} in use, in containers or not.",
                query(f"{_of_host(host(used))} / {_of_host(host(there_is))}", "{{instance}}"),
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
    about="All hosts: app-style against system-style, density, mismatches, findings, churn, and "
    "what is failing. Needs the recording rules of deploy/prometheus/rules.yml.",
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
        row("", _OVERVIEW, _BROKEN, _FAILING, _STYLES, line(7, _DENSITY), _KINDS, _ATTENTION),
        _INVENTORY,
        _BY_HOST,
    ),
    annotations=(
        oom_kills(),
        Annotation(
            name="Agent started",
            expr=f"changes({host('process_start_time_seconds')}[5m]) > 0",
            text="{{instance}}",
            colour=GREY,
        ),
    ),
)
