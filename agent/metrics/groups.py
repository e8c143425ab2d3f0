"""Groups of metrics, which operators switch on and off as a whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Metrics that are switched together by ``--collector.NAME`` and ``--no-collector.NAME``."""

    name: str
    default: bool
    about: str


_ON_BY_DEFAULT = {
    "identity": "who each container is, its state and life",
    "verdict": "style, score, confidence, axes and findings",
    "image": "image and writable layer, from the engine",
    "spec": "limits and shares",
    "cpu": "CPU time and throttling",
    "memory": "memory use, failures and OOM kills",
    "pressure": "PSI, where the kernel has it",
    "io": "block I/O of the container's cgroup",
    "network": "traffic by interface",
    "process": "processes and threads",
    "filesystem": "space that a container's files take",
    "hugetlb": "huge pages, of containers that use them",
    "openvz": "status, quotas and load of OpenVZ, and the beancounters that are limited",
    "host": "density: promised and used, by style and engine",
    "machine": "the machine, and its counters as id=/",
    "agent": "the agent itself",
}
_OFF_BY_DEFAULT = {
    "memory_detail": (
        "kernel memory, reclaim, dirty pages, memory events: 11 more series a container"
    ),
    "verdict_detail": "the evidence for each verdict: about 8 more series a container",
    "spec_detail": "memory reservation and limit of threads, where set: 2 more series a container",
    "pressure_detail": "time in which all tasks stalled, too: 3 more series a container",
    "beancounters": "OpenVZ's beancounters without a limit, too: up to 100 more series",
    "blkio_device": "container_blkio_device_usage_total: up to 6 more series a device",
    "descriptors": "open descriptors and sockets: reads /proc/<pid>/fd of every process",
    "tcp": "TCP sockets by state: 22 more series, and costly with many connections",
    "udp": "UDP sockets and their queues: 8 more series",
}

GROUPS = {
    name: Group(name=name, default=default, about=about)
    for default, groups in ((True, _ON_BY_DEFAULT), (False, _OFF_BY_DEFAULT))
    for name, about in groups.items()
}
"""Every group by its name, in the order of the documentation."""

DEFAULT_GROUPS = frozenset(_ON_BY_DEFAULT)
