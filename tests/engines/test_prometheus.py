"""A real Prometheus scrapes a real agent on a host with real containers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.dockerd import SYSTEMD
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.prometheus import prometheus

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

ALERTS = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"


def test_counts_by_style(agent: Agent, docker: Docker) -> None:
    need("prometheus")
    group = unique("counted")
    apps = [
        docker.run(docker.busybox(), "sleep", "86400", name=f"{group}-app{n}") for n in range(2)
    ]
    system = docker.run(docker.debian(), "/sbin/init", name=f"{group}-os", options=SYSTEMD)
    system.wait_for("sshd", "cron", "rsyslogd")
    for app in apps:
        agent.wait_row(app, style="app", seconds=60)
    agent.wait_row(system, style="system", seconds=90)
    mine = f'name=~"{group}-.*"'

    with prometheus(f"127.0.0.1:{agent.port}") as server:
        counted = server.wait_for(f"count by (style) (tallyman_container_info{{{mine}}})")
        joined = server.wait_for(
            "sum by (style) (container_memory_working_set_bytes"
            f" * on (job, instance, id) group_left (style) tallyman_container_info{{{mine}}})"
        )
        up = server.query('up{job="tallyman"}')

    assert {labels["style"]: number for labels, number in counted} == {"app": 2, "system": 1}
    assert {labels["style"] for labels, number in joined if number > 0} == {"app", "system"}
    assert [number for _, number in up] == [1]


def test_the_alert_for_a_lack_of_memory_fires_for_one_that_is_restarted(
    agent: Agent, docker: Docker
) -> None:
    need("prometheus")
    name = unique("greedy")
    with prometheus(f"127.0.0.1:{agent.port}", ALERTS) as server:
        docker.run(
            docker.busybox(),
            *("sh", "-c", "sleep 5; tail /dev/zero"),
            name=name,
            options=("--restart=unless-stopped", "--memory=12m"),
        )
        # The half of the alert that holds while it runs: each kill ends the cgroup that counts it.
        server.wait_for(
            f'increase(container_oom_events_total{{name="{name}"}}[10m]) >= 2', bool, 180
        )
        alert = f'alertname="TallymanContainerOomKilled", name="{name}", alertstate="firing"'
        fired = server.wait_for(f"ALERTS{{{alert}}}")

    # Without a style among them, which may turn: the alert would resolve and fire anew.
    assert [(labels["engine"], labels.get("style")) for labels, _ in fired] == [("docker", None)]
