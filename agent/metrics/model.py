"""What a metric is, and how the tables of the catalogue declare one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from collectors.kernel.counters import Scalar, Table


class Type(StrEnum):
    """The types of OpenMetrics; the text format calls ``unknown`` untyped and ``info`` a gauge."""

    COUNTER = "counter"
    GAUGE = "gauge"
    INFO = "info"
    UNKNOWN = "unknown"


class Cell(NamedTuple):
    """A scalar of the kernel's counters, with fixed labels."""

    scalar: Scalar
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names without the values."""
        return tuple(name for name, _ in self.labels)


class Column(NamedTuple):
    """A column of a table of the kernel's counters, and the labels that the table's keys become."""

    table: Table
    column: int
    label_names: tuple[str, ...]


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
    shows: tuple[Cell | Column, ...] = ()
    """The kernel's counters that are read for it at each scrape; empty where samples are made
    otherwise, see ``agent.exposition``."""
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


CONTAINER_LABELS = ("id", "name", "image", "container", "pod", "namespace")
"""Labels of every ``container_*`` series; the last three on Kubernetes containers only."""

_LABELS_BY_PREFIX = {
    "container_": CONTAINER_LABELS,
    "machine_": ("boot_id", "machine_id", "system_uuid"),
    "tallyman_container_": ("id",),
    "tallyman_openvz_": ("id",),
}
_UNITS = ("seconds", "bytes", "ratio", "cores")


def _declare(
    kind: Type,
    name: str,
    group: str,
    source: str,
    text: str,
    *shows: Scalar | Cell | Column,
    labels: str = "",
    unit: str = "",
    lint: str = "",
) -> Metric:
    """Declare a metric: one row of the catalogue.

    ``labels``, separated by spaces, are those that neither the name's prefix nor ``shows`` implies;
    ``unit`` is given where the name does not end in it.
    """
    cells = tuple(Cell(shown) if isinstance(shown, Scalar) else shown for shown in shows)
    prefixes = (prefix for prefix in _LABELS_BY_PREFIX if name.startswith(prefix))
    by_prefix = _LABELS_BY_PREFIX.get(next(prefixes, ""), ())
    by_counter = dict.fromkeys(label for cell in cells for label in cell.label_names)
    last = name.removesuffix("_total").rpartition("_")[2]
    return Metric(
        name=name,
        type=kind,
        help=text,
        labels=(*by_prefix, *by_counter, *labels.split()),
        unit=unit or (last if last in _UNITS else ""),
        source=source,
        group=group,
        shows=cells,
        lint=lint,
    )


counter = partial(_declare, Type.COUNTER)
gauge = partial(_declare, Type.GAUGE)
info = partial(_declare, Type.INFO)
unknown = partial(_declare, Type.UNKNOWN)
