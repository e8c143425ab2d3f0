from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.inventory.inventory import Inventory, Picture
from agent.model import Container, Style, Verdict
from collectors.facts import Process, ProcessId, Sighting, State
from tests.support.processes import HOST, inner, own_root, process, sighting, table

if TYPE_CHECKING:
    import pytest

ID = "a" * 64
DOCKER = f"/system.slice/docker-{ID}.scope"
NS = {"mnt": 30, "pid": 50, "net": 40}


def look(
    inventory: Inventory,
    *processes: Process,
    sightings: Sequence[Sighting] = (),
    now: float = 2_000_000.0,
) -> Picture:
    return inventory.update(HOST, table(*processes), sightings, own_root, now=now)


def only(picture: Picture) -> Container:
    assert len(picture.containers) == 1, list(picture.containers)
    return next(iter(picture.containers.values()))


def test_sightings_of_one_container_become_one() -> None:
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    seen = only(
        look(
            Inventory(),
            init,
            sightings=[
                sighting(engine="containerd", collector="containerd", engine_id=ID, name=""),
                sighting(init, engine="runc", collector="runc", engine_id=ID, name=ID),
                sighting(init, image="nginx:1", engine_id=ID),
            ],
        )
    )
    assert (seen.id, seen.engine, seen.name, seen.image) == (DOCKER, "docker", "web", "nginx:1")
    assert seen.runtime == "runc"
    assert set(seen.seen_by) == {"kernel", "docker", "containerd", "runc"}
    assert seen.cgroups == {"": DOCKER}


def test_an_inner_init_does_not_move_the_container() -> None:
    init = process(10, ns=NS, root=1, cgroup=f"{DOCKER}/init.scope")
    service = inner(init, 11, cgroups={"": f"{DOCKER}/system.slice/cron.service"})
    assert only(look(Inventory(), init, service)).id == DOCKER


def test_a_cgroup_that_others_are_in_is_not_its_own() -> None:
    init = process(10, ns=NS, root=1, cgroup="/user.slice/session-1.scope")
    shell = process(9, cgroup="/user.slice/session-1.scope")
    seen = only(look(Inventory(), shell, init))
    assert seen.cgroups == {}
    assert seen.id == "/none/10-110"


def test_a_bare_container_keeps_its_id_when_its_engine_answers() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup="/user.slice")
    shell = process(9, cgroup="/user.slice")
    before = only(look(inventory, shell, init))
    after = only(look(inventory, shell, init, sightings=[sighting(init)]))
    assert (before.engine, after.engine) == ("none", "docker")
    assert after.id == before.id


def test_a_restart_keeps_the_id() -> None:
    inventory = Inventory()
    first = process(10, ns=NS, root=1, cgroup=DOCKER)
    running = only(look(inventory, first, sightings=[sighting(first)]))
    stopped = only(look(inventory, sightings=[sighting(state=State.EXITED, exit_code=3)]))
    second = process(20, ns={**NS, "mnt": 31}, root=2, cgroup=DOCKER)
    again = only(look(inventory, second, sightings=[sighting(second)]))
    assert running.id == stopped.id == again.id
    assert (stopped.state, stopped.exit_code, stopped.init) == (State.EXITED, 3, None)
    assert again.init == second.id


def test_an_end_takes_neither_the_start_nor_the_parent() -> None:
    """A runtime's file outlives the process for a moment, and tells neither."""
    inventory = Inventory()
    outer = process(9, ns={**NS, "mnt": 29}, root=1, cgroup="/outer")
    init = process(10, 9, ns={**NS, "pid": 51}, root=2, cgroup="/outer/inner")
    ended = sighting(engine="runc", engine_id="inner", state=State.EXITED)
    running = look(
        inventory, outer, init, sightings=[sighting(init, engine="runc", engine_id="inner")]
    ).containers["/outer/inner"]
    stopped = look(inventory, outer, sightings=[ended]).containers["/outer/inner"]
    gone = look(inventory, outer).containers["/outer/inner"]
    assert running.started is not None
    assert running.parent_id == "/outer"
    assert [(c.state, c.started, c.parent_id) for c in (stopped, gone)] == [
        (State.EXITED, running.started, "/outer"),
        (State.DEAD, running.started, "/outer"),
    ]


def test_the_name_outlives_the_engine() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    look(inventory, init, sightings=[sighting(init)])
    alone = only(look(inventory, init))
    assert (alone.name, alone.engine, alone.state) == ("web", "docker", State.RUNNING)


def test_what_is_removed_is_shown_until_the_retention_is_over() -> None:
    inventory = Inventory(retention=300)
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    look(inventory, init, sightings=[sighting(init)], now=1000)
    gone = only(look(inventory, now=1200))
    assert (gone.gone, gone.last_seen, gone.name) == (True, 1000, "web")
    assert look(inventory, now=1301).containers == {}


def test_a_new_container_under_an_old_path_inherits_no_verdict() -> None:
    inventory = Inventory()
    old = process(10, ns=NS, root=1, cgroup="/machine.slice/machine-x.scope")
    seen = only(look(inventory, old))
    verdict = Verdict(style=Style.SYSTEM, score=1.0)
    inventory.judged({seen.id: dataclasses.replace(seen, verdict=verdict)})
    look(inventory)
    new = process(20, ns={**NS, "mnt": 31}, root=2, cgroup="/machine.slice/machine-x.scope")
    assert only(look(inventory, new)).verdict == Verdict()


def test_running_by_its_engine_and_without_a_process_is_exited() -> None:
    seen = only(look(Inventory(), sightings=[sighting(state=State.RUNNING)]))
    assert seen.state is State.EXITED


