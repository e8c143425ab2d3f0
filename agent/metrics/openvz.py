"""What only OpenVZ reports of its containers."""

from __future__ import annotations

from agent.metrics.model import Metric, counter, gauge, info

_BEANCOUNTERS = "vzlist, /proc/user_beancounters"

# fmt: off
OPENVZ: tuple[Metric, ...] = (
    info("tallyman_openvz_info", "openvz", "vzlist",
         "Facts about an OpenVZ container.",
         labels="ctid ostemplate addresses onboot layout"),
    gauge("tallyman_openvz_status", "openvz", "vzlist",
          "Status as a state set: 1 for the current status, 0 for the others.", labels="status"),
    gauge("tallyman_openvz_beancounter_held", "openvz", _BEANCOUNTERS,
          "Amount held now, in bytes if the resource is memory, else a count.", labels="resource"),
    gauge("tallyman_openvz_beancounter_maxheld", "beancounters", _BEANCOUNTERS,
          "Largest amount held so far.", labels="resource"),
    gauge("tallyman_openvz_beancounter_barrier", "openvz", _BEANCOUNTERS,
          "Barrier; absent where unlimited, by default also where 0 or equal to the limit.",
          labels="resource"),
    gauge("tallyman_openvz_beancounter_limit", "openvz", _BEANCOUNTERS,
          "Limit; absent where unlimited, as by default all series of that resource are.",
          labels="resource"),
    counter("tallyman_openvz_beancounter_failures_total", "openvz", _BEANCOUNTERS,
            "Allocations that were refused (failcnt).", labels="resource"),
    gauge("tallyman_openvz_disk_used_bytes", "openvz", "vzlist", "Disk in use."),
    gauge("tallyman_openvz_disk_soft_limit_bytes", "openvz", "vzlist", "Soft disk quota."),
    gauge("tallyman_openvz_disk_hard_limit_bytes", "openvz", "vzlist", "Hard disk quota."),
    gauge("tallyman_openvz_disk_inodes_used", "openvz", "vzlist", "Inodes in use."),
    gauge("tallyman_openvz_disk_inodes_soft_limit", "openvz", "vzlist", "Soft inode quota."),
    gauge("tallyman_openvz_disk_inodes_hard_limit", "openvz", "vzlist", "Hard inode quota."),
    gauge("tallyman_openvz_load1", "openvz", "vzlist", "Load average over 1 minute."),
    gauge("tallyman_openvz_load5", "openvz", "vzlist", "Load average over 5 minutes."),
    gauge("tallyman_openvz_load15", "openvz", "vzlist", "Load average over 15 minutes."),
    gauge("tallyman_openvz_uptime_seconds", "openvz", "vzlist", "Time since it was started."),
    gauge("tallyman_openvz_cpu_limit_ratio", "openvz", "vzlist",
          "Most CPUs that it may use, 1.5 is one and a half; absent where unlimited."),
    gauge("tallyman_openvz_cpu_units", "openvz", "vzlist", "Relative CPU weight."),
    gauge("tallyman_openvz_cpus", "openvz", "vzlist", "CPUs that it sees."),
    gauge("tallyman_openvz_swap_used_bytes", "openvz", "vzlist", "Swap in use."),
    gauge("tallyman_openvz_swap_limit_bytes", "openvz", "vzlist", "Swap limit."),
    gauge("tallyman_openvz_processes", "openvz", "vzlist", "Processes."),
    gauge("tallyman_openvz_as_of_seconds", "openvz", "vzlist",
          "When vzlist reported these values, seconds since the epoch."),
)
# fmt: on
"""OpenVZ's own metrics, in the order of the page."""
