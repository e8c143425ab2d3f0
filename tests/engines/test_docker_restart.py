"""The Docker daemon goes away, and comes back: its containers are there all the time."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import running_agent
from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.need import need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine


@pytest.fixture
def mortal() -> Iterator[Docker]:
    """Give a daemon that a test may kill; its containers live on without it."""
    need("dockerd", "docker", "busybox")
    with docker_daemon("--live-restore", own_network=True) as docker:
        yield docker


def test_names_outlive_the_daemon(mortal: Docker) -> None:
    made = mortal.run(mortal.busybox(), "sleep", "86400")
    assert mortal.daemon
    with running_agent(f"--collector.docker.host={mortal.endpoint}") as agent:
        before = agent.wait_row(made, style="app")

        mortal.daemon.stop(signal.SIGKILL)
        agent.wait_for(
            lambda p: p.value("tallyman_collector_success", collector="docker") == 0,
            "the docker collector to say that it fails",
            seconds=90,
        )
        during = agent.scrape().row(made.name)
        mortal.start()
        after = agent.wait_for(
            lambda p: p.value("tallyman_collector_success", collector="docker") == 1,
            "the docker collector to be well again",
            seconds=90,
        ).row(made.name)

    assert before == during == after


def test_an_agent_that_never_saw_the_daemon_still_finds_its_containers(mortal: Docker) -> None:
    made = mortal.run(mortal.busybox(), "sleep", "86400")
    assert mortal.daemon
    mortal.daemon.stop(signal.SIGKILL)

    with running_agent(f"--collector.docker.host={mortal.endpoint}") as agent:
        agent.wait_for(
            lambda p: [row for row in p.rows() if made.handle in row.id],
            "the container by its cgroup",
        )
        mortal.start()
        agent.wait_row(made, style="app", seconds=90)