def test_lxcs_suffix_is_no_part_of_the_id() -> None:
    init = process(10, ns=NS, root=1, cgroup="/lxc.payload.db-1")
    known = sighting(init, engine="lxc", engine_id="db", name="db")
    seen = only(look(Inventory(), init, sightings=[known]))
    assert seen.id == "/lxc.payload.db"
    assert seen.cgroups == {"": "/lxc.payload.db-1"}


def test_two_of_a_name_get_two_ids() -> None:
    one = process(10, ns=NS, root=1, cgroup="/lxc.payload.db")
    two = process(20, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup="/lxc.payload.db-1")
    known = [
        sighting(p, engine="lxc", engine_id="db", name="db", instance=f"/lxc{p.pid}")
        for p in (one, two)
    ]
    seen = look(Inventory(), one, two, sightings=known).containers
    assert set(seen) == {"/lxc.payload.db", "/lxc.payload.db-1"}


def test_who_shares_a_network_namespace_with_whom() -> None:
    pause = process(10, ns=NS, root=1, cgroup="/a")
    app = process(20, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup="/b")
    host_net = process(30, ns={"mnt": 32, "pid": 52}, root=3, cgroup="/c")
    seen = look(Inventory(), pause, app, host_net).containers
    assert [seen[k].network for k in ("/a", "/b", "/c")] == ["own", "container:/a", "host"]


def test_nested_by_cgroup_where_the_process_tree_does_not_tell() -> None:
    outer = process(10, ns=NS, root=1, cgroup=DOCKER)
    nested = process(20, 1, ns={**NS, "mnt": 31}, root=2, cgroup=f"{DOCKER}/docker/{'b' * 64}")
    picture = look(Inventory(), outer, nested)
    found = next(c for c in picture.containers.values() if c.init == nested.id)
    assert found.parent_id == DOCKER
    assert picture.nested == {DOCKER: 1}


def test_more_than_the_cap_is_dropped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    many = [
        process(10 + n, ns={**NS, "mnt": 100 + n, "pid": 200 + n}, root=n, cgroup=f"/c{n}")
        for n in range(5)
    ]
    picture = look(Inventory(cap=3), *many)
    assert (len(picture.containers), picture.dropped) == (3, 2)
    assert "2 containers are left out" in caplog.text
    assert "2 of none" in caplog.text


def test_what_is_dropped_is_not_said_to_be_gone() -> None:
    inventory = Inventory(cap=1)
    stopped = sighting(engine_id="a", name="stopped", state=State.EXITED)
    assert only(look(inventory, sightings=[stopped])).name == "stopped"
    running = process(10, ns=NS, root=1, cgroup=DOCKER)
    assert only(look(inventory, running, sightings=[stopped])).init == running.id


def test_what_runs_is_the_last_to_be_dropped() -> None:
    running = process(10, ns={**NS, "mnt": 100, "pid": 200}, root=1, cgroup="/c")
    stopped = [
        Sighting(collector="x", engine="openvz", engine_id=str(n), state=State.EXITED)
        for n in range(5)
    ]
    picture = look(Inventory(cap=2), running, sightings=stopped)
    assert picture.dropped == 4
    assert running.id in {c.init for c in picture.containers.values()}


def test_an_exec_in_a_reused_pid_is_not_the_same_life() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup="/x")
    first = only(look(inventory, init))
    other = dataclasses.replace(init, id=ProcessId(10, 999))
    second = look(inventory, other).containers[first.id]
    assert second.init == other.id


def test_a_sandbox_over_the_hosts_root_is_listed_nowhere_among_containers() -> None:
    wrapped = process(10, ns={"mnt": 30, "pid": 50})
    picture = look(Inventory(), wrapped, sightings=[sighting(wrapped, engine="bubblewrap")])
    assert picture.containers == {}
    assert [look.engine for look in picture.look_alikes] == ["bubblewrap"]


def test_an_engines_controller_is_no_stranger_in_the_cgroup() -> None:
    path = "/machine.slice/machine-lxc\\x2d9\\x2dweb.scope"
    controller = process(9, cgroup=path, exe="/usr/libexec/libvirt_lxc")
    init = process(10, 9, ns=NS, root=1, cgroup=path)
    known = sighting(init, engine="libvirt-lxc", cgroup=path)
    assert only(look(Inventory(), controller, init, sightings=[known])).cgroups == {"": path}


def test_nested_by_an_exec_that_started_in_the_containers_own_cgroup() -> None:
    outer = process(10, ns=NS, root=1, cgroup=f"{DOCKER}/init.scope")
    service = inner(outer, 11, cgroups={"": f"{DOCKER}/system.slice/cron.service"})
    nested = process(20, 5, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup=DOCKER)
    picture = look(Inventory(), process(5), outer, service, nested, sightings=[sighting(outer)])
    assert picture.containers[DOCKER].init == outer.id
    assert picture.nested == {DOCKER: 1}


def test_whoever_cannot_see_the_processes_does_not_say_that_they_ended() -> None:
    """In a pid namespace of its own an engine's word counts, and what was looked for does not."""
    host = dataclasses.replace(HOST, all_processes=False)
    said = [
        sighting(engine_id="a", name="told", state=State.RUNNING),
        sighting(engine_id="b", name="ended", state=State.EXITED, finished=5.0),
        sighting(engine="runc", engine_id="c", name="hidden", state=State.EXITED),
    ]
    picture = Inventory().update(host, table(), said, own_root, now=2_000_000.0)
    states = {c.name: c.state for c in picture.containers.values()}
    assert states == {"told": State.RUNNING, "ended": State.EXITED, "hidden": State.UNKNOWN}
