"""The engines of 2026, in guests of newer Debians: each container once, and what is true of it.

A guest is built and run for each suite, which takes too long for CI: ``make test-hosts``.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.engines.guest.modern import Modern
from tests.engines.guest.scene import cases
from tests.engines.harness.agent import Row, assert_found_once, row_of
from tests.engines.harness.guest import modern_report
from tests.engines.harness.made import Made

pytestmark = [pytest.mark.engine, pytest.mark.hosts]

STATES = {"lxc_oci_stopped": "exited", "incus_oci_stopped": "exited"}
SYSTEMS = {"incus_system", "nspawn_boot"}
INFRA = {"quadlet_pod_infra", "cri_sandbox"}
NOT_IN = {"trixie": {"incus_oci", "incus_oci_stopped"}}
"""What its engines cannot do: Incus knows OCI images since 6.3."""
_FALSE_OF_ALL = {"single_app_in_system_container", "docker_as_vm"}


@pytest.fixture(scope="module")
def report(suite: str) -> dict[str, Any]:
    return modern_report(suite)


@pytest.fixture(scope="module", params=["trixie", "forky"])
def suite(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("case", cases(Modern))
def test_container(case: str, suite: str, report: dict[str, Any]) -> None:
    if case in NOT_IN.get(suite, ()):
        pytest.skip(f"the engine of {suite} cannot do that")
    made = _made(report, case)
    rows: list[Row] = [row_of(found) for found in report["rows"]]
    found = report["explained"][case]
    style = "system" if case in SYSTEMS else "app"
    state = STATES.get(case, "running")

    assert_found_once(rows, made, state=state, style=style if made.pid else "")
    assert (found["expected_style"], found["mismatch"]) == (style, False)
    assert not _FALSE_OF_ALL & {finding["name"] for finding in found["findings"]}
    told = {piece["rule"] for piece in found["evidence"]}
    assert ("provenance.system_engine" in told) == (style == "system")
    assert (found["role"] == "infra") == (case in INFRA)
    assert found["image"] or case.startswith(("lxc", "nspawn", *INFRA))


def test_nothing_else_is_a_container(report: dict[str, Any]) -> None:
    """Least of all pasta and catatonit, which podman keeps beside a user's containers."""
    known = {_made(report, case).name for case in report["made"]}
    others = [row for row in report["rows"] if row["id"] and row["name"] not in known]

    assert [row for row in others if row["role"] != "infra"] == []


def _made(report: dict[str, Any], case: str) -> Made:
    assert case in report["made"], report["failed"].get(case)
    told = report["made"][case]
    return Made(**{**told, "noted": tuple(told["noted"])})
