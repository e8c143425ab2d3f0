"""Agent: whether the other dashboards can be believed, and what the agent costs."""

from __future__ import annotations

from dashboards import variables
from dashboards.layout import Annotation, Board, Line, Row
from dashboards.links import series_to_host, to_host
from dashboards.look import BLUE, GREEN, GREY, ORANGE, RED, Uid
from dashboards.panels import (
    BAD_IF_ANY,
    WATCH_IF_ANY,
    Figure,
    figures,
    graph,
    number,
    query,
    states,
)
from dashboards.promql import host, increase, rate, total
from dashboards.tables import Column, Key, rows

_HOST = "job, instance"
_WHERE = "{{instance}}"
_COLLECTOR = "{{instance}} {{collector}}"
_ZERO = " or vector(0)"
_DOWN = {"1": ("up", GREEN), "0": ("down", RED)}
_OK = {"1": ("succeeds", GREEN), "0": ("fails", RED)}

_OVERVIEW = Line(
    4,
    (
        (
            8,
            figures(
                "Agents",
                "Those that answer, those that Prometheus could not scrape, and those that have "
                "not made their first full picture yet: no host sums before.",
                Figure(name="up", expr=f"count({host('up')} == 1){_ZERO}"),
                Figure(name="down", expr=f"count({host('up')} == 0){_ZERO}", steps=BAD_IF_ANY),
                Figure(
                    name="not complete",
                    expr=f"count({host('tallyman_inventory_complete')} == 0){_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
            ),
        ),
        (
            8,
            figures(
                "Collectors",
                "Those whose last run did not succeed, and over the time shown: reads that were "
                "not permitted (what the agent is blind to), and reads of what was not as it "
                "should be.",
                Figure(
                    name="failing",
                    expr=f"count({host('tallyman_collector_success')} == 0){_ZERO}",
                    steps=BAD_IF_ANY,
                ),
                Figure(
                    name="denied",
                    expr=f"sum({increase('tallyman_collector_denied_total')}){_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
                Figure(
                    name="malformed",
                    expr=f"sum({increase('tallyman_collector_malformed_total')}){_ZERO}",
                    steps=WATCH_IF_ANY,
                ),
            ),
        ),
        (
            5,
            figures(
                "Left out",
                "Containers and series beyond the caps: they are not on any dashboard.",
                Figure(
                    name="containers",
                    expr=f"sum({host('tallyman_dropped_containers')})",
                    steps=BAD_IF_ANY,
                ),
                Figure(
                    name="series",
                    expr=f"sum({host('tallyman_dropped_series')})",
                    steps=BAD_IF_ANY,
                ),
            ),
        ),
        (
            3,
            number(
                "CPU",
                "CPUs that all agents together keep busy.",
                query(f"sum({rate('tallyman_process_cpu_seconds_total')})"),
                unit="cores",
                decimals=3,
                spark=True,
                colour=BLUE,
            ),
        ),
    ),
)

_STATES = Line(
    9,
    (
        (
            12,
            states(
                "Agents over time",
                "Whether Prometheus could scrape each.",
                query(total(_HOST, host("up")), _WHERE),
                values=_DOWN,
                empty="no agents",
            ),
        ),
        (
            12,
            states(
                "Collectors over time",
                "Whether the last run of each succeeded. One that may not read what it needs "
                "fails here; it never shows as an empty graph.",
                query(host("tallyman_collector_success"), _COLLECTOR),
                values=_OK,
                empty="no collector has run yet",
            ),
        ),
    ),
)

_TABLES = Line(
    9,
    (
        (
            9,
            rows(
                "Versions and age",
                "What runs where, and how old the picture is that it shows.",
                (
                    Key(label="instance", title="Host", link=to_host()),
                    Key(label="version", title="Version", width=85),
                    Key(label="python"),
                    Key(label="job"),
                ),
                (
                    Column(
                        title="Inventory age",
                        expr=f"sum by ({_HOST}, version, python) "
                        f"({host('tallyman_build_info')} * on ({_HOST}) group_left () "
                        f"{host('tallyman_inventory_age_seconds')})",
                        unit="s",
                        width=115,
                    ),
                    Column(
                        title="Event lag",
                        expr=f"sum by ({_HOST}, version, python) "
                        f"({host('tallyman_build_info')} * on ({_HOST}) group_left () "
                        f"{host('tallyman_event_lag_seconds')})",
                        unit="s",
                        decimals=2,
                        width=110,
                    ),
                ),
                sort="Inventory age",
                empty="no agents",
            ),
        ),
        (
            15,
            rows(
                "Collectors and what they saw",
                "Age of the last success, how long a run takes, what it found and was refused.",
                (
                    Key(label="collector", title="Collector"),
                    Key(label="instance", title="Host", link=to_host(), width=140),
                    Key(label="job"),
                ),
                (
                    Column(
                        title="Last success",
                        expr=total(
                            f"{_HOST}, collector",
                            f"time() - {host('tallyman_collector_last_success_timestamp_seconds')}",
                        ),
                        unit="s",
                        decimals=0,
                        width=110,
                    ),
                    Column(
                        title="Took",
                        expr=total(
                            f"{_HOST}, collector", host("tallyman_collector_duration_seconds")
                        ),
                        unit="s",
                        width=80,
                    ),
                    Column(
                        title="Saw",
                        expr=total(f"{_HOST}, collector", host("tallyman_collector_containers")),
                        width=70,
                    ),
                    Column(
                        title="Denied",
                        expr=total(
                            f"{_HOST}, collector",
                            increase("tallyman_collector_denied_total"),
                        ),
                        unit="none",
                        decimals=0,
                        steps=((None, "text"), (1, ORANGE)),
                        width=80,
                    ),
                ),
                sort="Last success",
                empty="no collector has run yet",
            ),
        ),
    ),
)

_BLIND = Row(
    "What it could not see",
    (
        Line(
            8,
            (
                (
                    8,
                    graph(
                        "Denied reads a second",
                        "By collector. tallyman check on the host says what is lost by it.",
                        query(f"{rate('tallyman_collector_denied_total')} > 0", _COLLECTOR),
                        empty="nothing was denied",
                    ),
                ),
                (
                    8,
                    graph(
                        "Malformed reads a second",
                        "By collector: a kernel or an engine that writes what is not known here.",
                        query(f"{rate('tallyman_collector_malformed_total')} > 0", _COLLECTOR),
                        empty="nothing was malformed",
                    ),
                ),
                (
                    8,
                    graph(
                        "Collector durations",
                        "How long the last run of each took; in the background, never on a scrape.",
                        query(host("tallyman_collector_duration_seconds"), _COLLECTOR),
                        unit="s",
                        legend=("mean", "max"),
                        empty="no collector has run yet",
                    ),
                ),
            ),
        ),
    ),
)

_COST = Row(
    "What it costs",
    (
        Line(
            8,
            (
                (
                    8,
                    graph(
                        "CPU by process",
                        "serve answers Prometheus, scout looks at the host.",
                        query(
                            rate("tallyman_process_cpu_seconds_total"), "{{instance}} {{process}}"
                        ),
                        unit="cores",
                    ),
                ),
                (
                    8,
                    graph(
                        "Memory by process",
                        "Resident memory.",
                        query(
                            host("tallyman_process_resident_memory_bytes"),
                            "{{instance}} {{process}}",
                        ),
                        unit="bytes",
                    ),
                ),
                (
                    8,
                    graph(
                        "Scrape duration",
                        "As Prometheus measures it, network and parsing included.",
                        query(host("scrape_duration_seconds"), _WHERE),
                        unit="s",
                        link=series_to_host(),
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
                        "Time of a scrape by phase",
                        "Reading counters, encoding and compressing the page; mean over all hosts.",
                        query(
                            "sum by (phase) "
                            f"({rate('tallyman_scrape_seconds_total')}) / on () group_left () "
                            f"sum({rate('tallyman_scrapes_total')})",
                            "{{phase}}",
                        ),
                        unit="s",
                        stacked=True,
                    ),
                ),
                (
                    8,
                    graph(
                        "Series by host",
                        "Samples of one scrape that Prometheus keeps.",
                        query(host("scrape_samples_post_metric_relabeling"), _WHERE),
                        link=series_to_host(),
                    ),
                ),
                (
                    8,
                    graph(
                        "Kept descriptors",
                        "Share of those that may stay open. At 100 % files are opened for each "
                        "scrape, which costs more CPU.",
                        query(
                            f"{host('tallyman_kept_descriptors')} / "
                            f"{host('tallyman_kept_descriptors_limit')}",
                            _WHERE,
                        ),
                        unit="percentunit",
                        high=1,
                    ),
                ),
            ),
        ),
        Line(
            8,
            (
                (
                    12,
                    graph(
                        "Inventory age by host",
                        "How old the inventory is that a scrape shows; it is never waited for.",
                        query(host("tallyman_inventory_age_seconds"), _WHERE),
                        unit="s",
                    ),
                ),
                (
                    12,
                    graph(
                        "Event lag by host",
                        "From the last container's start or end until it was known.",
                        query(host("tallyman_event_lag_seconds"), _WHERE),
                        unit="s",
                        empty="nothing has started or ended yet",
                    ),
                ),
            ),
        ),
    ),
)

BOARD = Board(
    uid=Uid.AGENT,
    title="Agent",
    about="The agents themselves: whether they see everything, how fresh it is, and what they "
    "cost.",
    variables=(variables.datasource(), variables.job(), variables.instances()),
    rows=(Row("", (_OVERVIEW, _STATES, _TABLES)), _BLIND, _COST),
    annotations=(
        Annotation(
            name="Agent started",
            expr=f"{host('process_start_time_seconds')} * 1000",
            text="{{instance}}",
            colour=GREY,
            value_is_time=True,
            on=True,
        ),
    ),
)
