"""The shipped rules and alerts on a real Prometheus that scrapes an agent beside a real Docker."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.dashboards.queries import PROMETHEUS, ROOT
from tests.engines.harness.agent import free_port, running_agent
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import Daemon, wait_until, workplace
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


@contextmanager
def _alertmanager(place: Path) -> Iterator[tuple[str, list[str]]]:
    """Run an Alertmanager by the example; return its address, and the ids that it tells of."""
    told: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.extend(alert["labels"]["id"] for alert in message["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    config = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text())
    hook = {"url": f"http://127.0.0.1:{receiver.server_port}/"}
    names = [one["name"] for one in config["receivers"]]
    config["receivers"] = [{"name": name, "webhook_configs": [hook]} for name in names]
    config["templates"] = []
    (place / "alertmanager.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    server = Daemon(
        "prometheus-alertmanager",
        f"--config.file={place}/alertmanager.yml",
        f"--storage.path={place}/data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        log=place / "alertmanager.log",
    )

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    try:
        server.wait_for(ready, "Alertmanager to be ready", 60)
        yield address, told
    finally:
        server.stop()
        receiver.shutdown()
        receiver.server_close()


def _fire(address: str, alert: str, container: str) -> None:
    labels = {"alertname": alert, "severity": "warning", "instance": "h1", "id": container}
    request = urllib.request.Request(
        f"http://{address}/api/v2/alerts",
        data=json.dumps([{"labels": labels}]).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30):
        pass


def test_the_second_oom_kill_on_a_host_does_not_wait_for_its_group() -> None:
    need("prometheus-alertmanager")
    with workplace("alertmanager") as place, _alertmanager(place) as (address, told):
        _fire(address, "TallymanContainerOomKilled", "/a")
        wait_until(lambda: "/a" in told, "the first message", 60)
        _fire(address, "TallymanContainerOomKilled", "/b")
        # By the route for all it would be five minutes.
        wait_until(lambda: "/b" in told, "the second message", 60)
