"""The shipped rules and alerts on a real Prometheus that scrapes an agent beside a real Docker."""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness.agent import running_agent
from tests.engines.harness.alertmanager import alertmanager
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import wait_until
from tests.engines.harness.prometheus import Prometheus, prometheus, shipped_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

HURRIED = (
    *((f"for: {n}m\n", f"for: {n}s\n") for n in (1, 2, 5, 10, 15, 30)),
    ("[30m:1m]", "[5s:1s]"),
    ("offset 1h", "offset 15s"),
)
"""What has to last for minutes or hours here lasts for seconds."""


@pytest.fixture
def server(agent: Agent, tmp_path: Path) -> Iterator[Prometheus]:
    """Return a Prometheus with all rules; what has to last for minutes here lasts for seconds."""
    need("prometheus")
    with prometheus(f"127.0.0.1:{agent.port}", *shipped_rules(tmp_path, *HURRIED)) as server:
        yield server


def _rules_of(server: Prometheus) -> list[dict[str, Any]]:
    groups = server.api("/api/v1/rules")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _evaluated_since(server: Prometheus, moment: float) -> bool:
    return all(
        datetime.fromisoformat(re.sub(r"\.\d+", "", rule["lastEvaluation"])).timestamp() > moment
        for rule in _rules_of(server)
    )


def _fires(server: Prometheus, alert: str, name: str | None = None) -> dict[str, Any]:
    """Wait for an alert about a container or a host, and return it with its text."""

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


def test_none_that_ends_at_once_is_ever_privileged(agent: Agent, docker: Docker) -> None:
    """Until its runtime lets it go, the first process of every container may do everything."""
    names = [unique("brief") for _ in range(10)]
    image = docker.busybox()
    over = threading.Event()
    pages: list[Page] = []

    def scrape() -> None:
        while not over.is_set():
            pages.append(agent.scrape())

    scraping = threading.Thread(target=scrape)
    scraping.start()
    try:
        for name in names:
            docker.run(image, "sh", "-c", "exit 0", name=name)
    finally:
        over.set()
        scraping.join()
    shown = {row.id: row.name for page in pages for row in page.rows() if row.name in names}
    found = {
        (shown[sample.labels["id"]], sample.labels["finding"])
        for page in pages
        for sample in page.samples.get("tallyman_container_finding", [])
        if sample.labels["id"] in shown
    }
    assert shown, "not one was on a page"
    assert [name for name, finding in found if finding == "privileged"] == []


def test_a_configured_daemon_that_is_not_there_is_told(docker: Docker, tmp_path: Path) -> None:
    need("prometheus")
    nowhere = f"--collector.docker.host=unix://{tmp_path}/docker.sock"
    with (
        running_agent(f"--collector.docker.host={docker.endpoint}", nowhere) as agent,
        prometheus(f"127.0.0.1:{agent.port}", *shipped_rules(tmp_path, *HURRIED)) as server,
    ):
        firing = 'ALERTS{alertname="TallymanCollectorFailing",alertstate="firing"}'
        ((labels, _), *_) = server.wait_for(firing)
        assert labels["collector"] == "docker"
        assert server.query('tallyman_collector_containers{collector="docker"}')


def test_an_engine_that_dies_is_told_and_so_is_a_host_without_containers(
    mortal: Docker, tmp_path: Path
) -> None:
    need("prometheus")
    only = tmp_path / "tallyman.toml"
    # Not those that other tests' engines run beside it.
    name = unique("left")
    only.write_text(f'[containers]\ninclude = [{{ name = "{name}" }}]\n')
    mortal.run(mortal.busybox(), "sleep", "86400", name=name)
    flags = (f"--config.file={only}", f"--collector.docker.host={mortal.endpoint}")
    with (
        running_agent(*flags) as agent,
        prometheus(f"127.0.0.1:{agent.port}", *shipped_rules(tmp_path, *HURRIED)) as server,
    ):
        up = f'tallyman_engine_up{{engine="docker",engine_instance="{mortal.socket}"}}'
        gone = f'ALERTS{{alertname="TallymanEngineGone",engine_instance="{mortal.socket}"}}'
        agent.wait_ready()
        server.wait_for(f"{up} == 1")
        mortal.kill()
        server.wait_for(gone.replace("}", ',alertstate="firing"}'))
        assert server.query('tallyman_host_containers{state="running"} > 0'), "it runs on"
        mortal.start()
        server.wait_for(f"{up} == 1 unless on (engine_instance) {gone}")
        assert not server.query('ALERTS{alertname="TallymanContainersVanished"}')
        mortal.remove_all()
        fired = _fires(server, "TallymanContainersVanished")
        assert "at least 1 containers ran" in fired["annotations"]["description"]


def test_the_second_oom_kill_on_a_host_does_not_wait_for_its_group() -> None:
    need("prometheus-alertmanager")
    alert = {"alertname": "TallymanContainerOomKilled", "severity": "warning", "instance": "h1"}
    with alertmanager() as manager:
        manager.fire(**alert, id="/a")
        wait_until(lambda: len(manager.told) == 1, "the first message", 60)
        manager.fire(**alert, id="/b")
        # By the route for all it would be five minutes.
        wait_until(lambda: len(manager.told) == 2, "the second message", 60)
