"""Every query of every dashboard against a Prometheus that scrapes a real agent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.queries import PROMETHEUS, dashboards, panels
from tests.dashboards.server import Api, singles
from tests.engines.harness.agent import running_agent
from tests.engines.harness.dockerd import SYSTEMD, docker_daemon
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.prometheus import prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine
ALL = dashboards()
LIMITED = ("--memory=256m", "--cpus=0.5", "--health-cmd=true", "--health-interval=1s")

FOREIGN = ("tallyman_openvz_",)
"""Beginnings of the metrics of engines that do not run here."""
EMPTY = {
    "tallyman-fleet": {
        "Verdict differs from the engine: A": "nobody is sure enough of it within seconds",
        "Findings: A": "findings wait for the verdict to settle",
    },
    "tallyman-app": {
        "Restarts by application: A": "nothing is restarted",
        "OOM kills by application: A": "nothing is killed",
        "Findings of app-style containers: A": "the one application has limits",
    },
    "tallyman-system": {
        "People logged in: A": "nobody logs in",
    },
    "tallyman-agent": {
        "Denied reads a second: A": "root may read everything",
        "Malformed reads a second: A": "nothing is malformed",
    },
    "tallyman-one": {
        "Trouble: C": "it has not ended",
        "Findings: A": "it has limits",
    },
}
"""Queries that are right to be empty here, and why."""
KERNEL = {
    "container_pressure_": "there is no PSI on cgroup v1",
    "container_fs_": "files on a tmpfs or in memory reach no block device",
    "container_fs_bytes": "the same, recorded",
    "writable_layer": "not every storage driver says what was written",
}
"""Words of metrics that a machine may not have, and why."""


@pytest.fixture(scope="module")
def live() -> Iterator[tuple[Api, str]]:
    """Give a Prometheus that has scraped an agent for a while, and the name of a container."""
    need("prometheus", "dockerd", "docker", "busybox", "ip")
    with docker_daemon() as docker:
        group = unique("board")
        app = f"{group}-app"
        busy = "while :; do echo x > /x; sleep 0.1; done"
        docker.run(docker.busybox(), "sh", "-c", "exit 3", name=f"{group}-failed")
        system = docker.run(
            docker.debian(), "/sbin/init", name=f"{group}-os", options=(*SYSTEMD, "--memory=512m")
        )
        system.wait_for("sshd", "cron")
        with running_agent(f"--collector.docker.host={docker.endpoint}") as agent:
            agent.wait_ready()
            # Something has to start while the agent looks: event lag is known only then.
            docker.run(docker.busybox(), "sh", "-c", busy, name=app, options=LIMITED)
            agent.wait_row(system, style="system")
            target = f"127.0.0.1:{agent.port}"
            with prometheus(target, PROMETHEUS / "rules.yml", PROMETHEUS / "alerts.yml") as server:
                server.wait_for("instance_id:container_cpu_usage_seconds:rate5m")
                server.wait_for("instance_style:tallyman_host_containers:running")
                server.wait_for("instance_engine_style:container_network_bytes:rate5m")
                server.wait_for("instance_engine_style:container_oom_events:increase5m")
                server.wait_for("instance_engine_style:tallyman_container_restarts:increase5m")
                server.wait_for("tallyman_host_cores")
                server.wait_for("tallyman_container_finding")
                server.wait_for("tallyman_container_health")
                yield Api(f"http://{server._address}", time.time()), app


@pytest.mark.parametrize("board", ALL.values(), ids=ALL)
def test_every_query(board: dict[str, Any], live: tuple[Api, str]) -> None:
    api, app = live
    offered = api.choices(board, engine="docker", style="app", container=app)
    chosen = {name: offered[name] for name in singles(board, api)}
    allowed = set(EMPTY.get(board["uid"], {}))
    for panel in panels(board):
        for target in panel["targets"]:
            if any(word in target["expr"] for word in (*FOREIGN, *KERNEL)):
                allowed.add(f"{panel['title']}: {target['refId']}")
    assert set(api.ask_all(board, chosen)) <= allowed


def test_no_rule_fails(live: tuple[Api, str]) -> None:
    api, _ = live
    groups = api.ask("rules")["groups"]
    failed = {
        rule["name"]: rule["lastError"]
        for g in groups
        for rule in g["rules"]
        if rule.get("lastError")
    }
    assert failed == {}
