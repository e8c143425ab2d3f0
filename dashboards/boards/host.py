"""Host: one machine, what it promised to whom, and who uses it."""

from __future__ import annotations

from dashboards import variables
from dashboards.columns import ago, container_keys, count, cpu, memory, share
from dashboards.common import (
    by_name,
    by_style,
    disk,
    network,
    oom_kills,
    outside,
    pressure,
    running,
    starts,
    to_look_at,
)
from dashboards.layout import Board, line, row
from dashboards.links import drill
from dashboards.many import ended
from dashboards.panels import SHARE, Figure, figures, query
from dashboards.promql import (
    DISK,
    NETWORK,
    WHO,
    busiest,
    chosen,
    each,
    host,
    kind,
    largest,
    total,
    who,
    zero,
)
from dashboards.recordings import CPU, MEMORY, MEMORY_SHARE, by_row
from dashboards.tables import Key, rows
from dashboards.theme import ORANGE, SAND, TEXT, Uid

_HOST = "job, instance"
_ROOT = 'id="/"'
_OUTSIDE = 'style="none"'
_CORES = f"sum({host('machine_cpu_cores')})"
_MEMORY = f"sum({host('machine_memory_bytes')})"
_SPACE = f"sum({host('container_fs_limit_bytes', _ROOT)})"
_OVER = ((None, TEXT), (1, ORANGE))
"""More promised than there is: worth a look, not an alarm."""
_NOBODY = "no container runs"


def _running(style: str) -> str:
    matchers = f'style="{style}",state="running",engine=~"$engine"'
    return zero(f"sum({host('tallyman_host_containers', matchers)})")


def _here(uid: Uid) -> tuple[str, str]:
    return drill(uid, "Those of this host", instance="instance")


_WHAT = "nodename, kernel, cgroup_mode, virtualization"


def _machine(metric: str) -> str:
    there_is = f"sum by ({_HOST}) ({host(metric)})"
    return (
        f"sum by ({_WHAT}) ({host('tallyman_host_info')} * on ({_HOST}) group_left () {there_is})"
    )


_FACTS = line(
    4,
    rows(
        "Host and kernel",
        "Facts about the host.",
        (
            Key("nodename", "Name"),
            Key("kernel", "Kernel"),
            Key("cgroup_mode", "Cgroups", width=90),
            Key("virtualization", "Runs on", width=100),
        ),
        (
            count("CPUs", _machine("machine_cpu_cores")),
            memory(_machine("machine_memory_bytes")),
            memory(_machine("machine_swap_bytes"), "Swap"),
        ),
        filters=False,
        empty="no data from the agent",
    ),
)
_COUNTS = line(
    4,
    running(_running, _here),
    to_look_at(f"sum({chosen(host('tallyman_container_mismatch'))})", _here(Uid.AGENT)),
    figures(
        "Without a limit",
        "Running containers that may use all of the host's CPU or memory.",
        *(
            Figure(name, zero(f"sum({host('tallyman_host_unlimited_containers', matcher)})"))
            for name, matcher in (("CPU", 'resource="cpu"'), ("memory", 'resource="memory"'))
        ),
    ),
)
_SHARES = line(
    4,
    figures(
        "Used",
        "Share of the host's CPUs, memory and disks in use, in containers or not.",
        Figure("CPU", f"sum({host('tallyman_host_cores')}) / {_CORES}", steps=SHARE),
        Figure("memory", f"sum({host('tallyman_host_memory_bytes')}) / {_MEMORY}", steps=SHARE),
        Figure("disk", f"sum({host('container_fs_usage_bytes', _ROOT)}) / {_SPACE}", steps=SHARE),
        unit="percentunit",
    ),
    figures(
        "Promised",
        "Sum of the limits against what the host has. Above 100 %, not all containers can get "
        "what they were promised. Containers without a limit are not counted.",
        *(
            Figure(name, f"sum({host(promised)}) / {there_is}", steps=_OVER)
            for name, promised, there_is in (
                ("CPU", "tallyman_host_limit_cores", _CORES),
                ("memory", "tallyman_host_limit_bytes", _MEMORY),
                ("disk", "tallyman_host_limit_disk_bytes", _SPACE),
            )
        ),
        unit="percentunit",
        empty="no limits",
    ),
    figures(
        "In no container",
        "Share of the CPU in use, and of the memory in use, that belongs to no container.",
        *(
            Figure(name, f"sum({host(metric, _OUTSIDE)}) / sum({host(metric)})", colour=SAND)
            for name, metric in (
                ("CPU", "tallyman_host_cores"),
                ("memory", "tallyman_host_memory_bytes"),
            )
        ),
        unit="percentunit",
    ),
)

_KIND = "engine, style"


def _of_kind(metric: str, more: str = "") -> str:
    return total(_KIND, kind(metric, more))


