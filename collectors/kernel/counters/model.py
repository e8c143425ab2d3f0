"""One container's counters: what is to be read, a reading under way, and a finished one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.kernel.counters.sources import Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import ProcessId
    from collectors.kernel.counters.parse import Rows, Values
    from collectors.kernel.counters.sources import Table


class Draft:
    """The values of one container as they are being read; what is not read again stays."""

    __slots__ = ("scalars", "tables")

    def __init__(self) -> None:
        self.scalars: Values = [None] * len(Scalar)
        self.tables: dict[Table, Rows] = {}

    def finish(self) -> Counters:
        """Return the values as they are now, once and for all."""
        return Counters(tuple(self.scalars), dict(self.tables))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A container whose counters are to be read."""

    id: str
    cgroups: Mapping[str, str] = field(default_factory=dict)
    """Path by controller, only where the cgroup is this container's alone."""
    init: ProcessId | None = None
    own_network: bool = True
    """Its network namespace is neither the host's nor another container's."""
    quota: bool = False
    """It has a CPU quota, so that the kernel counts throttling."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading of one container; never changed, shared by readings that found nothing new."""

    scalars: tuple[bytes | None, ...]
    tables: Mapping[Table, Rows]
