"""A real Prometheus scrapes a real agent on a host with real containers."""

from __future__ import annotations

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
