"""The catalogue: each metric once. Exposition, docs, golden test and dashboards all read it.

A new metric is a row in ``cadvisor``, ``openvz`` or ``tallyman``: name, group, where the number is
read, HELP text, then what is particular to it. A metric that shows a counter of the kernel names it
in its row (``Scalar.CPU_USER``) and needs nothing more; the counter, with the files that it is read
from, is defined in ``collectors.kernel.counters``. The samples of all other metrics are made in
``agent.exposition``.
"""

from __future__ import annotations

from agent.metrics.cadvisor import CADVISOR
from agent.metrics.groups import DEFAULT_GROUPS, GROUPS, Group
from agent.metrics.model import Metric, Type
from agent.metrics.openvz import OPENVZ
from agent.metrics.tallyman import TALLYMAN

CATALOGUE: tuple[Metric, ...] = (*TALLYMAN, *OPENVZ, *CADVISOR)
"""Every metric, in the order in which the page shows them."""

BY_NAME = {metric.name: metric for metric in CATALOGUE}

__all__ = ["BY_NAME", "CATALOGUE", "DEFAULT_GROUPS", "GROUPS", "Group", "Metric", "Type"]
