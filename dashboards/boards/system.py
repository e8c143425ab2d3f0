"""System-style: containers that are small servers. They live long, so each has a line by name."""

from __future__ import annotations

from dashboards import variables
from dashboards.columns import container_keys, count, cpu, share
from dashboards.common import (
    by_name,
    ended,
    findings,
    oom_kills,
    oom_kills_of,
    running_of,
    starts,
    throttled_of,
    turns,
)
from dashboards.layout import Board, line, row
from dashboards.links import series_to_container
from dashboards.panels import BAD_IF_ANY, Figure, figures, graph, query, states
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
    WHO,
    at_end,
    busiest,
    chosen,
    each,
    host,
    increase,
    largest,
    recorded,
    total,
    who,
    zero,
)
from dashboards.tables import Column, Key, rows
from dashboards.theme import PURPLE, RED, TEXT, Uid

_SYSTEM = "system"
_NAME = "{{name}}"
_RUNNING = 'state="running"'
_UPTIME = f"time() - {each(host('container_start_time_seconds'))}"
_DISK = (
    f"({host('tallyman_openvz_disk_used_bytes')} / {host('tallyman_openvz_disk_hard_limit_bytes')})"
    f" or on ({ID}) (sum by ({ID}) ({host('container_fs_usage_bytes')})"
    f" / sum by ({ID}) ({host('container_fs_limit_bytes')} > 0))"
)
_INODES = (
    f"({host('tallyman_openvz_disk_inodes_used')} / "
    f"({host('tallyman_openvz_disk_inodes_hard_limit')} > 0))"
)
_SWAP = (
    f"({host('tallyman_openvz_swap_used_bytes')} / "
    f"({host('tallyman_openvz_swap_limit_bytes')} > 0))"
)
_LOAD = f"({host('tallyman_openvz_load5')} / ({host('tallyman_openvz_cpus')} > 0))"
_FULL = ((None, "transparent"), (0.9, RED))
_NOBODY = "no system-style container runs"


def _chosen(expression: str) -> str:
    return chosen(expression, _SYSTEM)


def _named(expression: str) -> str:
    return total(NAMED, who(expression, _SYSTEM, "name"))


def _rows(expression: str) -> str:
    return total(WHO, who(expression, _SYSTEM))


def _top_share(share_of: str) -> str:
    """Draw a share of a limit, of those where it is largest at the end of the range."""
    return f"{_named(share_of)} and on ({ID}) topk($top, {at_end(_named(share_of))})"


_OVERVIEW = line(
    4,
    figures(
        "System-style containers",
        "Containers that run now, people who are logged in to them, and containers booted within "
        "the time shown.",
        running_of(_chosen, PURPLE),
        Figure("people", zero(f"sum({_chosen(host('tallyman_container_sessions'))})")),
        Figure("booted", zero(f"count({_chosen(f'{_UPTIME} < $__range_s')})")),
    ),
    figures(
        "Near a limit",
        "Containers above 90 % of their memory limit, disk quota or inode quota.",
        *(
            Figure(name, zero(f"count({of_limit} > 0.9)"), steps=BAD_IF_ANY)
            for name, of_limit in (
                ("memory", recorded(MEMORY_SHARE, _SYSTEM)),
                ("disk", _chosen(_DISK)),
                ("inodes", _chosen(_INODES)),
            )
        ),
    ),
    figures(
        "Refused and killed",
        "Over the time shown: allocations that beancounters refused (failcnt), and processes "
        "killed because memory ran out. Throttled: containers kept from the CPU in more than a "
        "quarter of the periods now.",
        Figure(
            "refused",
            zero(f"sum({_chosen(increase('tallyman_openvz_beancounter_failures_total'))})"),
            steps=BAD_IF_ANY,
        ),
        oom_kills_of(_chosen),
        throttled_of(recorded(THROTTLED, _SYSTEM)),
    ),
)

_SERVERS = rows(
    "Servers",
    "One row for each server; a name leads to its container. Load and swap are known only for "
    "OpenVZ; a share is missing where there is no limit.",
    container_keys("engine", "style"),
    (
        Column("Up for", _rows(_UPTIME), unit="s", decimals=1, width=90),
        count("Services", _rows(host("tallyman_container_services")), 75),
        count("Users", _rows(host("tallyman_container_users")), 60),
        cpu(total(WHO, recorded(CPU, _SYSTEM)), gauge=False),
        Column("Load", _rows(host("tallyman_openvz_load1")), decimals=2, width=60),
        share("Memory", total(WHO, recorded(MEMORY_SHARE, _SYSTEM)), 100, gauge=True),
        share("Swap", _rows(_SWAP), 60),
        share("Disk", _rows(_DISK), 60),
    ),
    sort="Memory",
    empty=_NOBODY,
)

_MEMORY = row(
    "Memory and swap",
    line(
        9,
        by_name(
            "Memory by server",
            "Working sets, of the servers that used most over the time shown.",
            largest(MEMORY, _SYSTEM),
            unit="bytes",
            empty=_NOBODY,
        ),
        by_name(
            "Memory against limit by server",
            "Working set against the limit, of the servers closest to it. Servers without a limit "
            "are not shown.",
            f"sum by ({NAMED}) ({recorded(MEMORY_SHARE, _SYSTEM)}) and on ({ID}) "
            f"topk($top, {at_end(recorded(MEMORY_SHARE, _SYSTEM))})",
            unit="percentunit",
            high=1,
            steps=_FULL,
            empty="no server has a memory limit",
        ),
        by_name(
            "Swap against limit by server",
            "Only OpenVZ reports both.",
            _top_share(_SWAP),
            unit="percentunit",
            high=1,
            empty="no server reports its swap",
        ),
    ),
)

