from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from agent.inventory.inventory import Inventory
from agent.model import Style, Verdict
from collectors.facts import ProcessId, Sighting, State
from tests.support.inventory import DOCKER, NS, only, update
from tests.support.processes import inner, process, sighting


def test_a_bare_container_keeps_its_id_when_its_engine_answers() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup="/user.slice")
    shell = process(9, cgroup="/user.slice")
    before = only(update(inventory, shell, init))
    after = only(update(inventory, shell, init, sightings=[sighting(init)]))
    assert (before.engine, after.engine) == ("none", "docker")
    assert after.id == before.id


def test_a_restart_keeps_the_id() -> None:
    inventory = Inventory()
    first = process(10, ns=NS, root=1, cgroup=DOCKER)
    running = only(update(inventory, first, sightings=[sighting(first)]))
    stopped = only(update(inventory, sightings=[sighting(state=State.EXITED, exit_code=3)]))
    second = process(20, ns={**NS, "mnt": 31}, root=2, cgroup=DOCKER)
    again = only(update(inventory, second, sightings=[sighting(second)]))
    assert running.id == stopped.id == again.id
    assert (stopped.state, stopped.exit_code, stopped.init) == (State.EXITED, 3, None)
    assert again.init == second.id


def test_an_end_takes_neither_the_start_nor_the_parent() -> None:
    """A runtime's file outlives the process for a moment, and tells neither."""
    inventory = Inventory()
    outer = process(9, ns={**NS, "mnt": 29}, root=1, cgroup="/outer")
    init = process(10, 9, ns={**NS, "pid": 51}, root=2, cgroup="/outer/inner")
    ended = sighting(engine="runc", engine_id="inner", state=State.EXITED)
    running = update(
        inventory, outer, init, sightings=[sighting(init, engine="runc", engine_id="inner")]
    ).containers["/outer/inner"]
    stopped = update(inventory, outer, sightings=[ended]).containers["/outer/inner"]
    gone = update(inventory, outer).containers["/outer/inner"]
    assert running.started is not None
    assert running.parent_id == "/outer"
    assert [(c.state, c.started, c.parent_id) for c in (stopped, gone)] == [
        (State.EXITED, running.started, "/outer"),
        (State.DEAD, running.started, "/outer"),
    ]


def test_the_name_outlives_the_engine() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    update(inventory, init, sightings=[sighting(init)])
    alone = only(update(inventory, init))
    assert (alone.name, alone.engine, alone.state) == ("web", "docker", State.RUNNING)


def test_what_is_removed_is_shown_until_the_retention_is_over() -> None:
    inventory = Inventory(retention=300)
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    update(inventory, init, sightings=[sighting(init)], now=1000)
    gone = only(update(inventory, now=1200))
    assert (gone.gone, gone.last_seen, gone.name) == (True, 1000, "web")
    assert update(inventory, now=1301).containers == {}


@pytest.mark.parametrize("state", [State.CREATED, State.EXITED, State.UNKNOWN])
def test_what_was_never_seen_to_run_was_never_last_seen(state: State) -> None:
    inventory = Inventory(retention=300)
    there = [sighting(engine_id="a", name="a", state=state)]
    for now in (1000, 1010):
        assert only(update(inventory, sightings=there, now=now)).last_seen is None
    assert update(inventory, now=1020).containers == {}, "nothing to retain"


def test_what_waits_to_be_restarted_was_last_seen_when_it_ended() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    running = sighting(init)
    update(inventory, init, sightings=[running], now=1000)
    waits = dataclasses.replace(running, init=None, state=State.RESTARTING)
    for now in (1010, 1020):
        assert only(update(inventory, sightings=[waits], now=now)).last_seen == 1000
    gone = only(update(inventory, now=1030))
    assert (gone.gone, gone.last_seen) == (True, 1000)


def test_the_retention_begins_when_it_ended_by_its_engine() -> None:
    inventory = Inventory(retention=300)
    ended = sighting(engine_id="a", name="a", state=State.EXITED)
    ended = dataclasses.replace(ended, finished=900.0)
    update(inventory, sightings=[ended], now=1000)
    assert only(update(inventory, now=1010)).last_seen == 900
    assert update(inventory, now=1201).containers == {}


