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
            "Those that answer, those that Prometheus could not scrape, and those that have not "
            "made their first full picture yet: no host sums before.",
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
            "Those whose last run did not succeed, and over the time shown: reads that were not "
            "permitted (what the agent is blind to), and reads of what was not as it should be.",
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
            "Containers and series beyond the caps: they are not on any dashboard.",
            *(
                Figure(what, f"sum({host(f'tallyman_dropped_{what}')})", steps=BAD_IF_ANY)
                for what in ("containers", "series")
            ),
        ),
    ),
    figures(
        "Cost",
        "CPUs that all agents together keep busy.",
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
            "Whether Prometheus could scrape each.",
            query(total(_HOST, host("up")), _WHERE),
            values={"1": ("up", GREEN), "0": ("down", RED)},
            empty="no agents",
        ),
    ),
    states(
        "Collectors over time",
        "Whether the last run of each succeeded. One that may not read what it needs fails here; "
        "it never shows as an empty graph.",
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
            "What runs where, how old the picture is that it shows, and how long the last start or "
            "end of a container took to be known.",
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
        "Age of the last success, how long a run takes, what it found and, over the time shown, "
        "was refused.",
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
            "Reads a second, by collector. tallyman check on the host says what is lost by it.",
            query(f"{rate('tallyman_collector_denied_total')} > 0", _COLLECTOR),
            empty="nothing was denied",
        ),
        graph(
            "Malformed reads",
            "Reads a second, by collector: a kernel or an engine that writes what is not known "
            "here.",
            query(f"{rate('tallyman_collector_malformed_total')} > 0", _COLLECTOR),
            empty="nothing was malformed",
        ),
        (
            12,
            graph(
                "Collector durations",
                "How long the last run of each took; in the background, never on a scrape.",
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
            "How old the inventory is that a scrape shows; it is never waited for.",
            query(host("tallyman_inventory_age_seconds"), _WHERE),
            unit="s",
            link=series_to_host(),
        ),
        graph(
            "Event lag by host",
            "From the last container's start or end until it was known.",
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
            "serve answers Prometheus, scout looks at the host.",
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
            "As Prometheus measures it, network and parsing included.",
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
            "Samples of one scrape that Prometheus keeps.",
            query(host("scrape_samples_post_metric_relabeling"), _WHERE),
            link=series_to_host(),
        ),
        graph(
            "Kept descriptors",
            "Share of those that may stay open. At 100 % files are opened for each scrape, "
            "which costs more CPU.",
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
    about="The agents themselves: whether they see everything, how fresh it is, and what they "
    "cost.",
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
