"""The Docker daemon stops and restarts: its containers stay on the page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import watchful_agent

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine


def test_names_outlive_the_daemon(mortal: Docker) -> None:
    made = mortal.run(mortal.busybox(), "sleep", "86400")
    with watchful_agent(mortal.endpoint) as agent:
        before = agent.wait_row(made, style="app")

        mortal.kill()
        _wait_for_look(agent)
        during = agent.scrape().row(made.name)
        mortal.start()
        later = mortal.run(mortal.busybox(), "sleep", "86400")
        agent.wait_row(later, style="app", seconds=30)
        after = agent.scrape().row(made.name)

    assert before == during == after


def test_an_agent_that_never_saw_the_daemon_still_finds_its_containers(mortal: Docker) -> None:
    made = mortal.run(mortal.busybox(), "sleep", "86400")
    mortal.kill()

    with watchful_agent(mortal.endpoint) as agent:
        agent.wait_for(
            lambda p: [row for row in p.rows() if made.handle in row.id],
            "the container by its cgroup",
        )
        mortal.start()
        agent.wait_row(made, style="app", seconds=30)


def _wait_for_look(agent: Agent) -> None:
    """Wait until the agent has run the collectors once more, which is rare at rest."""
    before = _lasted(agent.scrape())
    agent.wait_for(partial(_looked_again, before), "the next look", 120)


def _looked_again(before: float | None, page: Page) -> bool:
    return _lasted(page) != before


def _lasted(page: Page) -> float | None:
    return page.value("tallyman_collector_duration_seconds", collector="docker")
