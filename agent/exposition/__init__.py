"""From the inventory and the kernel's counters to the bytes that Prometheus scrapes."""

from __future__ import annotations

from agent.exposition.compression import compressed
from agent.exposition.exposition import Exposition, Reading
from agent.exposition.options import Options
from agent.exposition.text import OPENMETRICS_TYPE, TEXT_TYPE

__all__ = ["OPENMETRICS_TYPE", "TEXT_TYPE", "Exposition", "Options", "Reading", "compressed"]
