"""One container: everything of it, with its verdict axis by axis, and its history."""

from __future__ import annotations

from dashboards import variables
from dashboards.boards.why import WHY
from dashboards.columns import count, share
from dashboards.common import EXIT, disk, network, oom_kills, pressure, starts, turns
from dashboards.layout import Board, line, row
from dashboards.links import to_host
from dashboards.panels import (
    BAD_IF_ANY,
    PLAIN,
    SHARE,
    WATCH_IF_ANY,
    Figure,
    figures,
    graph,
    query,
    states,
)
from dashboards.promql import ID, increase, one_of_each
from dashboards.tables import Column, Key, rows
from dashboards.theme import BLUE, GREEN, GREY, ORANGE, RED, STYLE_COLOURS, TEXT, Uid
from dashboards.this_container import THIS, this, this_increase, this_rate

_LIMIT = f"{this('container_spec_memory_limit_bytes')} > 0"
_QUOTA = f"{this('container_spec_cpu_quota')} / {this('container_spec_cpu_period')}"
_IDENTITY = (
    "job, instance, id, name, engine, style, expected_style, image, hostname, network, oci_runtime"
)

_WHO = line(
    4,
    rows(
        "Who it is",
        "Facts from the engine and the kernel. Expected is the style that its engine was made "
        "for, or told to run.",
        (
            Key("name", "Name"),
            Key("instance", "Host", link=to_host(), width=132),
            Key("engine", "Engine", width=85),
            Key("style", "Style", width=70),
            Key("expected_style", "Expected", width=78),
            Key("image", "Image or template"),
            Key("hostname"),
            Key("network", "Network", width=75),
            Key("oci_runtime"),
            Key("job"),
            Key("id"),
        ),
        (
            share(
                "Confidence",
                f"sum by ({_IDENTITY}) ({one_of_each(this('tallyman_container_info'))} * on ({ID}) "
                f"group_left () {this('tallyman_container_style_confidence')})",
                95,
                PLAIN,
            ),
        ),
        filters=False,
        empty="there is no such container now",
    ),
)

_NUMBERS = line(
    4,
    (
        10,
        figures(
            "Life",
            "Time since it was last started; over the time shown, restarts by its engine and "
            "processes killed because memory ran out; its exit code if it is stopped.",
            Figure("up for", f"time() - {this('container_start_time_seconds')}", unit="s"),
            Figure(
                "restarts", this_increase("tallyman_container_restarts_total"), steps=WATCH_IF_ANY
            ),
            Figure("OOM kills", this_increase("container_oom_events_total"), steps=BAD_IF_ANY),
            Figure("exit code", this("tallyman_container_exit_code"), steps=EXIT),
        ),
    ),
    (
        7,
        figures(
            "Against its limits",
            "Working set against the memory limit, CPU against the quota, and files against the "
            "size of its disk or quota; missing where there is no limit.",
            Figure(
                "memory", f"{this('container_memory_working_set_bytes')} / ({_LIMIT})", steps=SHARE
            ),
            Figure(
                "CPU",
                f"{this_rate('container_cpu_usage_seconds_total')} / max({_QUOTA})",
                steps=SHARE,
            ),
            Figure(
                "disk",
                f"sum({this('container_fs_usage_bytes')}) / "
                f"(sum({this('container_fs_limit_bytes')}) > 0)",
                steps=SHARE,
            ),
            unit="percentunit",
            empty="no limits",
        ),
    ),
    (
        7,
        figures(
            "Image",
            "Size of its image, and time since the image was built.",
            Figure("size", this("tallyman_container_image_size_bytes"), unit="bytes"),
            Figure("age", f"time() - {this('tallyman_container_image_created_seconds')}", unit="s"),
            empty="no image",
        ),
    ),
)


def _of_style(style: str) -> str:
    matcher = f'style="{style}"'
    return this("tallyman_container_info", matcher)


_STATES = tuple(
    enumerate(
        (
            ("running", "running", GREEN),
            ("created", "created", GREY),
            ("paused|suspended|mounted", "held", BLUE),
            ("restarting|removing|unknown", "in between", ORANGE),
            ("exited", "exited", RED),
            ("dead", "dead", RED),
        ),
        20,
    )
)
"""What each state is shown as, and the number that stands for it."""


def _of_state(number: int, shown: tuple[str, str, str]) -> str:
    matcher = f'state=~"{shown[0]}"'
    return f"{this('tallyman_container_state', matcher)} * {number}"


_HISTORY = line(
    5,
    states(
        "State, style and health",
        "State according to its engine, style according to the verdict, and its own health check "
        "if it has one.",
        query(
            f"max({' or '.join(_of_state(*of) for of in _STATES)})",
            "state",
        ),
        query(
            f"max({_of_style('app')} * 10 or {_of_style('system')} * 11 or "
            f"{_of_style('unknown')} * 12)",
            "style",
        ),
        query(f"{this('container_health_state')} + 2 > 1", "health"),
        values={
            **{str(number): (text, colour) for number, (_, text, colour) in _STATES},
            "2": ("not healthy", RED),
            "3": ("healthy", GREEN),
            "10": ("app", STYLE_COLOURS["app"]),
            "11": ("system", STYLE_COLOURS["system"]),
            "12": ("unknown", STYLE_COLOURS["unknown"]),
        },
        empty="there was no such container",
    ),
)


def _faults(kind: str) -> str:
    # cAdvisor has the same once more under another scope.
    matchers = f'failure_type="{kind}",scope="container"'
    return this_rate("container_memory_failures_total", matchers)


