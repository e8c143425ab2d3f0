"""The unit: its exposure as systemd rates it, and its life in a guest where systemd runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.cli.flags import WRONG
from tests.deploy.conftest import build_deb
from tests.engines.harness.agent import Page
from tests.engines.harness.guest import run_in_guest
from tests.engines.harness.guest_runs import GUEST_RUNS
from tests.engines.harness.need import lacking, need
from tests.engines.harness.programs import run, workplace

CLONE = Path(__file__).parents[2]
UNIT = CLONE / "deploy/systemd/tallyman.service"
EXPOSURE = 2.5
"""As rated by systemd 252; docs/security.md gives the same number."""


def test_exposure_is_what_the_docs_say() -> None:
    if shutil.which("systemd-analyze") is None:
        lacking("not installed: systemd-analyze")
    threshold = f"--threshold={EXPOSURE * 10:.0f}"
    found = run("systemd-analyze", "security", "--offline=true", "--no-pager", threshold, UNIT)

    (line,) = (line for line in found.splitlines() if "Overall exposure level" in line)
    assert f"exposure level for tallyman.service: {EXPOSURE} OK" in line
    assert f"exposure of {EXPOSURE}" in (CLONE / "docs/security.md").read_text()


def test_every_exception_has_its_reason() -> None:
    """The unit explains every setting for which systemd-analyze adds exposure."""
    if shutil.which("systemd-analyze") is None:
        lacking("not installed: systemd-analyze")
    words = ("security", "--offline=true", "--no-pager", "--json=short", UNIT)
    tests = json.loads(run("systemd-analyze", *words))
    names = {re.split("[=/]", test["name"])[0] for test in tests if test.get("exposure")}
    unit = UNIT.read_text()

    assert "PrivateNetwork" in names
    assert [name for name in names if name not in unit] == []


def test_it_is_not_started_again_when_that_does_not_help() -> None:
    settings = [line.partition("=")[::2] for line in UNIT.read_text().splitlines()]
    assert ("Restart", "on-failure") in settings
    assert ("RestartPreventExitStatus", str(WRONG)) in settings


def make_report() -> dict[str, Any]:
    """Run the package in a Debian with systemd."""
    with workplace("guest") as place:
        shutil.copy(build_deb(), place / "tallyman.deb")
        run_in_guest(place, f"python3 -m tests.deploy.guest {place}")
        report: dict[str, Any] = json.loads((place / "report.json").read_text())
    return report


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    need("dpkg-buildpackage", "dh")
    return GUEST_RUNS.report(__name__)


@pytest.mark.vm
class TestInAGuest:
    """One life of the service, as reported by tests/deploy/guest.py."""

    def test_starts_with_the_installation(self, report: dict[str, Any]) -> None:
        assert report["installed"]["ActiveState"] == "active"
        assert report["installed"]["UnitFileState"] == "enabled"
        assert report["installed"]["NRestarts"] == "0"

    def test_finds_containers_without_dockers_socket(self, report: dict[str, Any]) -> None:
        page = Page(report["page"])
        (row,) = (row for row in page.rows() if row.name == "dock-app")
        assert (row.engine, row.state, row.style) == ("docker", "running", "app")
        assert page.value("container_memory_usage_bytes", id=row.id)

    def test_nothing_but_the_socket_is_denied(self, report: dict[str, Any]) -> None:
        page = Page(report["page"])
        failing = {
            sample.labels["collector"]
            for sample in page.samples["tallyman_collector_success"]
            if not sample.value
        }
        assert failing == {"docker"}

    def test_with_dockers_group_nothing_is(self, report: dict[str, Any]) -> None:
        page = Page(report["page_with_group"])
        assert page.value("tallyman_collector_success", collector="docker") == 1
        assert page.value("container_health_state", name="dock-app") is not None

    def test_what_faces_the_network_has_no_capabilities(self, report: dict[str, Any]) -> None:
        assert report["capabilities"]["serve"] == 0
        assert report["capabilities"]["scout"] == (1 << 2 | 1 << 19)

    def test_says_how_it_does(self, report: dict[str, Any]) -> None:
        assert report["status_text"].startswith("1 containers: 1 app")

    def test_is_reloaded(self, report: dict[str, Any]) -> None:
        assert report["reloaded"]["ActiveState"] == "active"
        assert report["reloaded"]["MainPID"] == report["installed"]["MainPID"]
        assert Page(report["page_reloaded"]).value("tallyman_config_last_reload_successful") == 1
        assert report["reloads"][0] < report["reloads"][1]

    def test_one_that_was_stopped_dead_is_started_anew(self, report: dict[str, Any]) -> None:
        """SIGSTOP: it can no longer notify the watchdog."""
        assert report["after_stop"]["NRestarts"] == "1"
        assert report["after_stop"]["MainPID"] != report["installed"]["MainPID"]
        assert any("Watchdog timeout" in entry["MESSAGE"] for entry in report["journal"])

    def test_a_clock_that_is_set_is_a_warning(self, report: dict[str, Any]) -> None:
        said = [e for e in report["journal"] if "the clock was set by" in str(e["MESSAGE"])]
        assert {entry["PRIORITY"] for entry in said} == {"4"}
        assert any("by +" in entry["MESSAGE"] for entry in said)
        assert not [e for e in report["journal"] if "a new one starts in" in str(e["MESSAGE"])]

    def test_the_journal_knows_priorities(self, report: dict[str, Any]) -> None:
        own = [e for e in report["journal"] if e.get("SYSLOG_IDENTIFIER") == "tallyman"]
        found = {entry["PRIORITY"] for entry in own}
        assert {"6", "4"} <= found
        assert not [entry for entry in own if str(entry["MESSAGE"]).startswith("<")]

    def test_is_gone_when_it_is_purged(self, report: dict[str, Any]) -> None:
        assert report["purged"]["ActiveState"] == "inactive"
        assert report["purged"]["LoadState"] == "not-found"
        assert report["left"] == []
