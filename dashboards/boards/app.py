"""App-style: containers that exist to run one application, by what they belong to.

They live short and come back under a new id, so everything is summed by image, Compose service,
pod or whatever the user chooses, and never drawn by id over a long time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards import variables
from dashboards.applications import APP, by_container, by_unit, chosen, top_gauge, top_rate
from dashboards.columns import (
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
    CALCS,
    ended,
    findings,
    oom_kills,
    oom_kills_of,
    running_of,
    throttled_of,
)
from dashboards.layout import Board, line, row
from dashboards.links import drill
from dashboards.panels import BAD_IF_ANY, WATCH_IF_ANY, Figure, figures, graph, query, states
from dashboards.promql import (
    CPU,
    DISK,
    ID,
    MEMORY,
    MEMORY_SHARE,
    NAMED,
    NETWORK,
    RATE,
    THROTTLED,
    each,
    grown,
    host,
    recorded,
    total,
    zero,
)
from dashboards.tables import Key, rows
from dashboards.theme import BLUE, GREEN, ORANGE, RED, TEXT, Uid

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import timeseries

    from dashboards.panels import Steps

_LEGEND = "{{unit}}"
_WITHOUT_MEMORY_LIMIT = (
    f"{each(host('container_spec_cpu_shares'))} unless on ({ID}) "
    f"{host('container_spec_memory_limit_bytes')}"
)
"""Running containers whose memory is not limited."""
_STARTED = host("tallyman_container_started_seconds")
_FAILED = f"({host('tallyman_container_exit_code')} != 0)"
_ALIVE = 'state=~"running|paused|restarting"'
_UNHEALTHY = 'health="unhealthy"'
_WORKING_SET = "container_memory_working_set_bytes"
_WRITTEN = host("tallyman_container_writable_layer_bytes")
_NOBODY = "no app-style container runs"


_OVERVIEW = line(
    4,
    (
        6,
        figures(
            "App-style containers",
            "Containers that run now, and how many of them were started within the time shown: "
            "short lives and restarts.",
            running_of(chosen, BLUE),
            Figure("started", zero(f"count({chosen(f'time() - {_STARTED} < $__range_s')})")),
        ),
    ),
    figures(
        "Went wrong",
        "Over the time shown: automatic restarts by the engine, and processes killed because "
        "memory ran out. Failed: stopped containers that ended with an error and that the engine "
        "still keeps.",
        Figure(
            "restarts",
            zero(f"sum({chosen(grown('tallyman_container_restarts_total'))})"),
            steps=WATCH_IF_ANY,
        ),
        oom_kills_of(chosen),
        Figure("failed", zero(f"count({chosen(_FAILED)})"), steps=WATCH_IF_ANY),
    ),
    figures(
        "Is wrong now",
        "Unhealthy: their own health check fails. Throttled: kept from the CPU in more than a "
        "quarter of the periods. Unlimited: without a memory limit, free to use all of the host's "
        "memory.",
        Figure(
            "unhealthy",
            zero(f"count({chosen(host('tallyman_container_health', _UNHEALTHY))})"),
            steps=BAD_IF_ANY,
        ),
        throttled_of(chosen(each(recorded(THROTTLED, APP)))),
        Figure(
            "unlimited",
            zero(f"count({chosen(_WITHOUT_MEMORY_LIMIT)})"),
            steps=WATCH_IF_ANY,
        ),
    ),
)

_APPLICATION = drill(
    Uid.APP,
    "Only this application",
    keep=("job", "instance", "engine", "by"),
    application="__data.fields.unit",
)
_APPLICATIONS = rows(
    "Applications",
    "One row for each image, Compose service, pod …, as chosen in Group by; a row leads to its "
    "containers. Of limit and Throttled are those of the worst container; Restarts and OOM kills "
    "count over the time shown.",
    (Key("unit", "Application", width=170, grows=True, link=_APPLICATION),),
    (
        count("Count", by_unit(each(host("container_processes")), "count"), 58),
        cpu(by_unit(each(recorded(CPU, APP)))),
        memory(by_unit(each(host(_WORKING_SET))), width=85),
        share("Of limit", by_unit(each(recorded(MEMORY_SHARE, APP)), "max"), 72),
        throttled(by_unit(each(recorded(THROTTLED, APP)), "max")),
        count("Restarts", by_unit(grown("tallyman_container_restarts_total")), 75, WORTH_A_LOOK),
        count(
            "OOM kills",
            by_unit(grown("container_oom_events_total")),
            85,
            ((None, TEXT), (1, RED)),
        ),
    ),
    sort="CPU",
    empty=_NOBODY,
)

_CONTAINERS = row(
    "Their containers",
    line(
        10,
        rows(
            "Containers of these applications",
            "Containers of all applications, or of the one chosen above.",
            container_keys("engine", "style"),
            (
                cpu(by_container(each(recorded(CPU, APP))), gauge=False),
                memory(by_container(each(recorded(MEMORY, APP)))),
                share("Of limit", by_container(each(recorded(MEMORY_SHARE, APP))), 75),
                throttled(by_container(each(recorded(THROTTLED, APP)))),
                count(
                    "Restarts",
                    by_container(
                        f"{grown('tallyman_container_restarts_total')} and on ({ID}) "
                        f"{host('tallyman_container_state', _ALIVE)}"
                    ),
                    75,
                    WORTH_A_LOOK,
                ),
                ago("Started", by_container(each(host("container_start_time_seconds")))),
            ),
            sort="CPU",
            empty=_NOBODY,
        ),
    ),
)


def _by_application(
    title: str,
    about: str,
    expr: str,
    *,
    unit: str,
    high: float | None = None,
    steps: Steps = (),
    empty: str = _NOBODY,
) -> timeseries.Panel:
    return graph(
        title,
        about,
        query(expr, _LEGEND),
        unit=unit,
        high=high,
        steps=steps,
        legend=CALCS,
        empty=empty,
    )


_USE = row(
    "Use by application",
    line(
        10,
        _by_application(
            "CPU by application",
            "The busiest over the time shown.",
            top_rate("container_cpu_usage_seconds_total"),
            unit="cores",
        ),
        _by_application(
            "Memory by application",
            "Working sets, of the applications that used most over the time shown.",
            top_gauge(host(_WORKING_SET)),
            unit="bytes",
        ),
    ),
    line(
        10,
        _by_application(
            "Memory against limit",
            "The container closest to its limit, of each application. Containers without a limit "
            "are not shown.",
            top_gauge(recorded(MEMORY_SHARE, APP), "max"),
            unit="percentunit",
            high=1,
            steps=((None, "transparent"), (0.9, RED)),
            empty="no container has a memory limit",
        ),
        _by_application(
            "Throttled periods",
            "Share of periods in which a container with a CPU quota was kept waiting; the "
            "worst container of each application.",
            top_gauge(recorded(THROTTLED, APP), "max"),
            unit="percentunit",
            high=1,
            empty="no container has a CPU quota",
        ),
    ),
    line(
        10,
        _by_application(
            "Network by application",
            "Bytes received and sent, of containers with a network of their own.",
            top_rate(*NETWORK),
            unit="Bps",
            empty="no container has a network of its own",
        ),
        _by_application(
            "Disk by application",
            "Bytes read and written on block devices.",
            top_rate(*DISK),
            unit="Bps",
            empty="no container read or wrote",
        ),
    ),
)


def _happened(title: str, about: str, expr: str, colour: str, empty: str) -> timeseries.Panel:
    return graph(
        title,
        about,
        query(expr, _LEGEND),
        bars=True,
        stacked=True,
        shades=colour,
        decimals=0,
        empty=empty,
    )


def _happenings(counter: str) -> str:
    return f"{by_unit(grown(counter, '', RATE))} > 0"


_TROUBLE = row(
    "Restarts, health and ends",
    line(
        8,
        _happened(
            "Restarts by application",
            "Restarts by the engine within each step.",
            _happenings("tallyman_container_restarts_total"),
            ORANGE,
            "no restarts",
        ),
        _happened(
            "OOM kills by application",
            "Processes killed because memory ran out, within each step.",
            _happenings("container_oom_events_total"),
            RED,
            "no OOM kills",
        ),
        _happened(
            "Short lives",
            "Containers started within the five minutes before each step.",
            by_unit(f"time() - {_STARTED} < 300", "count"),
            BLUE,
            "nothing was started",
        ),
    ),
    line(
        8,
        (
            16,
            _happened(
                "Ended with an error",
                "Stopped containers with an exit code other than 0, for as long as the engine "
                "keeps them.",
                by_unit(_FAILED, "count"),
                ORANGE,
                "nothing has failed",
            ),
        ),
        states(
            "Health checks",
            "Containers that have a health check of their own.",
            query(
                total(NAMED, chosen(f"{each(host('container_health_state'))} >= 0", "name")),
                "{{name}}",
            ),
            values={"1": ("healthy", GREEN), "0": ("not healthy", RED)},
            empty="no container has a health check",
        ),
    ),
    line(8, ended("Containers that do not run", APP, "style")),
)


def _of_image(metric: str, how: str = "max") -> str:
    return f"{how} by (image) ({chosen(host(metric), 'image')})"


_IMAGES = row(
    "Images and drift",
    line(
        10,
        (
            14,
            rows(
                "Images",
                "Images of all containers, stopped ones too; oldest first.",
                (Key("image", "Image", width=170, grows=True),),
                (
                    count("Count", _of_image("tallyman_container_image_size_bytes", "count"), 65),
                    ago("Built", _of_image("tallyman_container_image_created_seconds")),
                    memory(_of_image("tallyman_container_image_size_bytes"), "Size"),
                ),
                sort="Built",
                ascending=True,
                empty="no image has a build time",
            ),
        ),
        rows(
            "Most written over the image",
            "Size of the writable layer, which is lost when the container is replaced. Needs the "
            "agent's --inventory.walk.",
            container_keys("engine", "style"),
            (memory(f"topk($top, {by_container(_WRITTEN)})", "Written"),),
            sort="Written",
            empty="start the agent with --inventory.walk",
        ),
    ),
    line(8, findings("Warnings about app-style containers", "style", style=APP)),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.APP,
    title="App-style",
    about="Containers that exist to run one application, by image, Compose project and service, "
    "pod …: restarts, ends, OOM kills, throttling, memory against limits, short lives.",
    variables=(
        variables.datasource(),
        variables.job(),
        variables.instances(),
        variables.engine(APP),
        variables.containers(APP),
        variables.grouping(),
        variables.application(),
        variables.busiest(),
    ),
    rows=(row("", _OVERVIEW, line(11, _APPLICATIONS)), _CONTAINERS, _USE, _TROUBLE, _IMAGES),
    annotations=(oom_kills(APP),),
)
