"""Agent: whether the other dashboards can be believed, and what the agent costs."""

from __future__ import annotations

from dashboards import variables
from dashboards.columns import WORTH_A_LOOK, count
from dashboards.common import CALCS
from dashboards.layout import Annotation, Board, line, row
from dashboards.links import series_to_host, to_host
from dashboards.panels import BAD_IF_ANY, WATCH_IF_ANY, Figure, figures, graph, query, states
from dashboards.promql import host, increase, rate, total, zero
from dashboards.tables import Column, Key, rows
from dashboards.theme import BLUE, GREEN, GREY, RED, Uid

_HOST = "job, instance"
_COLLECTORS = f"{_HOST}, collector"
_WHERE = "{{instance}}"
_COLLECTOR = "{{collector}} on {{instance}}"
_PROCESS = "{{process}} on {{instance}}"
_NONE_YET = "no collector has run yet"

_OVERVIEW = line(
    4,
    (
        8,
        figures(
            "Agents",
            "Agents that answer, agents that Prometheus could not scrape, and agents whose first "
            "inventory is not complete yet: they export no host totals.",
            Figure("up", zero(f"count({host('up')} == 1)")),
            Figure("down", zero(f"count({host('up')} == 0)"), steps=BAD_IF_ANY),
            Figure(
                "starting",
                zero(f"count({host('tallyman_inventory_complete')} == 0)"),
                steps=WATCH_IF_ANY,
            ),
        ),
    ),
    (
        8,
        figures(
            "Collectors",
            "Collectors whose last run failed, and over the time shown: reads that failed for "
            "lack of permission, and reads of malformed data.",
            Figure(
                "failing",
                zero(f"count({host('tallyman_collector_success')} == 0)"),
                steps=BAD_IF_ANY,
            ),
            *(
                Figure(
                    what,
                    zero(f"sum({increase(f'tallyman_collector_{what}_total')})"),
                    steps=WATCH_IF_ANY,
                )
                for what in ("denied", "malformed")
            ),
        ),
    ),
    (
        5,
        figures(
            "Left out",
            "Containers and series above the limits: they are on no dashboard.",
            *(
                Figure(what, f"sum({host(f'tallyman_dropped_{what}')})", steps=BAD_IF_ANY)
                for what in ("containers", "series")
            ),
        ),
    ),
    figures(
        "Cost",
        "CPUs kept busy by all agents together.",
        Figure("CPUs", f"sum({rate('tallyman_process_cpu_seconds_total')})", colour=BLUE),
        decimals=3,
    ),
)

_STATES = line(
    9,
    (
        9,
        states(
            "Agents over time",
            "Whether Prometheus could scrape each agent.",
            query(total(_HOST, host("up")), _WHERE),
            values={"1": ("up", GREEN), "0": ("down", RED)},
            empty="no agents",
        ),
    ),
    states(
        "Collectors over time",
        "Whether the last run of each collector succeeded. A collector that lacks permission "
        "fails here; it never shows as an empty graph.",
        query(host("tallyman_collector_success"), _COLLECTOR),
        values={"1": ("succeeds", GREEN), "0": ("fails", RED)},
        empty=_NONE_YET,
    ),
)


def _of_build(gauge: str) -> str:
    build = host("tallyman_build_info")
    return f"sum by ({_HOST}, version, python) ({build} * on ({_HOST}) group_left () {host(gauge)})"


def _of_collector(expression: str) -> str:
    return total(_COLLECTORS, expression)


_TABLES = line(
    9,
    (
        10,
        rows(
            "Versions and age",
            "Versions by host, the age of the inventory that is shown, and the delay until the "
            "last start or end of a container was noticed.",
            (
                Key("instance", "Host", link=to_host(), width=132, grows=True),
                Key("version", "Version", width=85),
                Key("python"),
                Key("job"),
            ),
            (
                Column(
                    "Age",
                    _of_build("tallyman_inventory_age_seconds"),
                    unit="s",
                    decimals=1,
                    width=70,
                ),
                Column(
                    "Event lag",
                    _of_build("tallyman_event_lag_seconds"),
                    unit="s",
                    decimals=1,
                    width=82,
                ),
            ),
            sort="Age",
            empty="no agents",
        ),
    ),
    rows(
        "Collectors and what they saw",
        "Time since the last success, duration of the last run, containers found and, over the "
        "time shown, reads denied.",
        (
            Key("collector", "Collector", width=90, grows=True),
            Key("instance", "Host", link=to_host(), width=132),
            Key("job"),
        ),
        (
            Column(
                "Succeeded",
                _of_collector(
                    f"time() - {host('tallyman_collector_last_success_timestamp_seconds')}"
                ),
                unit="s",
                decimals=0,
                width=92,
            ),
            Column(
                "Took",
                _of_collector(host("tallyman_collector_duration_seconds")),
                unit="s",
                decimals=1,
                width=78,
            ),
            count("Saw", _of_collector(host("tallyman_collector_containers")), 50),
            count(
                "Denied",
                _of_collector(increase("tallyman_collector_denied_total")),
                70,
                WORTH_A_LOOK,
            ),
        ),
        sort="Succeeded",
        empty=_NONE_YET,
    ),
)