_PROMISED = row(
    "Promised and used",
    line(
        8,
        by_style(
            "CPU used",
            "CPUs kept busy by style, and how many there are; none is everything outside "
            "containers.",
            query(total("style", kind("tallyman_host_cores")), "{{style}}"),
            outside("tallyman_host_cores"),
            query(_CORES, "capacity"),
            unit="cores",
        ),
        by_style(
            "Memory used",
            "Working sets by style, and how much memory there is; none is everything outside "
            "containers.",
            query(total("style", kind("tallyman_host_memory_bytes")), "{{style}}"),
            outside("tallyman_host_memory_bytes"),
            query(_MEMORY, "capacity"),
            unit="bytes",
        ),
    ),
    line(
        8,
        by_style(
            "CPU promised",
            "Sums of the CPU quotas by style, and how many CPUs there are.",
            query(total("style", kind("tallyman_host_limit_cores")), "{{style}}"),
            query(_CORES, "capacity"),
            unit="cores",
        ),
        by_style(
            "Memory promised",
            "Sums of the memory limits by style, and how much memory there is.",
            query(total("style", kind("tallyman_host_limit_bytes")), "{{style}}"),
            query(_MEMORY, "capacity"),
            unit="bytes",
        ),
    ),
    line(
        8,
        rows(
            "By engine and style",
            "What containers use and were promised, and how many have no memory limit. Stopped: "
            "those that the engine keeps.",
            (Key("engine", "Engine", width=100, grows=True), Key("style", "Style", width=75)),
            (
                count("Running", _of_kind("tallyman_host_containers", 'state="running"')),
                count("Stopped", _of_kind("tallyman_host_containers", 'state!="running"')),
                cpu(_of_kind("tallyman_host_cores"), "CPU used"),
                cpu(_of_kind("tallyman_host_limit_cores"), "CPU promised", 120, gauge=False),
                memory(_of_kind("tallyman_host_memory_bytes"), "Memory used", gauge=True),
                memory(_of_kind("tallyman_host_limit_bytes"), "Memory promised", 145),
                count(
                    "No limit", _of_kind("tallyman_host_unlimited_containers", 'resource="memory"')
                ),
            ),
            sort="Memory used",
            empty="no containers",
        ),
    ),
)

_BUSIEST = row(
    "Busiest containers",
    line(
        11,
        by_name(
            "CPU by container",
            "The busiest over the time shown. Click a line for its container.",
            busiest("container_cpu_usage_seconds_total"),
            unit="cores",
            empty=_NOBODY,
        ),
        by_name(
            "Memory by container",
            "Working sets of the containers that used most over the time shown.",
            largest(MEMORY),
            unit="bytes",
            empty=_NOBODY,
        ),
    ),
    line(
        11,
        by_name(
            "Disk by container",
            "Bytes read and written on block devices.",
            busiest(*DISK),
            unit="Bps",
            empty="no container read or wrote",
        ),
        by_name(
            "Network by container",
            "Bytes received and sent, of containers with a network of their own.",
            busiest(*NETWORK),
            unit="Bps",
            empty="no container has a network of its own",
        ),
    ),
)

_TABLES = row(
    "Containers of this host",
    line(
        12,
        rows(
            "All running containers",
            "Filter and sort by the headings; a name leads to its container.",
            container_keys("instance"),
            (
                cpu(by_row(CPU)),
                memory(by_row(MEMORY), gauge=True),
                share("Of limit", by_row(MEMORY_SHARE)),
                count("Processes", total(WHO, who(each(host("container_processes")))), 85),
                ago("Started", total(WHO, who(each(host("container_start_time_seconds"))))),
            ),
            sort="CPU",
            empty=_NOBODY,
        ),
    ),
    line(8, ended("Containers that do not run", "$style", "instance")),
)

_DEVICES = row(
    "The machine: pressure, disks, network",
    line(
        8,
        pressure(
            "Pressure",
            "Share of time in which some task waited for CPU, memory or I/O. Kernels without "
            "PSI have none.",
            _ROOT,
            "this kernel has no PSI",
        ),
        disk(_ROOT, "nothing is read or written"),
        network(_ROOT, "no traffic"),
    ),
    collapsed=True,
)

BOARD = Board(
    uid=Uid.HOST,
    title="Host",
    about="One host: its capacity, what is promised and what is used, by engine and style, and "
    "what runs outside containers.",
    variables=(
        variables.datasource(),
        variables.one_job(),
        variables.instance(),
        variables.engine(),
        variables.style(),
        variables.containers(),
        variables.lines(),
        variables.rows(),
    ),
    rows=(row("", _FACTS, _COUNTS, _SHARES), _PROMISED, _BUSIEST, _TABLES, _DEVICES),
    annotations=(starts(), oom_kills(on=True)),
)
