"""Every query of every dashboard against the demo's history: no error, and something to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.queries import alerts, dashboards, fill, panels
from tests.dashboards.server import singles

if TYPE_CHECKING:
    from tests.dashboards.server import Api

ALL = dashboards()

EMPTY = {
    "tallyman-fleet": {
        "Failing now": "what Prometheus says of alerts itself is no part of the history",
    },
    "tallyman-host": {
        "Promised: C": "the one host that promises disk is another",
    },
    "tallyman-system": {
        "Servers that do not run: A": "OpenVZ knows no exit codes",
    },
    "tallyman-agent": {
        "Malformed reads": "nothing in the demo is malformed",
    },
    "tallyman-one": {
        "Life: D": "it runs, and has not ended",
        "Against its limits: C": "Docker limits no disk here",
        "Beancounters": "a Docker container",
        "Load": "a Docker container",
        "Quotas": "a Docker container",
        "Files: C": "Docker limits no disk here",
        "Findings": "nothing is wrong with it",
        "Axis by axis: B": "no axis leans to system",
        "Axis by axis: D": "it is app-style",
    },
}
"""Panels, or queries of them, that are right to be empty with All, and why."""
ONE = {"instance": "harbour-1:10060", "container": "shop-checkout-1"}
"""A container that has limits and a health check."""


@pytest.mark.parametrize("board", ALL.values(), ids=ALL)
def test_all(board: dict[str, Any], demo: Api) -> None:
    chosen = demo.choices(board, **ONE)
    empty = demo.ask_all(board, singles(board, chosen))
    right = EMPTY.get(board["uid"], {})
    assert [query for query in empty if not {query, query.partition(": ")[0]} & right.keys()] == []
    assert [name for name in right if not any(query.startswith(name) for query in empty)] == []


@pytest.mark.parametrize("board", ALL.values(), ids=ALL)
@pytest.mark.parametrize(
    ("instance", "engine", "style", "container"),
    [
        ("harbour-1:10060", "docker", "app", "shop-search-1"),
        ("harbour-1:10060", "lxc", "system", "gitlab"),
        ("harbour-2:10060", "containerd", "app", "prod/orders-7c9f5d6b84-b9zqt/orders"),
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
    ["image", "compose_project, compose_service", "namespace, pod", "name"],
)
def test_grouping_of_applications(demo: Api, by: str) -> None:
    board = ALL["tallyman-app"]
    offered = next(v for v in board["templating"]["list"] if v["name"] == "by")
    assert by.replace(",", "\\,") in offered["query"]
    assert demo.ask_all(board, {"by": by}) == []


def test_one_application_has_its_containers_alone(demo: Api) -> None:
    board = ALL["tallyman-app"]
    table = next(p for p in panels(board) if p["title"] == "Containers of these applications")
    expr = table["targets"][0]["expr"]
    shop = fill(expr, by="compose_project", application="shop")
    names = {row["metric"]["name"] for row in demo.ask_now(shop)}
    assert len(names) == 8
    assert all(name.startswith("shop-") for name in names)


SILENT = {
    "TallymanContainerFailed": "the jobs that failed are gone at the end of the history",
    "TallymanContainersVanished": "every host has containers",
    "TallymanEngineGone": "every engine runs",
    "TallymanVerdictTurned": "the history is too short for a container that turned after its start",
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
