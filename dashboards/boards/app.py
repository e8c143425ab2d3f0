"""App-style: containers that exist to run one application, by what they belong to.

They live short and come back under a new id, so everything is summed by image, Compose service,
pod or whatever the user chooses, and never drawn by id over a long time.
"""

from __future__ import annotations

from dashboards import variables
from dashboards.layout import Annotation, Board, Line, Row
from dashboards.look import BLUE, GREEN, ORANGE, RED, Uid
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
    states,
)
from dashboards.promql import (
    END,
    ID,
    NAMED,
    RATE,
    WHO,
    host,
    increase,
    info,
    rate,
    recorded,
    total,
    who,
)
from dashboards.tables import Column, Key, container_keys, rows

_APP = "app"
_UNIT = (
    f'label_replace(label_join({info(_APP)}, "unit", " / ", ${{by:raw}}), '
    '"unit", "(none)", "unit", "[ /]*")'
)
_LEGEND = "{{unit}}"
_ZERO = " or vector(0)"
_RATIO = "instance_id:container_memory_working_set_limit:ratio"
_THROTTLED = "instance_id:container_cpu_throttled_periods:ratio_rate5m"
_FRESH = f"(time() - {host('tallyman_container_started_seconds')} < $__range_s)"
_FAILED = f"({host('tallyman_container_exit_code')} != 0)"
_RUNNING = 'state="running"'
_UNHEALTHY = 'health="unhealthy"'
_CALCS = ("mean", "max")


def _mine(expression: str) -> str:
    """Keep what belongs to the chosen app-style containers."""
    return f"({expression}) * on ({ID}) group_left () {info(_APP)}"


def _by_unit(expression: str, how: str = "sum") -> str:
    return f"{how} by (unit) (({expression}) * on ({ID}) group_left (unit) {_UNIT})"


def _labelled(metric: str, label: str = "image") -> str:
    return f"({host(metric)} * on ({ID}) group_left ({label}) {info(_APP)})"


def _top_units(expression: str, over_range: str, how: str = "sum") -> str:
    chosen = _by_unit(over_range, how)
    return f"{_by_unit(expression, how)} and on (unit) topk($top, {chosen})"


def _top_rate(*counters: str) -> str:
    def together(window: str) -> str:
        return " + ".join(rate(counter, window=window) for counter in counters)

    return _top_units(together(RATE), together(END))


def _top_gauge(gauge: str, how: str = "sum") -> str:
    return _top_units(gauge, f"sum_over_time({gauge}{END})", how)


_WRITTEN = _labelled("tallyman_container_writable_layer_bytes", "name")