_WORK = row(
    "CPU, load and people",
    line(
        9,
        by_name(
            "CPU by server",
            "The busiest over the time shown.",
            busiest("container_cpu_usage_seconds_total", style=_SYSTEM),
            unit="cores",
            empty=_NOBODY,
        ),
        by_name(
            "Load by CPU",
            "Load over five minutes for each CPU that the server sees: above 1, tasks wait. "
            "OpenVZ only.",
            _top_share(_LOAD),
            decimals=2,
            empty="no server reports its load",
        ),
        graph(
            "People logged in",
            "People who are logged in, by server.",
            query(f"{_named(host('tallyman_container_sessions'))} > 0", _NAME),
            decimals=0,
            stacked=True,
            link=series_to_container(),
            empty="nobody was logged in",
        ),
    ),
    line(
        9,
        by_name(
            "Processes by server",
            "Processes, of the servers that had most over the time shown.",
            largest("container_processes", _SYSTEM),
            decimals=0,
            empty=_NOBODY,
        ),
        by_name(
            "Network by server",
            "Bytes received and sent on its own interfaces.",
            busiest(*NETWORK, style=_SYSTEM),
            unit="Bps",
            empty="no server has a network of its own",
        ),
        by_name(
            "Disk reads and writes by server",
            "Bytes read and written on block devices.",
            busiest(*DISK, style=_SYSTEM),
            unit="Bps",
            empty="no server read or wrote",
        ),
    ),
    line(
        12,
        states(
            "Running",
            "When each container ran; gaps are stops, or times without data.",
            query(_named(host("tallyman_container_state", _RUNNING)), _NAME),
            values={"1": ("running", PURPLE)},
            empty="no system-style container ran",
        ),
    ),
)

_RESOURCE = "job, instance, id, resource"
_BY_RESOURCE = f"{NAMED}, resource"
_HELD = host("tallyman_openvz_beancounter_held")
_REFUSED = "tallyman_openvz_beancounter_failures_total"


def _of(bound: str) -> str:
    """Return what is held against a bound; absent where there is none."""
    shown = f"{_HELD} / ({host(f'tallyman_openvz_beancounter_{bound}')} > 0)"
    return total(_BY_RESOURCE, who(shown, _SYSTEM, "name"))


def _refused(window: str) -> str:
    return total(_BY_RESOURCE, who(increase(_REFUSED, "", window), _SYSTEM, "name"))


def _closest(expression: str) -> str:
    return f"{expression} and on ({_RESOURCE}) topk($top, {_of('limit')})"


_QUOTAS = row(
    "Quotas and beancounters",
    line(
        9,
        by_name(
            "Disk against quota",
            "Space in use against the hard quota or the size of its disk.",
            _top_share(f"({_DISK})"),
            unit="percentunit",
            high=1,
            steps=_FULL,
            empty="no server has a disk quota",
        ),
        by_name(
            "Inodes against quota",
            "Inodes in use against the hard quota. OpenVZ only.",
            _top_share(_INODES),
            unit="percentunit",
            high=1,
            empty="no server has an inode quota",
        ),
    ),
    line(
        9,
        (
            6,
            graph(
                "Refused",
                "Allocations refused (failcnt) within each step.",
                query(f"{_refused(RATE)} > 0", "{{name}} {{resource}}"),
                bars=True,
                stacked=True,
                shades=RED,
                link=series_to_container(),
                empty="nothing was refused",
            ),
        ),
        rows(
            "Beancounters closest to their limit",
            "Amount held now against limit and barrier, and allocations refused over the time "
            "shown; unlimited resources are not shown.",
            (
                *container_keys("engine", "style")[:2],
                Key("resource", "Resource", width=100),
                Key("job"),
                Key("id"),
            ),
            (
                share("Of limit", f"topk($top, {_of('limit')})", 100, gauge=True),
                share("Of barrier", _closest(_of("barrier")), 90),
                count("Refused", _closest(_refused("[$__range]")), 80, ((None, TEXT), (1, RED))),
            ),
            sort="Of limit",
            empty="no server has beancounters",
        ),
    ),
)

_REST = row(
    "Warnings, and servers that do not run",
    line(8, findings("Warnings about servers", "style", style=_SYSTEM)),
    line(8, ended("Servers that do not run", _SYSTEM, "style")),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.SYSTEM,
    title="System-style",
    about="Containers that are small servers: uptime, load, services, people, memory and swap "
    "against their limits, beancounters and disk quotas.",
    variables=(
        variables.datasource(),
        variables.job(),
        variables.instances(),
        variables.engine(_SYSTEM),
        variables.containers(_SYSTEM),
        variables.busiest(),
    ),
    rows=(row("", _OVERVIEW, line(13, _SERVERS)), _MEMORY, _WORK, _QUOTAS, _REST),
    annotations=(starts(_SYSTEM), oom_kills(_SYSTEM), turns(_SYSTEM)),
)
