"""What only OpenVZ knows of its containers."""

from __future__ import annotations

from agent.metrics.model import Metric, counter, gauge, info

_BEANCOUNTER = ("id", "resource")
OPENVZ: tuple[Metric, ...] = (
    info(
        "tallyman_openvz_info",
        "openvz",
        "An OpenVZ container as its node knows it.",
        "vzlist",
        "id",
        "ctid",
        "ostemplate",
        "addresses",
        "onboot",
        "layout",
    ),
    gauge(
        "tallyman_openvz_status",
        "openvz",
        "Status as a state set: 1 for the one that it is in.",
        "vzlist",
        "id",
        "status",
    ),
    gauge(
        "tallyman_openvz_beancounter_held",
        "openvz",
        "Held now, in bytes where the resource is memory, else a count.",
        "vzlist, /proc/user_beancounters",
        *_BEANCOUNTER,
    ),
    gauge(
        "tallyman_openvz_beancounter_maxheld",
        "beancounters",
        "Most that was held.",
        "vzlist, /proc/user_beancounters",
        *_BEANCOUNTER,
    ),
    gauge(
        "tallyman_openvz_beancounter_barrier",
        "openvz",
        "Barrier; absent where unlimited, by default also where 0 or equal to the limit.",
        "vzlist, /proc/user_beancounters",
        *_BEANCOUNTER,
    ),
    gauge(
        "tallyman_openvz_beancounter_limit",
        "openvz",
        "Limit; absent where unlimited, as are all others of that resource by default.",
        "vzlist, /proc/user_beancounters",
        *_BEANCOUNTER,
    ),
    counter(
        "tallyman_openvz_beancounter_failures_total",
        "openvz",
        "How often more was refused (failcnt).",
        "vzlist, /proc/user_beancounters",
        *_BEANCOUNTER,
    ),
    gauge("tallyman_openvz_disk_used_bytes", "openvz", "Disk in use.", "vzlist", "id"),
    gauge("tallyman_openvz_disk_soft_limit_bytes", "openvz", "Soft disk quota.", "vzlist", "id"),
    gauge("tallyman_openvz_disk_hard_limit_bytes", "openvz", "Hard disk quota.", "vzlist", "id"),
    gauge("tallyman_openvz_disk_inodes_used", "openvz", "Inodes in use.", "vzlist", "id"),
    gauge(
        "tallyman_openvz_disk_inodes_soft_limit",
        "openvz",
        "Soft inode quota.",
        "vzlist",
        "id",
    ),
    gauge("tallyman_openvz_disk_inodes_hard_limit", "openvz", "Hard inode quota.", "vzlist", "id"),
    gauge("tallyman_openvz_load1", "openvz", "Load average over 1 minute.", "vzlist", "id"),
    gauge("tallyman_openvz_load5", "openvz", "Load average over 5 minutes.", "vzlist", "id"),
    gauge("tallyman_openvz_load15", "openvz", "Load average over 15 minutes.", "vzlist", "id"),
    gauge(
        "tallyman_openvz_uptime_seconds",
        "openvz",
        "Time since it was started.",
        "vzlist",
        "id",
    ),
    gauge(
        "tallyman_openvz_cpu_limit_ratio",
        "openvz",
        "CPUs that it may use at most, 1.5 is one and a half; absent where unlimited.",
        "vzlist",
        "id",
    ),
    gauge("tallyman_openvz_cpu_units", "openvz", "Relative CPU weight.", "vzlist", "id"),
    gauge("tallyman_openvz_cpus", "openvz", "CPUs that it sees.", "vzlist", "id"),
    gauge("tallyman_openvz_swap_used_bytes", "openvz", "Swap in use.", "vzlist", "id"),
    gauge("tallyman_openvz_swap_limit_bytes", "openvz", "Swap limit.", "vzlist", "id"),
    gauge("tallyman_openvz_processes", "openvz", "Processes.", "vzlist", "id"),
    gauge(
        "tallyman_openvz_as_of_seconds",
        "openvz",
        "When vzlist gave what is shown, seconds since the epoch.",
        "vzlist",
        "id",
    ),
)
"""OpenVZ's own metrics, in the order of the page."""
