"""The shipped rules and alerts on a real Prometheus that scrapes an agent beside a real Docker."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.queries import PROMETHEUS
from tests.engines.harness.agent import running_agent
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import wait_until
from tests.engines.harness.prometheus import Prometheus, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.harness.agent import Agent
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine


@pytest.fixture
def server(agent: Agent, tmp_path: Path) -> Iterator[Prometheus]:
    """Return a Prometheus with all rules; what has to last for minutes here lasts for seconds."""
    need("prometheus")
    with prometheus(f"127.0.0.1:{agent.port}", *_rules(tmp_path)) as server:
        yield server


def _rules(place: Path) -> list[Path]:
    copies = []
    for name in ("rules.yml", "alerts.yml"):
        copies.append(place / name)
        text = (PROMETHEUS / name).read_text()
        copies[-1].write_text(re.sub(r"^( +for: \d+)[mh]$", r"\1s", text, flags=re.MULTILINE))
    return copies


def _rules_of(server: Prometheus) -> list[dict[str, Any]]:
    groups = server.api("/api/v1/rules")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _evaluated_since(server: Prometheus, moment: float) -> bool:
    return all(
        datetime.fromisoformat(re.sub(r"\.\d+", "", rule["lastEvaluation"])).timestamp() > moment
        for rule in _rules_of(server)
    )


def _fires(server: Prometheus, alert: str, name: str) -> dict[str, Any]:
    """Wait for an alert about a container, and return it with its text."""

    def firing() -> dict[str, Any] | None:
        for found in server.api("/api/v1/alerts")["alerts"]:
            labels = found["labels"]
            if (labels["alertname"], labels.get("name"), found["state"]) == (alert, name, "firing"):
                return dict(found)
        return None

    return wait_until(firing, f"{alert} of {name}", 60)


def test_a_rename_makes_no_rule_fail(server: Prometheus, docker: Docker) -> None:
    before, after = unique("before"), unique("after")
    busy = ("sh", "-c", "while :; do :; done")
    docker.run(docker.busybox(), *busy, name=before, options=("--cpus=0.1",))
    recorded = "instance_id:container_cpu_throttled_periods:ratio_rate5m"
    server.wait_for(f'{recorded}{{name="{before}"}}')
    docker.cli("rename", before, after)
    server.wait_for(f'{recorded}{{name="{after}"}}')
    both = f'rate(container_cpu_cfs_periods_total{{name=~"{before}|{after}"}}[5m])'
    server.wait_for(both, lambda series: len(series) == 2)
    now = time.time()
    wait_until(lambda: _evaluated_since(server, now), "another evaluation of every rule", 60)
    assert {r["name"]: r["lastError"] for r in _rules_of(server) if r.get("lastError")} == {}
    fired = _fires(server, "TallymanContainerThrottled", after)
    assert "style" not in fired["labels"]


def test_what_ended_with_an_error_is_told(server: Prometheus, docker: Docker) -> None:
    fails, ends, stops = unique("fails"), unique("ends"), unique("stops")
    docker.run(docker.busybox(), "sh", "-c", "exit 0", name=ends)
    docker.run(docker.busybox(), "sleep", "86400", name=stops)
    server.wait_for(f'container_last_seen{{name="{stops}"}}')
    docker.cli("stop", "--time=0", stops)
    docker.run(docker.busybox(), "sh", "-c", "exit 3", name=fails)
    fired = _fires(server, "TallymanContainerFailed", fails)
    assert re.fullmatch(
        rf"{fails} \(docker, \w+-style\) on 127\.0\.0\.1:\d+ ended with exit code 3\.",
        fired["annotations"]["description"],
    )
    known = (
        "tallyman_container_exit_code * on (id) group_left (name)"
        f' tallyman_container_info{{name=~"{ends}|{stops}"}}'
    )
    server.wait_for(known, lambda series: len(series) == 2)
    told = server.query('ALERTS{alertname="TallymanContainerFailed"}')
    assert {labels["name"] for labels, _ in told} & {ends, stops} == set()


def test_a_configured_daemon_that_is_not_there_is_told(docker: Docker, tmp_path: Path) -> None:
    need("prometheus")
    nowhere = f"--collector.docker.host=unix://{tmp_path}/docker.sock"
    with (
        running_agent(f"--collector.docker.host={docker.endpoint}", nowhere) as agent,
        prometheus(f"127.0.0.1:{agent.port}", *_rules(tmp_path)) as server,
    ):
        firing = 'ALERTS{alertname="TallymanCollectorFailing",alertstate="firing"}'
        ((labels, _), *_) = server.wait_for(firing)
        assert labels["collector"] == "docker"
        assert server.query('tallyman_collector_containers{collector="docker"}')
