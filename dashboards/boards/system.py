"""System-style: containers that are small servers. They live long, so each has a line by name."""

from __future__ import annotations

from dashboards import variables
from dashboards.columns import container_keys, count, cpu, memory, share
from dashboards.common import by_name
from dashboards.layout import Board, line, row
from dashboards.links import series_to_container
from dashboards.many import (
    NEAR,
    ended,
    findings,
    kills,
    oom_kills,
    running,
    starts,
    throttled,
    turns,
)
from dashboards.panels import BAD_IF_ANY, Figure, figures, graph, query, states
from dashboards.promql import END, ID, NAMED, total, zero
from dashboards.recordings import (
    CPU,
    DISK,
    DISK_SHARE,
    INODES_SHARE,
    LOAD,
    MEMORY,
    MEMORY_SHARE,
    NETWORK,
    OF_BARRIER,
    OF_LIMIT,
    PROCESSES,
    REFUSED,
    RUNNING,
    SERVICES,
    SESSIONS,
    STARTED,
    SWAP_SHARE,
    beside,
    closest,
    happened,
    leading,
    recorded,
    row_beside,
    top_rows,
)
from dashboards.tables import Column, Key, rows
from dashboards.theme import PURPLE, RED, TEXT, Uid

_SYSTEM = "system"
_NAME = "{{name}}"
_FULL = ((None, "transparent"), (0.9, RED))
_NOBODY = "no system-style container runs"


def _recorded(rule: str) -> str:
    return recorded(rule, _SYSTEM)


_OVERVIEW = line(
    4,
    figures(
        "System-style containers",
        "Containers that run now, people who are logged in to them, and containers booted within "
        "the time shown.",
        running(_SYSTEM, PURPLE),
        Figure("people", zero(f"sum({_recorded(SESSIONS)})")),
        Figure("booted", zero(f"count(time() - {_recorded(STARTED)} < $__range_s)")),
    ),
    figures(
        "Near a limit",
        "Containers above 90 % of their memory limit, disk quota or inode quota.",
        *(
            Figure(name, zero(f"count({_recorded(of_limit)} > {NEAR})"), steps=BAD_IF_ANY)
            for name, of_limit in (
                ("memory", MEMORY_SHARE),
                ("disk", DISK_SHARE),
                ("inodes", INODES_SHARE),
            )
        ),
    ),
    figures(
        "Refused and killed",
        "Over the time shown: allocations that beancounters refused (failcnt), and processes "
        "killed because memory ran out. Throttled: containers kept from the CPU in more than a "
        "quarter of the periods now.",
        Figure("refused", zero(f"sum({happened(REFUSED, _SYSTEM)})"), steps=BAD_IF_ANY),
        oom_kills(_SYSTEM),
        throttled(_SYSTEM),
    ),
)

_RANKED = f"({_recorded(MEMORY)} or 0 * {_recorded(RUNNING)})"


def _rows(rule: str) -> str:
    return row_beside(_recorded(rule), _RANKED)


_SERVERS = rows(
    "Servers",
    "One row for each server; a name leads to its container. Those that use most memory, as many "
    "as Rows says. Load is that of each CPU; load and swap are known only for OpenVZ. A share is "
    "missing where there is no limit.",
    container_keys("engine", "style"),
    (
        Column(
            "Up for",
            f"time() - {_rows(STARTED)}",
            unit="s",
            decimals=1,
            width=90,
        ),
        count("Services", _rows(SERVICES), 75),
        cpu(_rows(CPU), gauge=False),
        memory(_rows(MEMORY)),
        share("Of limit", _rows(MEMORY_SHARE), 100, gauge=True),
        share("Swap", _rows(SWAP_SHARE), 60),
        share("Disk", _rows(DISK_SHARE), 60),
        Column("Load", _rows(LOAD), decimals=2, width=60),
    ),
    sort="Memory",
    empty=_NOBODY,
)

_MEMORY = row(
    "Memory and disk",
    line(
        9,
        by_name(
            "Memory by server",
            "Working sets, of the servers that used most over the time shown.",
            leading(MEMORY, _SYSTEM),
            unit="bytes",
            empty=_NOBODY,
        ),
        by_name(
            "Memory against limit by server",
            "Working set against the limit, of the servers closest to it. Servers without a limit "
            "are not shown.",
            closest(MEMORY_SHARE, _SYSTEM),
            unit="percentunit",
            high=1,
            steps=_FULL,
            empty="no server has a memory limit",
        ),
        by_name(
            "Disk against quota",
            "Space in use against the hard quota or the size of its disk.",
            closest(DISK_SHARE, _SYSTEM),
            unit="percentunit",
            high=1,
            steps=_FULL,
            empty="no server has a disk quota",
        ),
    ),
)

