"""The catalogue: each metric once. Exposition, docs, golden test and dashboards all read it."""

from __future__ import annotations

from agent.metrics.cadvisor import CADVISOR
from agent.metrics.model import DEFAULT_GROUPS, GROUPS, Group, Metric, Type
from agent.metrics.openvz import OPENVZ
from agent.metrics.tallyman import TALLYMAN

CATALOGUE: tuple[Metric, ...] = (*TALLYMAN, *OPENVZ, *CADVISOR)
"""Every metric, in the order in which the page shows them."""

BY_NAME = {metric.name: metric for metric in CATALOGUE}

__all__ = ["BY_NAME", "CATALOGUE", "DEFAULT_GROUPS", "GROUPS", "Group", "Metric", "Type"]
