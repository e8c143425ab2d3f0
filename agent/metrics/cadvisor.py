"""cAdvisor's names, so that existing dashboards and alerts go on working.

One row a metric: name, group, source, help, and the counter of the kernel that it shows, if any.
"""

from __future__ import annotations

from agent.metrics.model import Cell, Column, Metric, counter, gauge, info, unknown
from collectors.kernel.counters import Scalar, Table

_NET_DEV = "/proc/<pid>/net/dev of its first process; absent where the network is shared"
_GAUGE_TOTAL = "cAdvisor's name: a gauge that ends in _total"

_DEVICE = ("device",)
_INTERFACE = ("interface",)
_TCP_STATE = ("tcp_state",)
_UDP_STATE = ("udp_state",)
_PAGESIZE = ("pagesize",)

# cAdvisor shows the same values again under scope="hierarchy", which doubles every sum.
_FAULTS = (("failure_type", "pgfault"), ("scope", "container"))
_MAJOR_FAULTS = (("failure_type", "pgmajfault"), ("scope", "container"))

# fmt: off
CADVISOR: tuple[Metric, ...] = (
    gauge("container_last_seen", "identity", "the agent",
          "When the container was last seen running, seconds since the epoch."),
    gauge("container_start_time_seconds", "identity",
          "engine, else start time of its first process",
          "When the container was last started, seconds since the epoch."),
    gauge("container_health_state", "identity", "engine",
          "Health check: 1 healthy, 0 starting or unhealthy, -1 no health check."),

    gauge("container_spec_cpu_period", "spec", "cpu.cfs_period_us; cpu.max",
          "Period of the CPU quota in microseconds; only where there is a quota."),
    gauge("container_spec_cpu_quota", "spec", "cpu.cfs_quota_us; cpu.max",
          "CPU time allowed in a period, in microseconds: the least quota of its cgroup and those "
          "above; absent where unlimited."),
    gauge("container_spec_cpu_shares", "spec", "cpu.shares; cpu.weight converted",
          "CPU weight relative to its siblings."),
    gauge("container_spec_memory_limit_bytes", "spec",
          "memory.limit_in_bytes, memory.stat; memory.max, memory.high",
          "Memory limit: the least of its cgroup and those above; absent where unlimited."),
    gauge("container_spec_memory_swap_limit_bytes", "spec",
          "memory.memsw.limit_in_bytes; memory.swap.max",
          "Limit of memory and swap together on v1, of swap alone on v2, where 0 is no swap "
          "allowed: the least of its cgroup and those above; absent where unlimited."),

    gauge("container_spec_memory_reservation_limit_bytes", "spec_detail",
          "memory.soft_limit_in_bytes; memory.low", "Memory reservation; only where one is set."),

    counter("container_cpu_usage_seconds_total", "cpu", "cpuacct.usage; cpu.stat usage_usec",
            "CPU time used.", Cell(Scalar.CPU_USAGE, (("cpu", "total"),))),
    counter("container_cpu_user_seconds_total", "cpu", "cpuacct.stat; cpu.stat user_usec",
            "CPU time in user mode.", Scalar.CPU_USER),
    counter("container_cpu_system_seconds_total", "cpu", "cpuacct.stat; cpu.stat system_usec",
            "CPU time in the kernel.", Scalar.CPU_SYSTEM),
    counter("container_cpu_cfs_periods_total", "cpu", "cpu.stat nr_periods",
            "Periods in which the quota was enforced; only where there is a quota.",
            Scalar.CFS_PERIODS),
    counter("container_cpu_cfs_throttled_periods_total", "cpu", "cpu.stat nr_throttled",
            "Periods in which it was throttled.", Scalar.CFS_THROTTLED_PERIODS),
    counter("container_cpu_cfs_throttled_seconds_total", "cpu",
            "cpu.stat throttled_time; throttled_usec",
            "Time for which it was throttled, summed over CPUs.", Scalar.CFS_THROTTLED),

    gauge("container_memory_usage_bytes", "memory", "memory.usage_in_bytes; memory.current",
          "Memory in use, including page cache.", Scalar.MEMORY_USAGE),
    gauge("container_memory_max_usage_bytes", "memory",
          "memory.max_usage_in_bytes; memory.peak from Linux 5.19", "Most memory used so far.",
          Scalar.MEMORY_MAX_USAGE),
    gauge("container_memory_working_set_bytes", "memory",
          "usage less total_inactive_file; inactive_file",
          "Memory in use without inactive page cache.", Scalar.MEMORY_WORKING_SET),
    gauge("container_memory_rss", "memory", "memory.stat total_rss; anon",
          "Anonymous memory.", Scalar.MEMORY_RSS, unit="bytes"),
    gauge("container_memory_cache", "memory", "memory.stat total_cache; file",
          "Page cache.", Scalar.MEMORY_CACHE, unit="bytes"),
    gauge("container_memory_mapped_file", "memory", "memory.stat total_mapped_file; file_mapped",
          "Page cache mapped into processes.", Scalar.MEMORY_MAPPED_FILE, unit="bytes"),
    gauge("container_memory_swap", "memory", "memory.stat total_swap; memory.swap.current",
          "Swap in use.", Scalar.MEMORY_SWAP, unit="bytes"),

    gauge("container_memory_kernel_usage", "memory_detail",
          "memory.kmem.usage_in_bytes; memory.stat kernel from Linux 5.18", "Kernel memory.",
          Scalar.MEMORY_KERNEL, unit="bytes"),

    unknown("container_memory_failcnt", "memory", "memory.failcnt",
            "How often the memory limit was hit; cgroup v1 only.", Scalar.MEMORY_FAILCNT),
    counter("container_memory_failures_total", "memory",
            "memory.stat total_pgfault, total_pgmajfault; pgfault, pgmajfault",
            "Page faults (pgfault) and those that needed a read (pgmajfault), "
            "of the whole container.",
            Cell(Scalar.PAGE_FAULTS, _FAULTS),
            Cell(Scalar.MAJOR_PAGE_FAULTS, _MAJOR_FAULTS)),
    counter("container_oom_events_total", "memory",
            "memory.oom_control oom_kill from Linux 4.13; memory.events oom_kill; "
            "events of the engine, and how it says that the container ended",
            "Processes killed by the kernel because memory ran out, over all restarts.",
            Scalar.OOM_KILLS),

    gauge("container_memory_total_active_file_bytes", "memory_detail",
          "memory.stat total_active_file; active_file", "Page cache that was used recently.",
          Scalar.MEMORY_ACTIVE_FILE),
    gauge("container_memory_total_inactive_file_bytes", "memory_detail",
          "memory.stat total_inactive_file; inactive_file",
          "Page cache that was not used recently.", Scalar.MEMORY_INACTIVE_FILE),
    gauge("container_memory_file_dirty_bytes", "memory_detail",
          "memory.stat total_dirty; file_dirty", "Page cache waiting to be written.",
          Scalar.MEMORY_DIRTY),
    gauge("container_memory_file_writeback_bytes", "memory_detail",
          "memory.stat total_writeback; file_writeback", "Page cache being written.",
          Scalar.MEMORY_WRITEBACK),
    counter("container_memory_pgscan_total", "memory_detail", "memory.stat pgscan",
            "Pages scanned by reclaim; cgroup v2 only.", Scalar.MEMORY_PGSCAN),
    counter("container_memory_pgsteal_total", "memory_detail", "memory.stat pgsteal",
            "Pages reclaimed; cgroup v2 only.", Scalar.MEMORY_PGSTEAL),
    counter("container_memory_workingset_refault_file_total", "memory_detail",
            "memory.stat workingset_refault_file",
            "File pages read again soon after they were reclaimed.",
            Scalar.MEMORY_REFAULT_FILE),
    counter("container_memory_workingset_refault_anon_total", "memory_detail",
            "memory.stat workingset_refault_anon",
            "Anonymous pages read again soon after they were reclaimed.",
            Scalar.MEMORY_REFAULT_ANON),
    counter("container_memory_events_high_total", "memory_detail", "memory.events high",
            "How often memory.high was exceeded; cgroup v2 only.", Scalar.MEMORY_EVENTS_HIGH),
    counter("container_memory_events_max_total", "memory_detail", "memory.events max",
            "How often memory.max was hit; cgroup v2 only.", Scalar.MEMORY_EVENTS_MAX),

    counter("container_pressure_cpu_waiting_seconds_total", "pressure",
            "cpu.pressure, some; absent where the kernel has no PSI",
            "Time in which at least one task waited for CPU.", Scalar.PRESSURE_CPU_SOME),

    counter("container_pressure_cpu_stalled_seconds_total", "pressure_detail",
            "cpu.pressure, full; absent where the kernel has no PSI",
            "Time in which all non-idle tasks waited for CPU.", Scalar.PRESSURE_CPU_FULL),

    counter("container_pressure_memory_waiting_seconds_total", "pressure",
            "memory.pressure, some; absent where the kernel has no PSI",
            "Time in which at least one task waited for memory.", Scalar.PRESSURE_MEMORY_SOME),

    counter("container_pressure_memory_stalled_seconds_total", "pressure_detail",
            "memory.pressure, full; absent where the kernel has no PSI",
            "Time in which all non-idle tasks waited for memory.",
            Scalar.PRESSURE_MEMORY_FULL),

    counter("container_pressure_io_waiting_seconds_total", "pressure",
            "io.pressure, some; absent where the kernel has no PSI",
            "Time in which at least one task waited for I/O.", Scalar.PRESSURE_IO_SOME),

    counter("container_pressure_io_stalled_seconds_total", "pressure_detail",
            "io.pressure, full; absent where the kernel has no PSI",
            "Time in which all non-idle tasks waited for I/O.", Scalar.PRESSURE_IO_FULL),

    counter("container_fs_reads_bytes_total", "io",
            "blkio.throttle.io_service_bytes_recursive; io.stat rbytes",
            "Bytes read from block devices by this container.", Column(Table.IO_BYTES, 0, _DEVICE)),
    counter("container_fs_writes_bytes_total", "io",
            "blkio.throttle.io_service_bytes_recursive; io.stat wbytes",
            "Bytes written to block devices by this container.",
            Column(Table.IO_BYTES, 1, _DEVICE)),
    counter("container_fs_reads_total", "io", "blkio.throttle.io_serviced_recursive; io.stat rios",
            "Reads from block devices by this container.", Column(Table.IO_OPERATIONS, 0, _DEVICE)),
    counter("container_fs_writes_total", "io", "blkio.throttle.io_serviced_recursive; io.stat wios",
            "Writes to block devices by this container.", Column(Table.IO_OPERATIONS, 1, _DEVICE)),

    counter("container_fs_read_seconds_total", "machine", "/proc/diskstats",
            "Time that reads took, summed over requests; only of the host (id=/).",
            Column(Table.DISK, 0, _DEVICE)),
    counter("container_fs_write_seconds_total", "machine", "/proc/diskstats",
            "Time that writes took, summed over requests; only of the host (id=/).",
            Column(Table.DISK, 1, _DEVICE)),
    gauge("container_fs_io_current", "machine", "/proc/diskstats",
          "Requests in progress; only of the host (id=/).", Column(Table.DISK, 2, _DEVICE)),
    counter("container_fs_io_time_seconds_total", "machine", "/proc/diskstats",
            "Time in which the device was busy; only of the host (id=/).",
            Column(Table.DISK, 3, _DEVICE)),

    counter("container_blkio_device_usage_total", "blkio_device",
            "blkio.throttle.io_service_bytes_recursive; io.stat",
            "Bytes read and written, by operation.",
            Column(Table.IO_BY_OPERATION, 0, ("device", "major", "minor", "operation")),
            unit="bytes"),

    counter("container_network_receive_bytes_total", "network", _NET_DEV,
            "Bytes received.", Column(Table.NETWORK, 0, _INTERFACE)),
    counter("container_network_receive_packets_total", "network", _NET_DEV,
            "Packets received.", Column(Table.NETWORK, 1, _INTERFACE)),
    counter("container_network_receive_packets_dropped_total", "network", _NET_DEV,
            "Incoming packets that were dropped.",
            Column(Table.NETWORK, 2, _INTERFACE)),
    counter("container_network_receive_errors_total", "network", _NET_DEV,
            "Errors while receiving.", Column(Table.NETWORK, 3, _INTERFACE)),
    counter("container_network_transmit_bytes_total", "network", _NET_DEV,
            "Bytes sent.", Column(Table.NETWORK, 4, _INTERFACE)),
    counter("container_network_transmit_packets_total", "network", _NET_DEV,
            "Packets sent.", Column(Table.NETWORK, 5, _INTERFACE)),
    counter("container_network_transmit_packets_dropped_total", "network", _NET_DEV,
            "Outgoing packets that were dropped.", Column(Table.NETWORK, 6, _INTERFACE)),
    counter("container_network_transmit_errors_total", "network", _NET_DEV,
            "Errors while sending.", Column(Table.NETWORK, 7, _INTERFACE)),

    gauge("container_network_tcp_usage_total", "tcp", "/proc/<pid>/net/tcp of its first process",
          "TCP sockets over IPv4, by state.", Column(Table.TCP, 0, _TCP_STATE), lint=_GAUGE_TOTAL),
    gauge("container_network_tcp6_usage_total", "tcp", "/proc/<pid>/net/tcp6 of its first process",
          "TCP sockets over IPv6, by state.", Column(Table.TCP6, 0, _TCP_STATE), lint=_GAUGE_TOTAL),

    gauge("container_network_udp_usage_total", "udp", "/proc/<pid>/net/udp of its first process",
          "UDP sockets over IPv4, by state.", Column(Table.UDP, 0, _UDP_STATE), lint=_GAUGE_TOTAL),
    gauge("container_network_udp6_usage_total", "udp", "/proc/<pid>/net/udp6 of its first process",
          "UDP sockets over IPv6, by state.", Column(Table.UDP6, 0, _UDP_STATE), lint=_GAUGE_TOTAL),

    gauge("container_processes", "process", "cgroup.procs",
          "Processes, including those of inner cgroups.", Scalar.PROCESSES),
    gauge("container_threads", "process", "pids.current; tasks or cgroup.threads with zombies",
          "Threads, without zombies.", Scalar.THREADS),

    gauge("container_threads_max", "spec_detail", "pids.max",
          "Limit of threads; absent where unlimited."),

    gauge("container_file_descriptors", "descriptors", "/proc/<pid>/fd",
          "Open file descriptors of all its processes.", Scalar.DESCRIPTORS),
    gauge("container_sockets", "descriptors", "/proc/<pid>/fd",
          "Open sockets of all its processes.", Scalar.SOCKETS),

    gauge("container_fs_usage_bytes", "filesystem",
          "project quota or statfs; else the writable layer with --inventory.walk",
          "Space that the container's own files take: writable layer and log, or its disk.",
          labels="device"),
    gauge("container_fs_limit_bytes", "filesystem", "quota or statfs",
          "Size of its disk or quota.", labels="device"),
    gauge("container_fs_inodes_total", "filesystem", "quota or statfs",
          "Inodes of the filesystem or quota.", labels="device", lint=_GAUGE_TOTAL),
    gauge("container_fs_inodes_free", "filesystem", "quota or statfs",
          "Inodes that are free.", labels="device"),

    gauge("container_hugetlb_usage_bytes", "hugetlb",
          "hugetlb.<size>.usage_in_bytes; hugetlb.<size>.current", "Memory in huge pages.",
          Column(Table.HUGETLB, 0, _PAGESIZE)),
    gauge("container_hugetlb_max_usage_bytes", "hugetlb", "hugetlb.<size>.max_usage_in_bytes",
          "Most memory in huge pages so far; cgroup v1 only.", Column(Table.HUGETLB, 1, _PAGESIZE)),

    gauge("machine_cpu_cores", "machine", "sysfs", "CPUs of the machine."),
    gauge("machine_memory_bytes", "machine", "/proc/meminfo MemTotal", "Memory of the machine."),
    gauge("machine_swap_bytes", "machine", "/proc/meminfo SwapTotal", "Swap of the machine."),
    info("cadvisor_version_info", "machine", "the agent",
         "The agent's version, under cAdvisor's label names.",
         labels="kernelVersion osVersion dockerVersion cadvisorVersion",
         lint="cAdvisor's labels are written in camel case"),
)
# fmt: on
"""The metrics that bear cAdvisor's names, in the order of the page."""