_OVERVIEW = Line(
    4,
    (
        (
            6,
            figures(
                "App-style containers",
                "Those that run now, and those of them that were started within the time shown: "
                "short lives and restarts.",
                Figure(
                    name="running",
                    expr=f"count({_mine(host('tallyman_container_state', _RUNNING))}){_ZERO}",
                    colour=BLUE,
                ),
                Figure(name="started", expr=f"count({_mine(_FRESH)}){_ZERO}"),
            ),
        ),
        (
            9,
            figures(
                "Went wrong",
                "Over the time shown: restarts by the engine itself and processes killed for want "
                "of memory. Failed are stopped containers that ended with an error and that the "
                "engine still keeps.",
                Figure(
                    name="restarts",
                    expr=f"sum({_mine(increase('tallyman_container_restarts_total'))}){_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
                Figure(
                    name="OOM kills",
                    expr=f"sum({_mine(increase('container_oom_events_total'))}){_ZERO}",
                    steps=BAD_IF_ANY,
                ),
                Figure(name="failed", expr=f"count({_mine(_FAILED)}){_ZERO}", steps=WATCH_IF_ANY),
            ),
        ),
        (
            9,
            figures(
                "Is wrong now",
                "Unhealthy by their own check; throttled, kept from the CPU in more than a "
                "quarter of the periods; without a memory limit, free to take all of the host's.",
                Figure(
                    name="unhealthy",
                    expr=f"count({_mine(host('tallyman_container_health', _UNHEALTHY))}){_ZERO}",
                    steps=BAD_IF_ANY,
                ),
                Figure(
                    name="throttled",
                    expr=f"count({recorded(_THROTTLED, _APP)} > 0.25){_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
                Figure(
                    name="no memory limit",
                    expr=f"count({_mine(host('container_spec_memory_limit_bytes') + ' == 0')})"
                    f"{_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
            ),
        ),
    ),
)

_APPLICATIONS = Line(
    11,
    (
        (
            24,
            rows(
                "Applications",
                "One row for each image, Compose service, pod …, as chosen by Group by. "
                "Of limit and throttled are those of the worst container; restarts and OOM kills "
                "are of the time shown.",
                (Key(label="unit", title="Application", width=230, grows=True),),
                (
                    Column(
                        title="Containers",
                        expr=_by_unit(host("container_processes"), "count"),
                        width=95,
                    ),
                    Column(
                        title="CPU",
                        expr=_by_unit(rate("container_cpu_usage_seconds_total")),
                        unit="cores",
                        decimals=2,
                        gauge=True,
                        steps=((None, BLUE),),
                        width=125,
                    ),
                    Column(
                        title="Memory",
                        expr=_by_unit(host("container_memory_working_set_bytes")),
                        unit="bytes",
                        gauge=True,
                        steps=((None, BLUE),),
                        width=140,
                    ),
                    Column(
                        title="Of limit",
                        expr=_by_unit(recorded(_RATIO, _APP), "max"),
                        unit="percentunit",
                        decimals=0,
                        steps=SHARE,
                        width=85,
                    ),
                    Column(
                        title="Throttled",
                        expr=_by_unit(recorded(_THROTTLED, _APP), "max"),
                        unit="percentunit",
                        decimals=0,
                        steps=((None, "text"), (0.25, ORANGE)),
                        width=95,
                    ),
                    Column(
                        title="Restarts",
                        expr=_by_unit(increase("tallyman_container_restarts_total")),
                        decimals=0,
                        steps=((None, "text"), (1, ORANGE)),
                        width=100,
                    ),
                    Column(
                        title="OOM kills",
                        expr=_by_unit(increase("container_oom_events_total")),
                        decimals=0,
                        steps=((None, "text"), (1, RED)),
                        width=90,
                    ),
                ),
                sort="CPU",
                empty="no app-style container runs",
            ),
        ),
    ),
)

_USE = Row(
    "Use by application",
    (
        Line(
            10,
            (
                (
                    12,
                    graph(
                        "CPU by application",
                        "Of the busiest over the time shown.",
                        query(_top_rate("container_cpu_usage_seconds_total"), _LEGEND),
                        unit="cores",
                        legend=_CALCS,
                        empty="no app-style container runs",
                    ),
                ),
                (
                    12,
                    graph(
                        "Memory by application",
                        "Working sets, of those that held most over the time shown.",
                        query(_top_gauge(host("container_memory_working_set_bytes")), _LEGEND),
                        unit="bytes",
                        legend=_CALCS,
                        empty="no app-style container runs",
                    ),
                ),
            ),
        ),
        Line(
            9,
            (
                (
                    8,
                    graph(
                        "Memory against limit",
                        "The container closest to its limit, of each application. Containers "
                        "without a limit are not here.",
                        query(_top_gauge(recorded(_RATIO, _APP), "max"), _LEGEND),
                        unit="percentunit",
                        high=1,
                        steps=((None, "transparent"), (0.9, RED)),
                        legend=_CALCS,
                        empty="no container has a memory limit",
                    ),
                ),
                (
                    8,
                    graph(
                        "Throttled periods",
                        "Share of periods in which a container with a CPU quota was kept waiting; "
                        "the worst container of each application.",
                        query(_top_gauge(recorded(_THROTTLED, _APP), "max"), _LEGEND),
                        unit="percentunit",
                        high=1,
                        legend=_CALCS,
                        empty="no container has a CPU quota",
                    ),
                ),
                (
                    8,
                    graph(
                        "Network by application",
                        "Bytes received and sent, of containers with a network of their own.",
                        query(
                            _top_rate(
                                "container_network_receive_bytes_total",
                                "container_network_transmit_bytes_total",
                            ),
                            _LEGEND,
                        ),
                        unit="Bps",
                        legend=_CALCS,
                        empty="no container has a network of its own",
                    ),
                ),
            ),
        ),
    ),
)

_TROUBLE = Row(
    "Restarts, health and ends",
    (
        Line(
            8,
            (
                (
                    8,
                    graph(
                        "Restarts by application",
                        "Restarts by the engine within each step.",
                        query(
                            f"{_by_unit(increase('tallyman_container_restarts_total', '', RATE))}"
                            " > 0",
                            _LEGEND,
                        ),
                        bars=True,
                        stacked=True,
                        empty="no restarts",
                    ),
                ),
                (
                    8,
                    graph(
                        "OOM kills by application",
                        "Processes that the kernel killed for want of memory within each step.",
                        query(
                            f"{_by_unit(increase('container_oom_events_total', '', RATE))} > 0",
                            _LEGEND,
                        ),
                        bars=True,
                        stacked=True,
                        empty="no OOM kills",
                    ),
                ),
                (
                    8,
                    states(
                        "Health checks",
                        "Containers that have a health check of their own.",
                        query(
                            total(NAMED, who(f"{host('container_health_state')} >= 0", _APP)),
                            "{{name}}",
                        ),
                        values={"1": ("healthy", GREEN), "0": ("not healthy", RED)},
                        empty="no container has a health check",
                    ),
                ),
            ),
        ),
        Line(
            8,
            (
                (
                    16,
                    rows(
                        "Ended containers",
                        "Stopped ones that the engine keeps, and removed ones for five minutes. "
                        "137 is a kill: by a person, a time-out or the kernel.",
                        container_keys("engine", "style"),
                        (
                            Column(
                                title="Exit code",
                                expr=total(WHO, who(host("tallyman_container_exit_code"), _APP)),
                                steps=((None, GREEN), (1, ORANGE)),
                                width=85,
                            ),
                            Column(
                                title="OOM",
                                expr=total(WHO, who(host("tallyman_container_oom_killed"), _APP)),
                                values={"1": ("killed", RED), "0": ("no", "text")},
                                width=90,
                            ),
                            Column(
                                title="Lived",
                                expr=total(
                                    WHO,
                                    who(
                                        f"{host('tallyman_container_finished_seconds')} - "
                                        f"{host('tallyman_container_started_seconds')}",
                                        _APP,
                                    ),
                                ),
                                unit="s",
                                width=85,
                            ),
                            Column(
                                title="Ended",
                                expr=total(
                                    WHO, who(host("tallyman_container_finished_seconds"), _APP)
                                )
                                + " * 1000",
                                unit="dateTimeFromNow",
                                width=115,
                            ),
                        ),
                        sort="Ended",
                        empty="nothing that ended is still known",
                    ),
                ),
                (
                    8,
                    graph(
                        "Short lives",
                        "Containers that were started within five minutes, by application.",
                        query(
                            _by_unit(
                                f"(time() - {host('tallyman_container_started_seconds')} < 300)",
                                "count",
                            ),
                            _LEGEND,
                        ),
                        bars=True,
                        stacked=True,
                        decimals=0,
                        empty="nothing was started",
                    ),
                ),
            ),
        ),
    ),
)

_IMAGES = Row(
    "Images and drift",
    (
        Line(
            9,
            (
                (
                    8,
                    bars(
                        "Oldest images",
                        "Time since the image was built.",
                        now(
                            f"topk($top, max by (image) (time() - "
                            f"{_labelled('tallyman_container_image_created_seconds')}))",
                            "{{image}}",
                        ),
                        unit="s",
                        colour=BLUE,
                        empty="no image says when it was built",
                    ),
                ),
                (
                    8,
                    bars(
                        "Largest images",
                        "Size of the images that containers were made from.",
                        now(
                            "topk($top, max by (image) "
                            f"({_labelled('tallyman_container_image_size_bytes')}))",
                            "{{image}}",
                        ),
                        unit="bytes",
                        colour=BLUE,
                        empty="no image says its size",
                    ),
                ),
                (
                    8,
                    bars(
                        "Most written over the image",
                        "Size of the writable layer: what is lost when the container is replaced.",
                        now(
                            f"topk($top, {total(NAMED, _WRITTEN)})",
                            "{{name}}",
                        ),
                        unit="bytes",
                        colour=BLUE,
                        empty="no engine says how much was written",
                    ),
                ),
            ),
        ),
        Line(
            8,
            (
                (
                    24,
                    rows(
                        "Findings of app-style containers",
                        "Practices that the model warns of; tallyman explain NAME says what each "
                        "means and what to do. Confidence is that of the verdict.",
                        (*container_keys("engine", "style"), Key(label="finding", title="Finding")),
                        (
                            Column(
                                title="Confidence",
                                expr=total(
                                    f"{WHO}, finding",
                                    f"({host('tallyman_container_finding')} * on ({ID}) "
                                    "group_left () "
                                    f"{host('tallyman_container_style_confidence')})"
                                    f" * on ({ID}) group_left (name, engine, style) {info(_APP)}",
                                ),
                                unit="percentunit",
                                decimals=0,
                                width=120,
                            ),
                        ),
                        sort="Confidence",
                        empty="no findings",
                    ),
                ),
            ),
        ),
    ),
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
        variables.engine(_APP),
        variables.containers(_APP),
        variables.grouping(),
        variables.busiest(),
    ),
    rows=(Row("", (_OVERVIEW, _APPLICATIONS)), _USE, _TROUBLE, _IMAGES),
    annotations=(
        Annotation(
            name="OOM kill",
            expr=f"{_mine(increase('container_oom_events_total', '', '[2m]'))} > 0",
            text="{{name}} on {{instance}}",
            colour=RED,
        ),
    ),
)
