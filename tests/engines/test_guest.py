"""A host with systemd and a pure cgroup v2 hierarchy: each container once, and nothing else.

The guest is slow, so one run makes everything, and each case of its report is tested here.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engines.guest.look_alikes import LookAlikes
from tests.engines.guest.scene import Scene, cases
from tests.engines.harness.agent import (
    Page,
    Row,
    assert_found_once,
    assert_no_container,
    row_of,
    rows_about,
)
from tests.engines.harness.guest import guest_report
from tests.engines.harness.guest_runs import GUEST_RUNS
from tests.engines.harness.made import Made

pytestmark = [pytest.mark.engine, pytest.mark.vm]

SYSTEMS = {"docker_system", "lxc_system", "nspawn_of_machined"}
UNREMARKABLE = {"virtual_machine_of_machined"}
"""To the kernel these do not look like containers: they are not listed as look-alikes either."""
STATES = {
    "docker_paused": "paused",
    "docker_stopped": "exited",
    "podman_stopped": "created",
    "lxc_stopped": "exited",
}


def make_report() -> dict[str, Any]:
    """Run the guest."""
    return guest_report()


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return GUEST_RUNS.report(__name__)


@pytest.fixture(scope="module")
def rows(report: dict[str, Any]) -> list[Row]:
    return [row_of(found) for found in report["rows"]]


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> Page:
    return Page(report["page"])


@pytest.mark.parametrize("case", cases(Scene))
def test_container(case: str, report: dict[str, Any], rows: list[Row]) -> None:
    made = _made(report, case)
    runs = made.pid is not None and case not in STATES
    style = ("system" if case in SYSTEMS else "app") if runs else ""

    assert_found_once(rows, made, state=STATES.get(case, "running"), style=style)


@pytest.mark.parametrize("case", cases(LookAlikes))
def test_look_alike(case: str, report: dict[str, Any], rows: list[Row]) -> None:
    made = _made(report, case)

    if case in UNREMARKABLE:
        assert [row for row in rows_about(rows, made) if not row.reason] == []
    else:
        assert_no_container(rows, made)


def test_nothing_else_is_a_container(report: dict[str, Any], rows: list[Row]) -> None:
    known = [_as_made(report["made"][case]) for case in cases(Scene) if case in report["made"]]

    shown = [row for made in known for row in rows_about(rows, made)]

    assert [row for row in rows if not row.reason and row not in shown] == []


def test_infra_of_a_pod(report: dict[str, Any]) -> None:
    infra = _made(report, "podman_infra_of_the_pod")

    roles = {row["pid"]: row["role"] for row in report["rows"] if row.get("role")}

    assert roles == {infra.pid: "infra"}


def test_no_engine_was_woken(report: dict[str, Any]) -> None:
    assert report["podman_service"] in ("inactive", "failed", "unknown")


@pytest.mark.parametrize("case", [case for case in cases(Scene) if case not in STATES])
def test_running_containers_have_counters(case: str, report: dict[str, Any], page: Page) -> None:
    made = _made(report, case)
    ids = [row.id for row in page.rows() if made.name and row.name == made.name]
    ids = ids or [row["id"] for row in report["rows"] if row["pid"] == made.pid and row["id"]]

    assert len(ids) == 1
    own_cgroup = not case.startswith("unshare_in_")
    for name in ("container_memory_usage_bytes", "container_cpu_usage_seconds_total"):
        assert (page.value(name, id=ids[0]) is not None) == own_cgroup, name


def test_the_host_is_seen_as_v2(page: Page) -> None:
    assert page.value("tallyman_host_info", cgroup_mode="v2") == 1
    assert page.value("tallyman_inventory_complete") == 1


def _made(report: dict[str, Any], case: str) -> Made:
    assert case in report["made"], report["failed"].get(case) or json.dumps(report)[:500]
    return _as_made(report["made"][case])


def _as_made(told: dict[str, Any]) -> Made:
    parent = _as_made(told["parent"]) if told["parent"] else None
    return Made(**{**told, "parent": parent})
