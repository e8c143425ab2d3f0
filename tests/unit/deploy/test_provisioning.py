"""The configuration of Prometheus, Alertmanager and Grafana in deploy/."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import alerting
from tests.dashboards.queries import PROMETHEUS, ROOT, TARGET, alerts
from tests.dashboards.tools import tool

ALERTMANAGER = ROOT / "deploy/alertmanager"


def _config(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def _check(config: dict[str, Any], place: Path) -> None:
    for rules in config["rule_files"]:
        shutil.copy(PROMETHEUS / rules, place)
    for targets in PROMETHEUS.glob("targets.*.json"):
        shutil.copy(targets, place)
    for job in config["scrape_configs"]:
        # Debian's Prometheus is built without Kubernetes support.
        job.pop("kubernetes_sd_configs", None)
        if job.pop("bearer_token_file", None):
            job["tls_config"].pop("ca_file")
    (place / "prometheus.yml").write_text(json.dumps(config))
    tool("promtool", "check", "config", "prometheus.yml", place=place)


@pytest.mark.parametrize("path", sorted(PROMETHEUS.glob("scrape-*.yml")), ids=lambda p: p.name)
def test_scrape_examples(path: Path, tmp_path: Path) -> None:
    config = _config(path)
    assert "tallyman" in {job["job_name"] for job in config["scrape_configs"]}
    assert config["rule_files"] == ["rules.yml", "alerts.yml"]
    _check(config, tmp_path)


def test_targets_example() -> None:
    for entry in json.loads((PROMETHEUS / "targets.example.json").read_text()):
        assert entry["targets"]
        assert not set(entry["labels"]) & TARGET


def _kept(name: str, job: str, labels: Mapping[str, str]) -> bool:
    """Return whether a job of an example keeps a series, as Prometheus applies drop rules."""
    jobs = {j["job_name"]: j for j in _config(PROMETHEUS / name)["scrape_configs"]}
    for rule in jobs[job].get("metric_relabel_configs", ()):
        assert rule["action"] == "drop"
        text = ";".join(labels.get(label, "") for label in rule["source_labels"])
        if re.fullmatch(rule["regex"], text):
            return False
    return True


_DOCKER = "docker-2d793a3b633a731bd438067602fc1e7584d4ba0509cda8fab3ba826fb8b7bae9.scope"
_USE = "container_memory_working_set_bytes"


@pytest.mark.parametrize(
    ("metric", "id_", "name", "ours"),
    [
        (_USE, f"/system.slice/{_DOCKER}", "web", False),
        (_USE, "/docker/2d793a3b633a731bd438067602fc1e7584d4ba0509cda8fab3", "web", False),
        (_USE, "/lxc.payload.mail", "mail", True),
        (_USE, "/machine.slice/libpod-2d793a3b633a.scope", "pihole", True),
        (_USE, "/", "", True),
        ("machine_memory_bytes", "", "", True),
        ("tallyman_container_info", f"/system.slice/{_DOCKER}", "web", True),
    ],
)
def test_beside_cadvisor_no_series_is_there_twice(
    metric: str, id_: str, name: str, *, ours: bool
) -> None:
    example = "scrape-beside-cadvisor.yml"
    labels = {"__name__": metric, "id": id_, "name": name}
    assert _kept(example, "tallyman", labels) is ours
    # cAdvisor has names only for Docker's containers, and no tallyman_* metrics.
    theirs = labels | {"name": name if "docker" in id_ else ""}
    if not metric.startswith("tallyman_"):
        assert _kept(example, "cadvisor", theirs) is not ours


@pytest.mark.parametrize(
    ("metric", "pod", "ours"),
    [(_USE, "web-7c9f5d6b84-x7k2p", False), (_USE, "", True), ("machine_cpu_cores", "", True)],
)
def test_beside_a_kubelet_no_series_is_there_twice(metric: str, pod: str, *, ours: bool) -> None:
    labels = {"__name__": metric, "pod": pod}
    assert _kept("scrape-kubernetes.yml", "tallyman", labels) is ours
    assert _kept("scrape-kubernetes.yml", "kubelet", labels) is not ours


def test_alertmanager_example() -> None:
    output = tool("amtool", "check-config", "alertmanager.yml", place=ALERTMANAGER)
    assert "1 templates" in output


@pytest.mark.parametrize("name", alerts())
def test_alertmanager_routes_each_alert_by_its_severity(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    labels = (f"alertname={name}", f"severity={severity}")
    flags = ("config", "routes", "test", "--config.file=alertmanager.yml")
    output = tool("amtool", *flags, *labels, place=ALERTMANAGER).splitlines()
    assert output[0] == {"critical": "phone", "warning": "mail", "info": "chat"}[severity]


def test_alertmanager_lets_nothing_wait_that_is_over_within_minutes() -> None:
    config = _config(ALERTMANAGER / "alertmanager.yml")
    urgent = {"TallymanContainerOomKilled", "TallymanNewPrivilegedContainer"}
    urgent |= {n for n, rule in alerts().items() if rule["labels"]["severity"] == "critical"}
    for name in urgent:
        severity = alerts()[name]["labels"]["severity"]
        (route, *_) = (r for r in config["route"]["routes"] if _takes(r, name, severity))
        assert route["group_wait"] == "0s"
        # A group has its next message after group_interval: one of its own need not wait for that.
        assert "id" in route.get("group_by", ()) or route["group_interval"] == "1m"


def _takes(route: Mapping[str, Any], name: str, severity: str) -> bool:
    labels = {"alertname": name, "severity": severity}
    matchers = [re.fullmatch(r'(\w+) =~? "(.+)"', m) for m in route["matchers"]]
    return all(m is not None and re.fullmatch(m[2], labels[m[1]]) for m in matchers)


@pytest.mark.parametrize("kind", ["text", "html"])
def test_alertmanager_message(kind: str, tmp_path: Path) -> None:
    notes = {
        "summary": "A container is close to its memory limit.",
        "description": "web on h1 uses 95% of its memory limit.",
        "runbook_url": "docs/runbooks.md#tallymancontainermemorynearlimit",
        "dashboard_url": "/d/tallyman-one?var-job=tallyman&var-container=web",
    }
    labels = {"alertname": "TallymanContainerMemoryNearLimit", "instance": "h1"}
    data = {
        "status": "firing",
        "alerts": [{"status": "firing", "labels": labels, "annotations": notes}],
        "commonLabels": labels,
        "commonAnnotations": notes,
    }
    (tmp_path / "data.json").write_text(json.dumps(data))
    output = tool(
        *("amtool", "template", "render", "--template.glob=tallyman.tmpl"),
        *(f"--template.data={tmp_path}/data.json", f"--template.type={kind}"),
        '--template.text={{ template "tallyman.title" . }} '
        f'{{{{ template "tallyman.{kind}" . }}}}',
        place=ALERTMANAGER,
    )
    assert "[firing] TallymanContainerMemoryNearLimit on h1" in output
    assert notes["description"] in output
    assert "https://grafana.example.org/d/tallyman-one?var-job=tallyman" in output
    assert f"https://docs.example.org/tallyman/{notes['runbook_url']}" in output


def test_grafana_provisioning() -> None:
    place = ROOT / "deploy/grafana/provisioning"
    (source,) = _config(place / "datasources/tallyman.yml")["datasources"]
    assert source["type"] == "prometheus"
    static = _config(PROMETHEUS / "scrape-static.yml")
    assert source["jsonData"]["timeInterval"] == static["global"]["scrape_interval"]
    (provider,) = _config(place / "dashboards/tallyman.yml")["providers"]
    assert provider["type"] == "file"
    assert not provider["allowUiUpdates"]
    # It names the folder that the README copies to.
    assert (
        f"cp dashboards/json/*.json {provider['options']['path']}/"
        in (ROOT / "deploy/grafana/README.md").read_text()
    )


def _grafana_rules() -> list[dict[str, Any]]:
    groups = _config(ROOT / "deploy/grafana/provisioning/alerting/tallyman.yml")["groups"]
    assert [group["folder"] for group in groups] == ["Tallyman"] * len(groups)
    return [rule for group in groups for rule in group["rules"]]


def test_grafanas_alert_rules_are_made_from_prometheus_alerts() -> None:
    assert alerting.TARGET.read_text() == alerting.text(), "run: make dashboards"


def test_grafana_has_each_alert_with_the_same_query_and_patience() -> None:
    source = alerts()
    made = {rule["title"]: rule for rule in _grafana_rules()}
    assert list(made) == list(source)
    assert len({rule["uid"] for rule in made.values()}) == len(made)
    for name, rule in made.items():
        query, fires = rule["data"]
        # Grafana refuses a uid of more than 40 characters.
        assert re.fullmatch(r"[a-z-]{1,40}", rule["uid"])
        assert query["model"]["expr"] == source[name]["expr"].strip()
        assert rule["for"] == source[name].get("for", "0s")
        assert rule.get("keepFiringFor") == source[name].get("keep_firing_for")
        assert rule["labels"] == source[name]["labels"]
        assert (rule["condition"], fires["refId"]) == ("B", "B")


def test_grafana_asks_the_data_source_that_is_provisioned() -> None:
    (source,) = _config(ROOT / "deploy/grafana/provisioning/datasources/tallyman.yml")[
        "datasources"
    ]
    asked = {rule["data"][0]["datasourceUid"] for rule in _grafana_rules()}
    assert asked == {source["uid"]}


_GRAFANA_KNOWS = {"if", "else", "end", "or", "lt"}
"""What Grafana's templates and Go's know, of what begins an action in our texts."""


@pytest.mark.parametrize("rule", _grafana_rules(), ids=lambda rule: rule["title"])
def test_grafana_can_read_the_texts(rule: dict[str, Any]) -> None:
    for text in rule["annotations"].values():
        words = re.findall(r"\{\{-?\s*(\$?[\w.]+)", text)
        assert all(word in _GRAFANA_KNOWS or word[0] == "$" for word in words), words
        assert "$value " not in text
        assert not re.search(r"[ :,(] ?[.)]", text), "something is missing here"
        # Grafana would take these for variables of the environment.
        assert "${" not in text
