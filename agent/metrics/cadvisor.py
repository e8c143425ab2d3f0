"""cAdvisor's names, so that dashboards and alerts that people already have go on working."""

from __future__ import annotations

from agent.metrics.model import Metric, Type, counter, gauge, info

BASE = ("id", "name", "image", "container", "pod", "namespace")
"""Labels of every ``container_*`` series; the last three on Kubernetes containers only."""

_GAUGE_TOTAL = "cAdvisor's name: a gauge that ends in _total"


def _counter(
    name: str, group: str, text: str, source: str, *labels: str, unit: str = "", lint: str = ""
) -> Metric:
    return counter(name, group, text, source, *BASE, *labels, unit=unit, lint=lint)


def _gauge(
    name: str, group: str, text: str, source: str, *labels: str, unit: str = "", lint: str = ""
) -> Metric:
    return gauge(name, group, text, source, *BASE, *labels, unit=unit, lint=lint)


def _machine(name: str, text: str, source: str) -> Metric:
    return gauge(name, "machine", text, source, "boot_id", "machine_id", "system_uuid")


def _pressure() -> tuple[Metric, ...]:
    found = []
    for resource in ("cpu", "memory", "io"):
        for word, group, line, who in (
            ("waiting", "pressure", "some", "at least one task"),
            ("stalled", "pressure_detail", "full", "every task that was not idle"),
        ):
            found.append(
                _counter(
                    f"container_pressure_{resource}_{word}_seconds_total",
                    group,
                    f"Time in which {who} waited for {resource}.",
                    f"{resource}.pressure, {line}; absent where the kernel has no PSI",
                )
            )
    return tuple(found)


def _network() -> tuple[Metric, ...]:
    found = []
    for direction, side in (("receive", "received"), ("transmit", "sent")):
        for what, text in (
            ("bytes", f"Bytes {side}."),
            ("packets", f"Packets {side}."),
            ("packets_dropped", f"Packets dropped that should have been {side}."),
            ("errors", f"Errors of packets {side}."),
        ):
            found.append(
                _counter(
                    f"container_network_{direction}_{what}_total",
                    "network",
                    text,
                    "/proc/<pid>/net/dev of its first process; absent where the network is shared",
                    "interface",
                )
            )
    return tuple(found)


def _memory_detail() -> tuple[Metric, ...]:
    return (
        *(
            _gauge(f"container_memory_{name}", "memory_detail", text, source)
            for name, text, source in (
                (
                    "total_active_file_bytes",
                    "Page cache in active use.",
                    "memory.stat total_active_file; active_file",
                ),
                (
                    "total_inactive_file_bytes",
                    "Page cache that nobody has used for a while.",
                    "memory.stat total_inactive_file; inactive_file",
                ),
                (
                    "file_dirty_bytes",
                    "Page cache that is to be written.",
                    "memory.stat total_dirty; file_dirty",
                ),
                (
                    "file_writeback_bytes",
                    "Page cache that is being written.",
                    "memory.stat total_writeback; file_writeback",
                ),
            )
        ),
        *(
            _counter(f"container_memory_{name}_total", "memory_detail", text, source)
            for name, text, source in (
                ("pgscan", "Pages looked at by reclaim; v2 only.", "memory.stat pgscan"),
                ("pgsteal", "Pages reclaimed; v2 only.", "memory.stat pgsteal"),
                (
                    "workingset_refault_file",
                    "Pages of files read again soon after they were reclaimed.",
                    "memory.stat workingset_refault_file",
                ),
                (
                    "workingset_refault_anon",
                    "Anonymous pages read again soon after they were reclaimed.",
                    "memory.stat workingset_refault_anon",
                ),
                (
                    "events_high",
                    "How often memory.high was exceeded; v2 only.",
                    "memory.events high",
                ),
                ("events_max", "How often memory.max was hit; v2 only.", "memory.events max"),
            )
        ),
    )


def _sockets() -> tuple[Metric, ...]:
    return tuple(
        _gauge(
            f"container_network_{protocol}{version}_usage_total",
            protocol,
            f"{protocol.upper()} sockets over IPv{version or 4}, by state.",
            f"/proc/<pid>/net/{protocol}{version} of its first process",
            f"{protocol}_state",
            lint=_GAUGE_TOTAL,
        )
        for protocol in ("tcp", "udp")
        for version in ("", "6")
    )


