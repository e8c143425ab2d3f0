"""What a metric is: one declaration that exposition, docs, tests and dashboards all read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """The types of OpenMetrics; the text format calls ``unknown`` untyped and ``info`` a gauge."""

    COUNTER = "counter"
    GAUGE = "gauge"
    INFO = "info"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. Names are a promise: a rename is a major version, with the old one kept for one.

    The name is that of the samples, the same in the text and in the OpenMetrics format.
    """

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    """Labels that a sample may carry; one that is empty is left out, as Prometheus reads it."""
    unit: str = ""
    """Base unit: seconds, bytes, ratio, cores; empty for a count or a flag."""
    source: str = ""
    """Where the number is read: kernel file, engine, or the agent itself."""
    group: str
    """The group by which it is switched, a key of ``GROUPS``."""
    lint: str = ""
    """Why ``promtool check metrics`` complains of the name, where it does and we keep it."""

    @property
    def family(self) -> str:
        """Name of the metric family in OpenMetrics: without the suffix that the type adds."""
        match self.type:
            case Type.COUNTER:
                return self.name.removesuffix("_total")
            case Type.INFO:
                return self.name.removesuffix("_info")
            case _:
                return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Metrics that are switched together by ``--collector.NAME`` and ``--no-collector.NAME``."""

    name: str
    default: bool
    about: str


GROUPS = {
    group.name: group
    for group in (
        Group(name="identity", default=True, about="who each container is, its state and life"),
        Group(name="verdict", default=True, about="style, score, confidence, axes and findings"),
        Group(name="image", default=True, about="image and writable layer, from the engine"),
        Group(name="spec", default=True, about="limits and shares"),
        Group(name="cpu", default=True, about="CPU time and throttling"),
        Group(name="memory", default=True, about="memory use, failures and OOM kills"),
        Group(name="pressure", default=True, about="PSI, where the kernel has it"),
        Group(name="io", default=True, about="block I/O of the container's own cgroup"),
        Group(name="network", default=True, about="traffic by interface"),
        Group(name="process", default=True, about="processes and threads"),
        Group(name="filesystem", default=True, about="what a container's files take"),
        Group(name="hugetlb", default=True, about="huge pages, of containers that use them"),
        Group(
            name="openvz",
            default=True,
            about="status, quotas and load of OpenVZ, and the beancounters that are limited",
        ),
        Group(name="host", default=True, about="density: promised and used, by style and engine"),
        Group(name="machine", default=True, about="the machine, and its counters as id=/"),
        Group(name="agent", default=True, about="the agent itself"),
        Group(
            name="memory_detail",
            default=False,
            about="kernel memory, reclaim, dirty pages, memory events: 11 more series a container",
        ),
        Group(
            name="verdict_detail",
            default=False,
            about="the evidence that each verdict rests on: about 8 more series a container",
        ),
        Group(
            name="spec_detail",
            default=False,
            about="memory reservation and most threads, where set: 2 more series a container",
        ),
        Group(
            name="pressure_detail",
            default=False,
            about="what pressure reads of full stalls, too: 3 more series a container",
        ),
        Group(
            name="beancounters",
            default=False,
            about="every beancounter of OpenVZ, also what is not limited: up to 100 more series",
        ),
        Group(
            name="blkio_device",
            default=False,
            about="container_blkio_device_usage_total: up to 6 more series a device",
        ),
        Group(
            name="descriptors",
            default=False,
            about="open descriptors and sockets: reads /proc/<pid>/fd of every process",
        ),
        Group(
            name="tcp",
            default=False,
            about="TCP sockets by state: 22 more series, and costly with many connections",
        ),
        Group(name="udp", default=False, about="UDP sockets and their queues: 8 more series"),
    )
}
"""Every group; a default one is on unless switched off."""

DEFAULT_GROUPS = frozenset(group.name for group in GROUPS.values() if group.default)


_UNITS = ("seconds", "bytes", "ratio", "cores")


def counter(
    name: str, group: str, text: str, source: str, *labels: str, unit: str = "", lint: str = ""
) -> Metric:
    """Declare a counter; its unit is read off the name where the name says it."""
    return _metric(Type.COUNTER, name, group, text, source, labels, unit, lint)


def gauge(
    name: str, group: str, text: str, source: str, *labels: str, unit: str = "", lint: str = ""
) -> Metric:
    """Declare a gauge; its unit is read off the name where the name says it."""
    return _metric(Type.GAUGE, name, group, text, source, labels, unit, lint)


def info(name: str, group: str, text: str, source: str, *labels: str, lint: str = "") -> Metric:
    """Declare an info series, whose value is always 1."""
    return _metric(Type.INFO, name, group, text, source, labels, "", lint)


def _metric(  # noqa: PLR0917
    kind: Type,
    name: str,
    group: str,
    text: str,
    source: str,
    labels: tuple[str, ...],
    unit: str,
    lint: str,
) -> Metric:
    last = name.removesuffix("_total").rpartition("_")[2]
    return Metric(
        name=name,
        type=kind,
        help=text,
        labels=labels,
        unit=unit or (last if last in _UNITS else ""),
        source=source,
        group=group,
        lint=lint,
    )