_BLIND = row(
    "What it could not see",
    line(
        8,
        graph(
            "Denied reads",
            "Reads a second, by collector. tallyman check on the host says what is missing "
            "because of them.",
            query(f"{rate('tallyman_collector_denied_total')} > 0", _COLLECTOR),
            empty="nothing was denied",
        ),
        graph(
            "Malformed reads",
            "Reads a second, by collector: a kernel or an engine writes a format that the agent "
            "does not know.",
            query(f"{rate('tallyman_collector_malformed_total')} > 0", _COLLECTOR),
            empty="nothing was malformed",
        ),
        (
            12,
            graph(
                "Collector durations",
                "Duration of the last run of each collector; they run in the background, never "
                "during a scrape.",
                query(host("tallyman_collector_duration_seconds"), _COLLECTOR),
                unit="s",
                legend=CALCS,
                empty=_NONE_YET,
            ),
        ),
    ),
    line(
        8,
        graph(
            "Inventory age by host",
            "Age of the inventory that a scrape shows; a scrape never waits for a newer one.",
            query(host("tallyman_inventory_age_seconds"), _WHERE),
            unit="s",
            link=series_to_host(),
        ),
        graph(
            "Event lag by host",
            "Delay from the last start or end of a container until the agent noticed it.",
            query(host("tallyman_event_lag_seconds"), _WHERE),
            unit="s",
            link=series_to_host(),
            empty="nothing has started or ended yet",
        ),
    ),
)

_COST = row(
    "What it costs",
    line(
        8,
        graph(
            "CPU by process",
            "serve answers Prometheus, scout finds and judges containers.",
            query(rate("tallyman_process_cpu_seconds_total"), _PROCESS),
            unit="cores",
            legend=CALCS,
        ),
        graph(
            "Memory by process",
            "Resident memory.",
            query(host("tallyman_process_resident_memory_bytes"), _PROCESS),
            unit="bytes",
            legend=CALCS,
        ),
    ),
    line(
        8,
        graph(
            "Scrape duration",
            "As measured by Prometheus, including network and parsing.",
            query(host("scrape_duration_seconds"), _WHERE),
            unit="s",
            link=series_to_host(),
        ),
        graph(
            "Scrape by phase",
            "Reading counters, encoding and compressing the page; mean over all hosts.",
            query(
                f"sum by (phase) ({rate('tallyman_scrape_seconds_total')}) "
                f"/ on () group_left () sum({rate('tallyman_scrapes_total')})",
                "{{phase}}",
            ),
            unit="s",
            stacked=True,
        ),
        graph(
            "Series by host",
            "Samples of one scrape that Prometheus stores.",
            query(host("scrape_samples_post_metric_relabeling"), _WHERE),
            link=series_to_host(),
        ),
        graph(
            "Kept descriptors",
            "Open file descriptors against the most that are kept. At 100 % further files are "
            "opened at each scrape, which costs more CPU.",
            query(
                f"{host('tallyman_kept_descriptors')} / {host('tallyman_kept_descriptors_limit')}",
                _WHERE,
            ),
            unit="percentunit",
            high=1,
        ),
    ),
)

BOARD = Board(
    uid=Uid.AGENT,
    title="Agent",
    about="The agents themselves: whether they see everything, how fresh their data is, and what "
    "they cost.",
    variables=(variables.datasource(), variables.job(), variables.instances()),
    rows=(row("", _OVERVIEW, _STATES, _TABLES), _BLIND, _COST),
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