_USE = row(
    "Use",
    line(
        8,
        graph(
            "CPU",
            "CPUs kept busy, in user mode and in the kernel, and its quota if it has one.",
            query(this_rate("container_cpu_user_seconds_total"), "user"),
            query(this_rate("container_cpu_system_seconds_total"), "kernel"),
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
                f"{this_rate('container_cpu_cfs_throttled_periods_total')} / "
                f"{this_rate('container_cpu_cfs_periods_total')}",
                "throttled",
            ),
            unit="percentunit",
            high=1,
            colours={"throttled": ORANGE},
            empty="it has no CPU quota",
        ),
        pressure(
            "Pressure on it",
            "Share of time in which some of its tasks waited for CPU, memory or I/O.",
            THIS,
            "this kernel has no PSI for it",
        ),
    ),
    line(
        8,
        graph(
            "Memory",
            "Anonymous memory, page cache and the working set, which the kernel cannot reclaim "
            "easily; and the limit.",
            query(this("container_memory_working_set_bytes"), "working set"),
            query(this("container_memory_rss"), "anonymous"),
            query(this("container_memory_cache"), "page cache"),
            query(this("container_memory_swap"), "swap"),
            query(_LIMIT, "limit"),
            unit="bytes",
            colours={"limit": RED},
            dashed=("limit",),
            empty="not running",
        ),
        graph(
            "Page faults",
            "Faults a second; major ones had to read from disk.",
            query(_faults("pgfault"), "all"),
            query(_faults("pgmajfault"), "major"),
            empty="not running",
        ),
        graph(
            "Processes and threads",
            "Including those of inner cgroups.",
            query(this("container_processes"), "processes"),
            query(this("container_threads"), "threads"),
            decimals=0,
            empty="not running",
        ),
    ),
    line(
        8,
        disk(THIS, "it read and wrote nothing"),
        network(THIS, "no traffic, or no network of its own"),
        graph(
            "Files",
            "Space that its files take, and its limit: the writable layer alone, and with its "
            "log; or its disk. The layer needs a quota or the agent's --inventory.walk.",
            query(this("tallyman_container_writable_layer_bytes"), "writable layer"),
            query(f"sum({this('container_fs_usage_bytes')})", "in use"),
            query(f"sum({this('container_fs_limit_bytes')}) > 0", "limit"),
            unit="bytes",
            colours={"limit": RED},
            dashed=("limit",),
            empty="see --inventory.walk",
        ),
    ),
)

_NO_OPENVZ = "not an OpenVZ container"


def _counter(name: str) -> str:
    return f"sum by (resource) ({this(f'tallyman_openvz_beancounter_{name}')})"


def _amount(title: str, name: str) -> Column:
    return Column(title, _counter(name), unit="si:", decimals=1, width=85)


def _of_quota(used: str, limit: str) -> str:
    return f"{this(f'tallyman_openvz_{used}')} / ({this(f'tallyman_openvz_{limit}')} > 0)"


_OPENVZ = row(
    "OpenVZ",
    line(
        9,
        (
            14,
            rows(
                "Beancounters",
                "Amount held now and at most, and the bounds; memory in bytes, else counts. "
                "Unlimited resources are left out.",
                (Key("resource", "Resource", width=110, grows=True),),
                (
                    _amount("Held", "held"),
                    _amount("At most", "maxheld"),
                    _amount("Barrier", "barrier"),
                    _amount("Limit", "limit"),
                    share("Of limit", f"{_counter('held')} / ({_counter('limit')} > 0)"),
                    count(
                        "Refused",
                        "sum by (resource) "
                        f"({increase('tallyman_openvz_beancounter_failures_total', THIS)})",
                        80,
                        ((None, TEXT), (1, RED)),
                    ),
                ),
                sort="Of limit",
                empty=_NO_OPENVZ,
            ),
        ),
        graph(
            "Load",
            "Load averages, and the CPUs that it sees.",
            *(
                query(this(f"tallyman_openvz_load{minutes}"), f"{minutes} min")
                for minutes in (1, 5, 15)
            ),
            query(this("tallyman_openvz_cpus"), "CPUs"),
            colours={"CPUs": RED},
            dashed=("CPUs",),
            decimals=2,
            empty=_NO_OPENVZ,
        ),
    ),
    line(
        7,
        graph(
            "Quotas",
            "What is used of the disk quota, of the inodes and of swap.",
            query(_of_quota("disk_used_bytes", "disk_hard_limit_bytes"), "disk"),
            query(_of_quota("disk_inodes_used", "disk_inodes_hard_limit"), "inodes"),
            query(_of_quota("swap_used_bytes", "swap_limit_bytes"), "swap"),
            unit="percentunit",
            high=1,
            steps=((None, "transparent"), (0.9, RED)),
            empty=_NO_OPENVZ,
        ),
    ),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.ONE,
    title="One container",
    about="Everything about one container: its verdict axis by axis, findings, use against limits "
    "and history.",
    variables=(
        variables.datasource(),
        variables.one_job(),
        variables.instance(),
        variables.engine(),
        variables.style(),
        variables.container(),
        variables.identity(),
    ),
    rows=(row("", _WHO, _NUMBERS, _HISTORY), WHY, _USE, _OPENVZ),
    since="now-3h",
    annotations=(
        starts(more=THIS, on=True),
        oom_kills(more=THIS, on=True),
        turns(more=THIS, on=True),
    ),
)
