"""Clocks that are set while the agent runs: no container becomes old, young, lost or new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import running_agent
from tests.engines.harness.programs import workplace
from tests.hostile.stranger import stranger

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent, Page
    from tests.hostile.conftest import Neighbour

pytestmark = pytest.mark.engine

_SETTABLE = Path(__file__).with_name("settable_clock")

STEPS = (86_400, -7 * 86_400)
"""Seconds forwards, and then backwards."""

SLACK = 3000.0
"""Maximum seconds that the test may take; far smaller than any step."""


def test_a_clock_that_is_set(neighbour: Neighbour) -> None:
    """The wall clock of the whole agent goes forwards by a day, and then backwards by eight.

    libfaketime 0.9.10 cannot do it for Python 3.11: with FAKETIME_DONT_FAKE_MONOTONIC it takes the
    true monotonic time for a faked one, so that clock_nanosleep fails, which is ``time.sleep``, and
    pthread_cond_timedwait ends at once, with which threads wait for the interpreter's lock.
    """
    with workplace("clock") as place:
        offset = place / "offset"
        _write(offset, 0)
        env = {"PYTHONPATH": str(_SETTABLE), "TALLYMAN_TEST_CLOCK": str(offset)}
        with running_agent(env=env) as agent:
            neighbour_row = agent.wait_row(neighbour.made, style="app", seconds=60)
            with stranger() as gone:
                agent.wait_row(gone, seconds=60)
            agent.wait_for(lambda p: _last(p, gone.name) is not None, "its end", 60)
            cpu = 0.0
            for number, seconds in enumerate(STEPS, start=1):
                _write(offset, seconds)
                agent.daemon.wait_for(
                    lambda n=number: agent.daemon.output().count("the clock was set by") == n,  # type: ignore[misc]
                    "the step to be noticed",
                    60,
                )
                with stranger() as late:
                    agent.wait_row(late, seconds=60)
                    page = agent.scrape()
                    _assert_sane(page, {gone.name, late.name, neighbour.made.name})
                used = page.value("container_cpu_usage_seconds_total", id=neighbour_row.id)
                assert used is not None
                assert used >= cpu
                cpu = used
                neighbour.assert_unharmed(page)
            assert agent.daemon.output().count("the clock was set by") == len(STEPS)
            _assert_quiet(agent)


def _write(file: Path, seconds: int) -> None:
    """Have the clock be fast by so many seconds, at one moment."""
    new = file.with_name("new")
    new.write_text(str(seconds))
    new.chmod(0o644)  # serve is another user by then
    new.rename(file)


def _assert_sane(page: Page, names: set[str]) -> None:
    """Assert that all are there, with a plausible age, and that no verdict has changed."""
    rows = {row.name: row for row in page.rows()}
    assert names <= rows.keys()
    seen = [s.value for s in page.samples["container_last_seen"]]
    now = max(seen)  # of all running containers
    age = page.value("tallyman_inventory_age_seconds")
    assert age is not None
    assert 0 <= age < SLACK
    for name in names:
        found = rows[name].id
        last = page.value("container_last_seen", id=found)
        started = page.value("tallyman_container_started_seconds", id=found)
        assert last is not None, f"{name} was forgotten"
        assert 0 <= now - last < SLACK, name
        assert started is not None
        assert -2 < now - started < SLACK, name
        assert page.value("tallyman_container_style_changes_total", id=found) in (None, 0)


def _assert_quiet(agent: Agent) -> None:
    assert "a new one starts in" not in agent.daemon.output()
    assert "Traceback" not in agent.daemon.output()


def _last(page: Page, name: str) -> str | None:
    row = page.row(name)
    return row.state if row is not None and row.state == "dead" else None