def test_a_new_container_under_an_old_path_inherits_no_verdict() -> None:
    inventory = Inventory()
    old = process(10, ns=NS, root=1, cgroup="/machine.slice/machine-x.scope")
    seen = only(update(inventory, old))
    verdict = Verdict(style=Style.SYSTEM, score=1.0)
    inventory.judged({seen.id: dataclasses.replace(seen, verdict=verdict)})
    update(inventory)
    new = process(20, ns={**NS, "mnt": 31}, root=2, cgroup="/machine.slice/machine-x.scope")
    assert only(update(inventory, new)).verdict == Verdict()


def test_more_than_the_cap_is_dropped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    many = [
        process(10 + n, ns={**NS, "mnt": 100 + n, "pid": 200 + n}, root=n, cgroup=f"/c{n}")
        for n in range(5)
    ]
    picture = update(Inventory(cap=3), *many)
    assert (len(picture.containers), picture.dropped) == (3, 2)
    assert "2 containers are left out" in caplog.text
    assert "2 of none" in caplog.text


def test_what_is_dropped_is_not_said_to_be_gone() -> None:
    inventory = Inventory(cap=1)
    stopped = sighting(engine_id="a", name="stopped", state=State.EXITED)
    assert only(update(inventory, sightings=[stopped])).name == "stopped"
    running = process(10, ns=NS, root=1, cgroup=DOCKER)
    assert only(update(inventory, running, sightings=[stopped])).init == running.id


def test_what_runs_is_the_last_to_be_dropped() -> None:
    running = process(10, ns={**NS, "mnt": 100, "pid": 200}, root=1, cgroup="/c")
    stopped = [
        Sighting(collector="x", engine="openvz", engine_id=str(n), state=State.EXITED)
        for n in range(5)
    ]
    picture = update(Inventory(cap=2), running, sightings=stopped)
    assert picture.dropped == 4
    assert running.id in {c.init for c in picture.containers.values()}


def test_an_exec_in_a_reused_pid_is_not_the_same_life() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup="/x")
    first = only(update(inventory, init))
    other = dataclasses.replace(init, id=ProcessId(10, 999))
    second = update(inventory, other).containers[first.id]
    assert second.init == other.id


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_what_is_gone_is_remembered_as_long_as_ever(seconds: float) -> None:
    inventory = Inventory(retention=300)
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    update(inventory, init, sightings=[sighting(init)], now=10_000)
    update(inventory, now=10_010)
    inventory.shift(seconds)
    gone = only(update(inventory, now=10_020 + seconds))
    assert (gone.gone, gone.last_seen) == (True, 10_000 + seconds)
    assert update(inventory, now=10_299 + seconds).containers
    assert not update(inventory, now=10_301 + seconds).containers


def test_a_created_one_whose_process_is_seen_before_its_engine_says_so_is_the_same() -> None:
    inventory = Inventory()
    created = sighting(state=State.CREATED, cgroup=DOCKER)
    before = only(update(inventory, sightings=[created]))
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    started = only(update(inventory, init, sightings=[created]))
    assert (before.id, before.state) == (started.id, State.CREATED)
    assert (started.name, started.state, started.init) == ("web", State.RUNNING, init.id)


def test_an_engine_that_names_no_process_yet_joins_its_runtime() -> None:
    """containerd's database has the container, and only runc its process."""
    group = "/default/x1"
    init = process(10, ns=NS, root=1, cgroup=group)
    recorded = sighting(
        engine="containerd", engine_id="x1", name="x1", state=State.CREATED, cgroup=group
    )
    runtime = sighting(init, engine="runc", engine_id="x1", name="x1", cgroup=group)
    container = only(update(Inventory(), init, sightings=[recorded, runtime]))
    assert (container.id, container.engine, container.state) == (
        group,
        "containerd",
        State.RUNNING,
    )


