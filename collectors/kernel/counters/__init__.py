"""What the kernel counts of containers and of the host, read when Prometheus scrapes."""

from __future__ import annotations

from collectors.kernel.counters.host import HostCounters
from collectors.kernel.counters.model import Counters, Target
from collectors.kernel.counters.parse import Rows
from collectors.kernel.counters.reader import CounterReader
from collectors.kernel.counters.sources import Scalar, Table

__all__ = ["CounterReader", "Counters", "HostCounters", "Rows", "Scalar", "Table", "Target"]
