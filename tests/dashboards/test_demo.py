"""Every query of every dashboard against the demo's history: no error, and something to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.queries import alerts, dashboards, panels
from tests.dashboards.server import singles

if TYPE_CHECKING:
    from tests.dashboards.server import Api

ALL = dashboards()

EMPTY = {
    "tallyman-agent": {
        "Malformed reads a second: A": "nothing in the demo is malformed",
    },
    "tallyman-one": {
        "Trouble: C": "it runs, and has not ended",
        "Beancounters: A": "a Docker container",
        "Beancounters: B": "a Docker container",
        "Beancounters: C": "a Docker container",
        "Beancounters: D": "a Docker container",
        "Load: A": "a Docker container",
        "Load: B": "a Docker container",
        "Load: C": "a Docker container",
        "Load: D": "a Docker container",
        "Files: B": "a Docker container",
        "Files: C": "a Docker container",
        "Findings: A": "nothing is wrong with it",
    },
}
"""Queries with All that are right to be empty, and why."""
ONE = {"instance": "harbour-1:10060", "container": "shop-checkout-1"}
"""A container that has limits and a health check."""


@pytest.mark.parametrize("board", ALL.values(), ids=ALL)
def test_all(board: dict[str, Any], demo: Api) -> None:
    chosen = demo.choices(board, **ONE)
    single = {name: chosen[name] for name in singles(board, demo)}
    empty = demo.ask_all(board, single)
    assert set(empty) == set(EMPTY.get(board["uid"], {}))


@pytest.mark.parametrize("board", ALL.values(), ids=ALL)
@pytest.mark.parametrize(
    ("instance", "engine", "style", "container"),
    [
        ("harbour-1:10060", "docker", "app", "shop-search-1"),
        ("harbour-1:10060", "lxc", "system", "gitlab"),
        ("harbour-2:10060", "containerd", "app", "k8s_orders_orders-7c9f5d0001_prod"),
        ("quay-1:10060", "openvz", "system", "db01.example"),
    ],
)
def test_one_value_of_each_variable(  # noqa: PLR0917
    board: dict[str, Any], demo: Api, instance: str, engine: str, style: str, container: str
) -> None:
    wanted = {"instance": instance, "engine": engine, "style": style, "container": container}
    chosen = demo.choices(board, **wanted)
    empty = demo.ask_all(board, chosen)
    # What one container alone has not is no fault; that hardly anything is seen would be one.
    asked = sum(len(panel["targets"]) for panel in panels(board))
    assert len(empty) < asked * 0.6, (chosen, empty)


@pytest.mark.parametrize(
    "by",
    ['"image"', '"compose_project", "compose_service"', '"namespace", "pod"', '"name"'],
)
def test_grouping_of_applications(demo: Api, by: str) -> None:
    board = ALL["tallyman-app"]
    offered = next(v for v in board["templating"]["list"] if v["name"] == "by")
    assert by.replace(",", "\\,") in offered["query"]
    assert demo.ask_all(board, {"by": by}) == []


SILENT = {
    "TallymanAgentDown": "the host that was down was so before the last hour",
    "TallymanCollectorFailing": "it failed before the last hour",
    "TallymanInodeQuotaNearlyFull": "no container of the demo is short of inodes",
    "TallymanInventoryStale": "every agent is fine",
    "TallymanContainersLeftOut": "there are few",
}
"""Alerts that the last hour of the demo gives no reason for."""


@pytest.mark.parametrize("name", alerts())
def test_alerts_have_something_to_tell(demo: Api, name: str) -> None:
    found = demo.series(alerts()[name]["expr"], instant=True)
    assert bool(found) is (name not in SILENT)
