from __future__ import annotations

from agent.model import Container, as_gone, is_running
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


def test_what_waits_for_its_start_or_restart_does_not_run() -> None:
    init = ProcessId(10, 1)

    def runs(state: State, *, process: bool) -> bool:
        return is_running(
            Container(id="/x", engine="runc", state=state, init=init if process else None)
        )

    assert runs(State.RUNNING, process=True)
    assert runs(State.PAUSED, process=True)
    assert runs(State.RUNNING, process=False), "where its processes cannot be seen"
    assert runs(State.RESTARTING, process=True)
    assert not runs(State.RESTARTING, process=False)
    assert not runs(State.CREATED, process=True), "the runtime's own init waits in it"
    assert not runs(State.EXITED, process=False)