def test_a_stopped_one_is_not_the_other_of_its_engine_that_has_its_cgroup() -> None:
    init = process(10, ns=NS, root=1, cgroup="/shared")
    facts: dict[str, Any] = {"engine": "lxc", "cgroup": "/shared"}
    stopped = sighting(engine_id="old", name="old", state=State.EXITED, **facts)
    running = sighting(init, engine_id="new", name="new", **facts)
    found = update(Inventory(), init, sightings=[stopped, running])
    assert {(c.name, c.state) for c in found.containers.values()} == {
        ("old", State.EXITED),
        ("new", State.RUNNING),
    }


@pytest.mark.parametrize("told", [State.CREATED, State.UNKNOWN])
def test_what_has_run_is_not_created_again(told: State) -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup="/default/x1")
    facts: dict[str, Any] = {
        "engine": "containerd",
        "engine_id": "x1",
        "cgroup": "/default/x1",
        "created": 5.0,
    }
    update(inventory, init, sightings=[sighting(init, **facts)])
    ended = sighting(state=told, **facts)
    assert only(update(inventory, sightings=[ended])).state is State.EXITED
    assert only(update(inventory, sightings=[ended])).state is State.EXITED
    again = process(20, ns={**NS, "mnt": 99, "pid": 98}, root=1, cgroup="/default/x1")
    prepared = sighting(again, **{**facts, "state": State.CREATED})
    assert only(update(inventory, again, sightings=[prepared])).state is State.RUNNING
    another = sighting(state=told, **{**facts, "created": 6.0})
    assert only(update(inventory, sightings=[another])).state is told


@pytest.mark.parametrize("before", [State.CREATED, State.EXITED, State.SUSPENDED])
def test_what_its_engine_does_not_tell_any_more_is_as_it_was(before: State) -> None:
    inventory = Inventory()
    update(inventory, sightings=[sighting(state=before)])
    assert only(update(inventory, sightings=[sighting(state=State.UNKNOWN)])).state is before


def test_what_ran_out_of_sight_is_not_known_to_have_ended() -> None:
    inventory = Inventory()
    update(inventory, sightings=[sighting(engine="openvz", state=State.RUNNING)])
    untold = sighting(engine="openvz", state=State.UNKNOWN)
    assert only(update(inventory, sightings=[untold])).state is State.UNKNOWN


def test_one_that_gets_the_id_of_its_engine_later_leaves_no_ghost() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup="/")
    nameless = only(update(inventory, init))
    known = sighting(state=State.CREATED)
    assert len(update(inventory, init, sightings=[known]).containers) == 2
    named = only(update(inventory, init, sightings=[sighting(init)]))
    assert named.name == "web"
    assert named.id != nameless.id


def test_one_without_a_pid_namespace_outlives_its_first_process() -> None:
    inventory = Inventory()
    first = process(10, ns={"mnt": 30}, root=1)
    child = inner(first, 11)
    before = only(update(inventory, first, child))
    after = only(update(inventory, child))
    assert (after.id, after.started, after.state) == (before.id, before.started, State.RUNNING)
    assert after.init == child.id
    assert only(update(inventory, child)).started == before.started


def test_a_child_that_was_not_seen_before_is_known_by_its_session() -> None:
    inventory = Inventory()
    first = process(10, ns={"mnt": 30}, root=1)
    before = only(update(inventory, first))
    assert only(update(inventory, inner(first, 11, 1, session=10))).id == before.id
    assert only(update(inventory, inner(first, 12, 1, session=10))).id == before.id


def test_a_process_takes_no_identity_into_another_container() -> None:
    inventory = Inventory()
    first = process(10, ns={"mnt": 30}, root=1)
    shell = inner(first, 11)
    outer = only(update(inventory, first, shell))
    moved = dataclasses.replace(process(11, 10, ns={"mnt": 31}, root=2), id=shell.id)
    found = update(inventory, moved, first).containers
    assert {c.init: c.id for c in found.values()}[first.id] == outer.id
    assert len(found) == 2