CADVISOR: tuple[Metric, ...] = (
    _gauge(
        "container_last_seen",
        "identity",
        "When the container was last seen running; it stands still for one that has stopped.",
        "the agent",
    ),
    _gauge(
        "container_start_time_seconds",
        "identity",
        "When the container was last started, seconds since the epoch.",
        "engine, else start time of its first process",
    ),
    _gauge(
        "container_health_state",
        "identity",
        "Health check: 1 healthy, 0 starting or unhealthy, -1 there is none.",
        "engine",
    ),
    _gauge(
        "container_spec_cpu_period",
        "spec",
        "Period of the CPU quota in microseconds; only where there is a quota.",
        "cpu.cfs_period_us; cpu.max",
    ),
    _gauge(
        "container_spec_cpu_quota",
        "spec",
        "CPU time allowed in a period, in microseconds; absent where unlimited.",
        "cpu.cfs_quota_us; cpu.max",
    ),
    _gauge(
        "container_spec_cpu_shares",
        "spec",
        "Relative weight against its siblings.",
        "cpu.shares; cpu.weight converted",
    ),
    _gauge(
        "container_spec_memory_limit_bytes",
        "spec",
        "Memory limit; 0 is unlimited.",
        "memory.limit_in_bytes; memory.max",
    ),
    _gauge(
        "container_spec_memory_swap_limit_bytes",
        "spec",
        "Limit of memory and swap together on v1, of swap alone on v2; 0 is unlimited.",
        "memory.memsw.limit_in_bytes; memory.swap.max",
    ),
    _gauge(
        "container_spec_memory_reservation_limit_bytes",
        "spec_detail",
        "Memory reservation; only where one is set.",
        "memory.soft_limit_in_bytes; memory.min",
    ),
    _counter(
        "container_cpu_usage_seconds_total",
        "cpu",
        "CPU time used.",
        "cpuacct.usage; cpu.stat usage_usec",
        "cpu",
    ),
    _counter(
        "container_cpu_user_seconds_total",
        "cpu",
        "CPU time in user mode.",
        "cpuacct.stat; cpu.stat user_usec",
    ),
    _counter(
        "container_cpu_system_seconds_total",
        "cpu",
        "CPU time in the kernel.",
        "cpuacct.stat; cpu.stat system_usec",
    ),
    _counter(
        "container_cpu_cfs_periods_total",
        "cpu",
        "Periods in which the quota was enforced; only where there is a quota.",
        "cpu.stat nr_periods",
    ),
    _counter(
        "container_cpu_cfs_throttled_periods_total",
        "cpu",
        "Periods in which it was throttled.",
        "cpu.stat nr_throttled",
    ),
    _counter(
        "container_cpu_cfs_throttled_seconds_total",
        "cpu",
        "Time for which it was throttled, summed over CPUs.",
        "cpu.stat throttled_time; throttled_usec",
    ),
    _gauge(
        "container_memory_usage_bytes",
        "memory",
        "Memory in use, with page cache.",
        "memory.usage_in_bytes; memory.current",
    ),
    _gauge(
        "container_memory_max_usage_bytes",
        "memory",
        "Most memory that was in use.",
        "memory.max_usage_in_bytes; memory.peak from Linux 5.19",
    ),
    _gauge(
        "container_memory_working_set_bytes",
        "memory",
        "Memory in use without inactive page cache.",
        "usage less total_inactive_file; inactive_file",
    ),
    _gauge(
        "container_memory_rss",
        "memory",
        "Anonymous memory.",
        "memory.stat total_rss; anon",
        unit="bytes",
    ),
    _gauge(
        "container_memory_cache",
        "memory",
        "Page cache.",
        "memory.stat total_cache; file",
        unit="bytes",
    ),
    _gauge(
        "container_memory_mapped_file",
        "memory",
        "Page cache that is mapped into processes.",
        "memory.stat total_mapped_file; file_mapped",
        unit="bytes",
    ),
    _gauge(
        "container_memory_swap",
        "memory",
        "Swap in use.",
        "memory.stat total_swap; memory.swap.current",
        unit="bytes",
    ),
    _gauge(
        "container_memory_kernel_usage",
        "memory_detail",
        "Kernel memory.",
        "memory.kmem.usage_in_bytes; memory.stat kernel from Linux 5.18",
        unit="bytes",
    ),
    Metric(
        name="container_memory_failcnt",
        type=Type.UNKNOWN,
        help="How often the memory limit was hit; cgroup v1 only.",
        labels=BASE,
        source="memory.failcnt",
        group="memory",
    ),
    _counter(
        "container_memory_failures_total",
        "memory",
        "Page faults (pgfault) and those that needed a read (pgmajfault), of the whole container.",
        "memory.stat total_pgfault, total_pgmajfault; pgfault, pgmajfault",
        "failure_type",
        "scope",
    ),
    _counter(
        "container_oom_events_total",
        "memory",
        "Processes that the kernel killed for want of memory.",
        "memory.oom_control oom_kill from Linux 4.13; memory.events oom_kill",
    ),
    *_memory_detail(),
    *_pressure(),
    _counter(
        "container_fs_reads_bytes_total",
        "io",
        "Bytes read from block devices by this container.",
        "blkio.throttle.io_service_bytes_recursive; io.stat rbytes",
        "device",
    ),
    _counter(
        "container_fs_writes_bytes_total",
        "io",
        "Bytes written to block devices by this container.",
        "blkio.throttle.io_service_bytes_recursive; io.stat wbytes",
        "device",
    ),
    _counter(
        "container_fs_reads_total",
        "io",
        "Reads from block devices by this container.",
        "blkio.throttle.io_serviced_recursive; io.stat rios",
        "device",
    ),
    _counter(
        "container_fs_writes_total",
        "io",
        "Writes to block devices by this container.",
        "blkio.throttle.io_serviced_recursive; io.stat wios",
        "device",
    ),
    _counter(
        "container_fs_read_seconds_total",
        "machine",
        "Time that reads took, summed over requests; of the host (id=/) alone.",
        "/proc/diskstats",
        "device",
    ),
    _counter(
        "container_fs_write_seconds_total",
        "machine",
        "Time that writes took, summed over requests; of the host (id=/) alone.",
        "/proc/diskstats",
        "device",
    ),
    _gauge(
        "container_fs_io_current",
        "machine",
        "Requests under way; of the host (id=/) alone.",
        "/proc/diskstats",
        "device",
    ),
    _counter(
        "container_fs_io_time_seconds_total",
        "machine",
        "Time in which the device was busy; of the host (id=/) alone.",
        "/proc/diskstats",
        "device",
    ),
    _counter(
        "container_blkio_device_usage_total",
        "blkio_device",
        "Bytes by operation.",
        "blkio.throttle.io_service_bytes_recursive; io.stat",
        "device",
        "major",
        "minor",
        "operation",
        unit="bytes",
    ),
    *_network(),
    *_sockets(),
    _gauge(
        "container_processes",
        "process",
        "Processes, those of inner cgroups too.",
        "cgroup.procs",
    ),
    _gauge("container_threads", "process", "Threads.", "pids.current"),
    _gauge(
        "container_threads_max",
        "spec_detail",
        "Most threads allowed; absent where unlimited.",
        "pids.max",
    ),
    _gauge(
        "container_file_descriptors",
        "descriptors",
        "Open file descriptors of all its processes.",
        "/proc/<pid>/fd",
    ),
    _gauge(
        "container_sockets",
        "descriptors",
        "Open sockets of all its processes.",
        "/proc/<pid>/fd",
    ),
    _gauge(
        "container_fs_usage_bytes",
        "filesystem",
        "What the container's own files take: writable layer and log, or its disk.",
        "the engine's own accounting, project quota or statfs",
        "device",
    ),
    _gauge(
        "container_fs_limit_bytes",
        "filesystem",
        "Size of the disk or quota that it may fill.",
        "quota or statfs",
        "device",
    ),
    _gauge(
        "container_fs_inodes_total",
        "filesystem",
        "Inodes of the filesystem or quota.",
        "quota or statfs",
        "device",
        lint=_GAUGE_TOTAL,
    ),
    _gauge(
        "container_fs_inodes_free",
        "filesystem",
        "Inodes that are left.",
        "quota or statfs",
        "device",
    ),
    _gauge(
        "container_hugetlb_usage_bytes",
        "hugetlb",
        "Huge pages in use.",
        "hugetlb.<size>.usage_in_bytes; hugetlb.<size>.current",
        "pagesize",
    ),
    _gauge(
        "container_hugetlb_max_usage_bytes",
        "hugetlb",
        "Most huge pages that were in use; cgroup v1 only.",
        "hugetlb.<size>.max_usage_in_bytes",
        "pagesize",
    ),
    _machine("machine_cpu_cores", "CPUs of the machine.", "sysfs"),
    _machine("machine_memory_bytes", "Memory of the machine.", "/proc/meminfo MemTotal"),
    _machine("machine_swap_bytes", "Swap of the machine.", "/proc/meminfo SwapTotal"),
    info(
        "cadvisor_version_info",
        "machine",
        "What serves cAdvisor's names here; always 1.",
        "the agent",
        "kernelVersion",
        "osVersion",
        "dockerVersion",
        "cadvisorVersion",
        lint="cAdvisor's labels are written in camel case",
    ),
)
"""The metrics that bear cAdvisor's names, in the order of the page."""
