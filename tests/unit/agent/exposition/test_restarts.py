from __future__ import annotations

from dataclasses import replace

import pytest

from agent.exposition.options import Options
from agent.exposition.restarts import Restarts
from agent.exposition.rows import INDEX, Row
from agent.model import Container
from collectors.facts import ProcessId, State

RUNNING = Container(
    id="/a", engine="docker", state=State.RUNNING, init=ProcessId(10, 1), started=1.0, restarts=5
)
AGAIN = replace(RUNNING, init=ProcessId(20, 2), started=2.0)


def test_a_start_by_hand_loses_none_of_those_before() -> None:
    restarts = Restarts(RUNNING)
    restarts.follow(replace(RUNNING, state=State.EXITED, init=None))
    restarts.follow(replace(AGAIN, restarts=0))
    assert restarts.total == 5
    restarts.follow(replace(AGAIN, started=3.0, restarts=1))
    assert restarts.total == 6


@pytest.mark.parametrize("stale", [0, 3, None])
def test_what_is_older_than_what_was_told_before_changes_nothing(stale: int | None) -> None:
    restarts = Restarts(RUNNING)
    restarts.follow(replace(RUNNING, restarts=stale))
    assert restarts.total == 5
    restarts.follow(replace(RUNNING, restarts=6))
    assert restarts.total == 6


def test_where_no_engine_counts_there_is_no_number() -> None:
    restarts = Restarts(replace(RUNNING, restarts=None))
    assert restarts.total is None
    restarts.follow(RUNNING)
    assert restarts.total == 5


def test_the_counter_on_the_page_never_falls() -> None:
    name = "tallyman_container_restarts_total"
    row = Row(RUNNING, Options())
    for container in (replace(AGAIN, restarts=0), replace(AGAIN, restarts=None)):
        row = Row(container, Options(), row)
        assert row.lines[INDEX[name]] == b'{id="/a"} 5'
