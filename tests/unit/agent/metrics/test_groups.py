from __future__ import annotations

from agent.metrics import CATALOGUE
from agent.metrics.groups import DEFAULT_GROUPS, GROUPS


def test_every_group_has_a_metric() -> None:
    assert set(GROUPS) == {metric.group for metric in CATALOGUE}


def test_what_costs_series_or_time_is_off_by_default() -> None:
    off = {name for name, group in GROUPS.items() if not group.default}
    assert off == set(GROUPS) - DEFAULT_GROUPS
    assert {"tcp", "udp", "descriptors", "memory_detail"} <= off
