from __future__ import annotations

from agent.model import Container, as_gone
from collectors.facts import ProcessId, State


def test_a_container_that_was_removed_keeps_what_was_known_but_nothing_that_runs() -> None:
    running = Container(
        id="/web",
        name="web",
        engine="docker",
        state=State.RUNNING,
        init=ProcessId(10, 1),
        processes=3,
        cgroup="/web",
        cgroups={"": "/web"},
        started=5.0,
    )
    assert as_gone(running, 9.0) == Container(
        id="/web",
        name="web",
        engine="docker",
        state=State.DEAD,
        cgroup="/web",
        started=5.0,
        gone=True,
        last_seen=9.0,
    )
