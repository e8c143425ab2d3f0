"""App-style: containers that exist to run one application, by what they belong to.

They live short and come back under a new id, so everything is summed by image, Compose service,
pod or whatever the user chooses, and never drawn by id over a long time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards import variables
from dashboards.applications import APP, NO_INFRA, by_unit, of_chosen, series, top_units
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
from dashboards.common import CALCS
from dashboards.layout import Board, line, row
from dashboards.links import drill
from dashboards.many import ended, findings, kills, oom_kills, running
from dashboards.many import throttled as throttled_now
from dashboards.panels import BAD_IF_ANY, WATCH_IF_ANY, Figure, figures, graph, query, states
from dashboards.promql import END, ID, NAMED, host, total, zero
from dashboards.recordings import (
    CPU,
    DISK,
    EXIT_CODE,
    HEALTH,
    IMAGE_BUILT,
    IMAGE_CONTAINERS,
    IMAGE_SIZE,
    JUST_STARTED,
    MEMORY,
    MEMORY_SHARE,
    NETWORK,
    OOM_KILLS,
    RESTARTS,
    RUNNING,
    STARTED,
    THROTTLED,
    UNHEALTHY,
    WRITTEN,
    beside,
    happened,
    recorded,
    row_beside,
    top_rows,
)
from dashboards.tables import Key, rows
from dashboards.theme import BLUE, GREEN, ORANGE, RED, TEXT, Uid

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import timeseries

    from dashboards.panels import Steps

_LEGEND = "{{unit}}"
_FAILED = f"({recorded(EXIT_CODE, APP)} != 0)"
_WITHOUT_MEMORY_LIMIT = (
    f"({recorded(MEMORY, APP, NO_INFRA)} unless on ({ID}) {recorded(MEMORY_SHARE, APP)})"
)
_NOBODY = "no app-style container runs"


_OVERVIEW = line(
    4,
    (
        6,
        figures(
            "App-style containers",
            "Containers that run now, and how many of them were started within the time shown: "
            "short lives and restarts.",
            running(APP, BLUE),
            Figure("started", zero(f"count(time() - {recorded(STARTED, APP)} < $__range_s)")),
        ),
    ),
    figures(
        "Went wrong",
        "Over the time shown: automatic restarts by the engine, and processes killed because "
        "memory ran out. Failed: stopped containers that ended with an error and that the engine "
        "still keeps.",
        Figure(
            "restarts",
            zero(f"sum({happened(RESTARTS, APP)})"),
            steps=WATCH_IF_ANY,
        ),
        oom_kills(APP),
        Figure("failed", zero(f"count{_FAILED}"), steps=WATCH_IF_ANY),
    ),
    figures(
        "Is wrong now",
        "Unhealthy: their own health check fails. Throttled: kept from the CPU in more than a "
        "quarter of the periods. Unlimited: without a memory limit, free to use all of the host's "
        "memory.",
        Figure(
            "unhealthy",
            zero(f"count({recorded(UNHEALTHY, APP)})"),
            steps=BAD_IF_ANY,
        ),
        throttled_now(APP),
        Figure(
            "unlimited",
            zero(f"count{_WITHOUT_MEMORY_LIMIT}"),
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
# What was just started has no rate yet, and comes last.
_RANKED = by_unit(f"({series(CPU)} or 0 * {series(RUNNING)})")


def _of_unit(rule: str, how: str = "sum") -> str:
    return beside(by_unit(series(rule), how), _RANKED, "unit")


def _happened(rule: str) -> str:
    return beside(by_unit(happened(rule, APP, NO_INFRA)), _RANKED, "unit")


_APPLICATIONS = rows(
    "Applications",
    "One row for each image, Compose service, pod …, as chosen in Group by; a row leads to its "
    "containers. The busiest, as many as Rows says. Of limit and Throttled are those of the worst "
    "container; Restarts and OOM kills count over the time shown.",
    (Key("unit", "Application", width=170, grows=True, link=_APPLICATION),),
    (
        count("Count", _of_unit(RUNNING, "count"), 58),
        cpu(_of_unit(CPU)),
        memory(_of_unit(MEMORY), width=85),
        share("Of limit", _of_unit(MEMORY_SHARE, "max"), 72),
        throttled(_of_unit(THROTTLED, "max")),
        count("Restarts", _happened(RESTARTS), 75, WORTH_A_LOOK),
        count("OOM kills", _happened(OOM_KILLS), 85, ((None, TEXT), (1, RED))),
    ),
    sort="CPU",
    empty=_NOBODY,
)

_BUSIEST = of_chosen(f"({series(CPU)} or 0 * {series(RUNNING)})")


def _of_busiest(shown: str) -> str:
    return row_beside(shown, _BUSIEST)


_CONTAINERS = row(
    "Their containers",
    line(
        10,
        rows(
            "Containers of these applications",
            "The busiest containers of all applications, or of the one chosen above.",
            container_keys("engine", "style"),
            (
                cpu(_of_busiest(recorded(CPU, APP)), gauge=False),
                memory(_of_busiest(recorded(MEMORY, APP))),
                share("Of limit", _of_busiest(recorded(MEMORY_SHARE, APP)), 75),
                throttled(_of_busiest(recorded(THROTTLED, APP))),
                count(
                    "Restarts",
                    _of_busiest(happened(RESTARTS, APP)),
                    75,
                    WORTH_A_LOOK,
                ),
                ago("Started", _of_busiest(recorded(STARTED, APP))),
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
            top_units(CPU),
            unit="cores",
        ),
        _by_application(
            "Memory by application",
            "Working sets, of the applications that used most over the time shown.",
            top_units(MEMORY),
            unit="bytes",
        ),
    ),
    line(
        10,
        _by_application(
            "Memory against limit",
            "The container closest to its limit, of each application. Containers without a limit "
            "are not shown.",
            top_units(MEMORY_SHARE, "max"),
            unit="percentunit",
            high=1,
            steps=((None, "transparent"), (0.9, RED)),
            empty="no container has a memory limit",
        ),
        _by_application(
            "Throttled periods",
            "Share of periods in which a container with a CPU quota was kept waiting; the "
            "worst container of each application.",
            top_units(THROTTLED, "max"),
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
            top_units(NETWORK),
            unit="Bps",
            empty="no container has a network of its own",
        ),
        _by_application(
            "Disk by application",
            "Bytes read and written on block devices.",
            top_units(DISK),
            unit="Bps",
            empty="no container read or wrote",
        ),
    ),
)


def _events(title: str, about: str, expr: str, colour: str, empty: str) -> timeseries.Panel:
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


_CHECKED = total(NAMED, series(HEALTH))
_HEALTHY = total(NAMED, f"avg_over_time({series(HEALTH)}{END})")
_HEALTH = f"{_CHECKED} and on ({ID}) bottomk($top, {_HEALTHY})"

_TROUBLE = row(
    "Restarts, health and ends",
    line(
        8,
        _events(
            "Restarts by application",
            "Restarts by the engine within the five minutes before each step.",
            top_units(RESTARTS),
            ORANGE,
            "no restarts",
        ),
        _events(
            "OOM kills by application",
            "Processes killed because memory ran out, within the five minutes before each step.",
            top_units(OOM_KILLS),
            RED,
            "no OOM kills",
        ),
        _events(
            "Short lives",
            "Containers started within the five minutes before each step.",
            top_units(JUST_STARTED, "count"),
            BLUE,
            "nothing was started",
        ),
    ),
    line(
        8,
        (
            16,
            _events(
                "Ended with an error",
                "Stopped containers with an exit code other than 0, for as long as the engine "
                "keeps them.",
                top_units(EXIT_CODE, "count", " != 0"),
                ORANGE,
                "nothing has failed",
            ),
        ),
        states(
            "Health checks",
            "Containers that have a health check of their own, those that failed it for longest "
            "first.",
            query(_HEALTH, "{{name}}"),
            values={"1": ("healthy", GREEN), "0": ("not healthy", RED)},
            empty="no container has a health check",
        ),
    ),
    line(8, ended("Containers that do not run", APP, "style")),
)


def _of_image(rule: str, how: str = "max") -> str:
    return f"{how} by (image) ({host(rule, _APP_ENGINES)})"


_APP_ENGINES = f'engine=~"$engine",style="{APP}"'
_OLDEST = f"bottomk($rows, {_of_image(IMAGE_BUILT)})"
_IMAGES = row(
    "Images and drift",
    line(
        10,
        (
            14,
            rows(
                "Oldest images",
                "Images of all containers, stopped ones too; the oldest first.",
                (Key("image", "Image", width=170, grows=True),),
                (
                    count(
                        "Count",
                        f"{_of_image(IMAGE_CONTAINERS, 'sum')} and on (image) {_OLDEST}",
                        65,
                    ),
                    ago("Built", _OLDEST),
                    memory(f"{_of_image(IMAGE_SIZE)} and on (image) {_OLDEST}", "Size"),
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
            (memory(top_rows(of_chosen(series(WRITTEN))), "Written"),),
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
        variables.lines(),
        variables.rows(),
    ),
    rows=(row("", _OVERVIEW, line(11, _APPLICATIONS)), _CONTAINERS, _USE, _TROUBLE, _IMAGES),
    annotations=(kills(APP),),
)
