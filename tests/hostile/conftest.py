"""Fixtures of the hostile tests: an agent, and a neighbour that must stay unharmed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.engines.conftest import docker, dockerd, mortal, nothing_left  # noqa: F401 - here, too
from tests.engines.harness.agent import ls, rows_about, running_agent
from tests.engines.harness.need import need
from tests.engines.harness.programs import wait_until
from tests.hostile.stranger import stranger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent, Page, Row
    from tests.engines.harness.made import Made


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An ordinary container beside the hostile one, and the agent that monitors both."""

    made: Made
    agent: Agent

    def assert_unharmed(self, page: Page | None = None) -> None:
        """Assert that it is on the page once, judged, and measured."""
        row = (page or self.agent.scrape()).row(self.made.name)
        assert row is not None, "the neighbour is missing"
        assert (row.engine, row.state, row.style) == ("runc", "running", "app"), row
        used = (page or self.agent.scrape()).value("container_memory_usage_bytes", id=row.id)
        assert used, "the neighbour has no numbers"

    def scouts_ended(self) -> int:
        """Return how many scouts have died or were killed so far."""
        return self.agent.daemon.output().count("a new one starts in")

    def wait_row(self, made: Made, *, style: str = "", seconds: float = 60) -> Row:
        """Wait until the page shows the hostile container, and return its row."""
        return self.agent.wait_row(made, style=style, seconds=seconds)


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    """Return a neighbour, and an agent that has seen it."""
    need("runc", "busybox")
    with (
        stranger() as made,
        running_agent("--inventory.full-interval=5s", "--inventory.deadline=5s") as agent,
    ):
        agent.wait_row(made, style="app", seconds=60)
        yield Neighbour(made, agent)


def only(made: Made) -> Row:
    """Return the one row of ``tallyman ls --all`` for a container."""
    about = [row for row in rows_about(ls(), made) if not row.reason]
    assert len(about) == 1, about
    return about[0]


def scout_of(agent: Agent) -> psutil.Process:
    """Return the agent's scout; waits while it is being replaced."""

    def look() -> psutil.Process | None:
        for process in psutil.Process(agent.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "agent.scout" in process.cmdline():
                    return process
        return None

    return wait_until(look, "a scout", 60)
