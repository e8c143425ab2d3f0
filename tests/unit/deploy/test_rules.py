"""Recording rules and alerts: use exported metrics, have a runbook, are tested by promtool."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.dashboards.queries import (
    PROMETHEUS,
    ROOT,
    alerts,
    annotation_queries,
    dashboards,
    labels_of,
    panel_queries,
    parts,
    recordings,
)
from tests.dashboards.tools import tool

ALERTS = alerts()
RECORDINGS = recordings()
EXPRESSIONS = RECORDINGS | {name: rule["expr"] for name, rule in ALERTS.items()}
SERVED_FOR_OTHERS = {
    "instance_style": "host and style, for dashboards and alerts that users write",
    "engine_style": "engine and style, for dashboards and alerts that users write",
    "instance_project_service": "Compose's labels, for dashboards made for cAdvisor",
}
"""Levels of recording rules that no dashboard here reads, and what they are for."""


@pytest.mark.parametrize("expr", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_over_what_the_agent_exports(expr: str) -> None:
    query = parts(expr)
    allowed: set[str] = set()
    for metric, matchers in query.selectors:
        labels = labels_of(metric)
        allowed |= labels
        assert {label for label, _ in matchers} <= labels, metric
    assert query.labels <= allowed | query.made


@pytest.mark.parametrize("expr", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_joins_are_by_job_too(expr: str) -> None:
    for labels in re.findall(r"\bon \(([^)]*)\)", expr):
        assert {"job", "instance"} <= set(re.split(r",\s*", labels))


@pytest.mark.parametrize("name", RECORDINGS)
def test_names_of_recordings_contain_their_labels(name: str) -> None:
    level, metric, operation = name.split(":")
    assert metric
    assert operation
    words = set(level.split("_"))
    labels = labels_of(name) - {"job"}
    assert words <= labels
    who = labels_of("instance_id:tallyman_container_info:one") | {"state"}
    assert labels - words <= (who if "id" in words else set())


def test_every_recording_is_used() -> None:
    queries = " ".join(
        asked.expr
        for board in dashboards().values()
        for asked in (*panel_queries(board), *annotation_queries(board))
    )
    queries += " ".join(EXPRESSIONS.values())
    unused = {name for name in RECORDINGS if name not in queries}
    assert {name.split(":")[0] for name in unused} <= set(SERVED_FOR_OTHERS)


@pytest.mark.parametrize("name", ALERTS)
def test_alert(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"Tallyman[A-Za-z]+", name)
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in notes["summary"], "a constant sentence"
    assert "{{ $labels.instance }}" in notes["description"]


@pytest.mark.parametrize("name", ALERTS)
def test_alert_links(name: str) -> None:
    notes = ALERTS[name]["annotations"]
    page, _, anchor = notes["runbook_url"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert name in headings
    assert anchor == name.lower()
    address = urlsplit(notes["dashboard_url"])
    board = dashboards()[address.path.removeprefix("/d/")]
    known = {f"var-{variable['name']}" for variable in board["templating"]["list"]}
    passed = parse_qs(address.query)
    assert set(passed) <= known
    wanted = {"var-job", "var-instance"}
    if "var-id" in known:
        wanted |= {"var-container", "var-id"}
    assert set(passed) == wanted, "the link opens what fired"
    for value in passed.values():
        assert value[0].endswith("| urlquery }}")


def test_every_runbook_has_an_alert_in_the_same_order() -> None:
    text = (ROOT / "docs/runbooks.md").read_text()
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_each_runbook_has_the_same_sections(name: str) -> None:
    text = (ROOT / "docs/runbooks.md").read_text()
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    headings = re.findall(r"^\*\*(\w+(?: \w+)?):\*\*", section, re.MULTILINE)
    assert headings[:4] == ["Means", "Look", "Do", "Why"]
    assert headings[4:] in ([], ["Tune"])


def test_every_alert_is_tested_firing_and_silent() -> None:
    loaded = yaml.safe_load((PROMETHEUS / "tests/alerts.test.yml").read_text())
    seen: dict[str, set[bool]] = {}
    for group in loaded["tests"]:
        for case in group["alert_rule_test"]:
            seen.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert seen == {name: {True, False} for name in ALERTS}


def test_promtool_lint() -> None:
    tool(
        "promtool",
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        "rules.yml",
        "alerts.yml",
        place=PROMETHEUS,
    )


@pytest.mark.parametrize("path", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda p: p.name)
def test_promtool_unit_tests(path: Path) -> None:
    tool("promtool", "test", "rules", str(path), place=PROMETHEUS)