_RAN = total(NAMED, f"sum_over_time({_recorded(RUNNING)}{END})")
_LEAST = f"{total(NAMED, _recorded(RUNNING))} and on ({ID}) bottomk($top, {_RAN})"

_WORK = row(
    "CPU, processes and people",
    line(
        9,
        by_name(
            "CPU by server",
            "The busiest over the time shown.",
            leading(CPU, _SYSTEM),
            unit="cores",
            empty=_NOBODY,
        ),
        graph(
            "People logged in",
            "People who are logged in, by server.",
            query(closest(SESSIONS, _SYSTEM), _NAME),
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
            leading(PROCESSES, _SYSTEM),
            decimals=0,
            empty=_NOBODY,
        ),
        by_name(
            "Network by server",
            "Bytes received and sent on its own interfaces.",
            leading(NETWORK, _SYSTEM),
            unit="Bps",
            empty="no server has a network of its own",
        ),
        by_name(
            "Disk reads and writes by server",
            "Bytes read and written on block devices.",
            leading(DISK, _SYSTEM),
            unit="Bps",
            empty="no server read or wrote",
        ),
    ),
    line(
        12,
        states(
            "Running",
            "When each of those servers ran that ran least over the time shown; gaps are stops, or "
            "times without data.",
            query(_LEAST, _NAME),
            values={"1": ("running", PURPLE)},
            empty="no system-style container ran",
        ),
    ),
)

_RESOURCE = "job, instance, id, resource"
_BY_RESOURCE = f"{NAMED}, resource"


def _by_resource(rule: str) -> str:
    return total(_BY_RESOURCE, _recorded(rule))


def _beside(expression: str) -> str:
    return beside(expression, _by_resource(OF_LIMIT), _RESOURCE)


_OPENVZ = row(
    "OpenVZ: load, swap, inodes and beancounters",
    line(
        9,
        by_name(
            "Load by CPU",
            "Load over five minutes for each CPU that the server sees: above 1, tasks wait.",
            closest(LOAD, _SYSTEM),
            decimals=2,
            empty="no server reports its load",
        ),
        by_name(
            "Swap against limit by server",
            "Swap in use against the limit.",
            closest(SWAP_SHARE, _SYSTEM),
            unit="percentunit",
            high=1,
            empty="no server reports its swap",
        ),
        by_name(
            "Inodes against quota",
            "Inodes in use against the hard quota.",
            closest(INODES_SHARE, _SYSTEM),
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
                "Allocations refused (failcnt) within the five minutes before each step.",
                query(closest(REFUSED, _SYSTEM, _BY_RESOURCE, _RESOURCE), "{{name}} {{resource}}"),
                bars=True,
                stacked=True,
                shades=RED,
                link=series_to_container(),
                empty="nothing was refused",
            ),
        ),
        rows(
            "Beancounters closest to their limit",
            "Amount held now against limit and barrier, from half of it on, and allocations "
            "refused over the time shown; unlimited resources are not shown.",
            (
                *container_keys("engine", "style")[:2],
                Key("resource", "Resource", width=100),
                Key("job"),
                Key("id"),
            ),
            (
                share("Of limit", top_rows(_by_resource(OF_LIMIT)), 100, gauge=True),
                share("Of barrier", _beside(_by_resource(OF_BARRIER)), 90),
                count(
                    "Refused",
                    _beside(total(_BY_RESOURCE, happened(REFUSED, _SYSTEM))),
                    80,
                    ((None, TEXT), (1, RED)),
                ),
            ),
            sort="Of limit",
            empty="no server holds half of a limit, or the agent does not read beancounters",
        ),
    ),
    collapsed=True,
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
        variables.lines(),
        variables.rows(),
    ),
    rows=(row("", _OVERVIEW, line(13, _SERVERS)), _MEMORY, _WORK, _OPENVZ, _REST),
    annotations=(starts(_SYSTEM), kills(_SYSTEM), turns(_SYSTEM)),
)
