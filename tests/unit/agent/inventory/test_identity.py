from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent.inventory.inventory import Inventory
from collectors.facts import State
from tests.support.inventory import DOCKER, ID, NS, only, update
from tests.support.processes import inner, process, sighting

if TYPE_CHECKING:
    from collectors.facts import Process


def test_an_inner_init_does_not_move_the_container() -> None:
    init = process(10, ns=NS, root=1, cgroup=f"{DOCKER}/init.scope")
    service = inner(init, 11, cgroups={"": f"{DOCKER}/system.slice/cron.service"})
    assert only(update(Inventory(), init, service)).id == DOCKER


def test_a_cgroup_that_others_are_in_is_not_its_own() -> None:
    init = process(10, ns=NS, root=1, cgroup="/user.slice/session-1.scope")
    shell = process(9, cgroup="/user.slice/session-1.scope")
    seen = only(update(Inventory(), shell, init))
    assert seen.cgroups == {}
    assert seen.id == "/none/10-110"


BOTH = {"memory": "/docker/a", "": "/docker/a"}
"""The cgroups of a container on a hybrid host."""


def test_a_process_of_the_host_that_passes_through_takes_no_cgroup_away() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroups=BOTH)
    assert only(update(inventory, init)).cgroups == BOTH
    for controller, path in BOTH.items():
        runtime = process(9, cgroups={**dict.fromkeys(BOTH, "/"), controller: path})
        assert only(update(inventory, init, runtime)).cgroups == BOTH


def test_a_process_of_the_host_does_not_move_the_container_to_an_inner_cgroup() -> None:
    inventory = Inventory()
    init = process(10, ns=NS, root=1, cgroup="/x/init.scope")
    service = inner(init, 11, cgroups={"": "/x/cron.service"})
    assert only(update(inventory, init, service)).cgroups == {"": "/x"}
    passing = process(9, cgroup="/x")
    assert only(update(inventory, init, service, passing)).cgroups == {"": "/x"}


def test_another_container_in_the_cgroup_takes_it_away() -> None:
    inventory = Inventory()
    one = process(10, ns=NS, root=1, cgroup="/job.service")
    two = process(20, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup="/job.service")
    assert only(update(inventory, one)).cgroups == {"": "/job.service"}
    both = update(inventory, one, two).containers.values()
    assert [c.cgroups for c in both] == [{}, {}]


def test_a_container_that_was_moved_has_no_cgroup_of_before() -> None:
    inventory = Inventory()
    one = process(10, ns=NS, root=1, cgroup="/a")
    assert only(update(inventory, one)).cgroups == {"": "/a"}
    moved = process(10, ns=NS, root=1, cgroup="/b")
    assert only(update(inventory, moved)).cgroups == {"": "/b"}


def test_lxcs_suffix_is_no_part_of_the_id() -> None:
    init = process(10, ns=NS, root=1, cgroup="/lxc.payload.db-1")
    known = sighting(init, engine="lxc", engine_id="db", name="db")
    seen = only(update(Inventory(), init, sightings=[known]))
    assert seen.id == "/lxc.payload.db"
    assert seen.cgroups == {"": "/lxc.payload.db-1"}


def test_two_of_a_name_get_two_ids() -> None:
    one = process(10, ns=NS, root=1, cgroup="/lxc.payload.db")
    two = process(20, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup="/lxc.payload.db-1")
    known = [
        sighting(p, engine="lxc", engine_id="db", name="db", instance=f"/lxc{p.pid}")
        for p in (one, two)
    ]
    seen = update(Inventory(), one, two, sightings=known).containers
    assert set(seen) == {"/lxc.payload.db", "/lxc.payload.db-1"}


def test_nested_by_cgroup_where_the_process_tree_does_not_tell() -> None:
    outer = process(10, ns=NS, root=1, cgroup=DOCKER)
    nested = process(20, 1, ns={**NS, "mnt": 31}, root=2, cgroup=f"{DOCKER}/docker/{'b' * 64}")
    picture = update(Inventory(), outer, nested)
    found = next(c for c in picture.containers.values() if c.init == nested.id)
    assert found.parent_id == DOCKER
    assert picture.nested == {DOCKER: 1}


def test_an_engines_controller_is_no_stranger_in_the_cgroup() -> None:
    path = "/machine.slice/machine-lxc\\x2d9\\x2dweb.scope"
    controller = process(9, cgroup=path, exe="/usr/libexec/libvirt_lxc")
    init = process(10, 9, ns=NS, root=1, cgroup=path)
    known = sighting(init, engine="libvirt-lxc", cgroup=path)
    assert only(update(Inventory(), controller, init, sightings=[known])).cgroups == {"": path}


def test_nested_by_an_exec_that_started_in_the_containers_own_cgroup() -> None:
    outer = process(10, ns=NS, root=1, cgroup=f"{DOCKER}/init.scope")
    service = inner(outer, 11, cgroups={"": f"{DOCKER}/system.slice/cron.service"})
    nested = process(20, 5, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup=DOCKER)
    picture = update(Inventory(), process(5), outer, service, nested, sightings=[sighting(outer)])
    assert picture.containers[DOCKER].init == outer.id
    assert picture.nested == {DOCKER: 1}


def test_without_a_cgroup_of_its_own_the_engine_and_its_instance_make_the_id() -> None:
    shell = process(9, cgroup="/user.slice/session-1.scope")
    init = process(10, ns=NS, root=1, cgroup="/user.slice/session-1.scope")
    known = sighting(init, engine="podman", engine_id=ID, instance="1000")
    assert only(update(Inventory(), shell, init, sightings=[known])).id == f"/podman/1000/{ID}"


def test_the_socket_of_a_daemon_is_one_part_of_the_id() -> None:
    stopped = sighting(state=State.EXITED, instance="/run/other/docker.sock")
    seen = only(update(Inventory(), sightings=[stopped]))
    assert seen.id == f"/docker/run:other:docker.sock/{ID}"


def test_what_never_ran_has_the_path_that_its_engine_will_give_it() -> None:
    stopped = sighting(state=State.CREATED, cgroup=DOCKER)
    assert only(update(Inventory(), sightings=[stopped])).id == DOCKER


NSPAWN = {"engine": "nspawn", "engine_id": "box", "name": "box"}


def two_in_one_cgroup() -> tuple[Process, Process]:
    one = process(10, ns=NS, root=1, cgroup="/payload")
    return one, process(20, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup="/payload")


def test_the_cgroup_that_nspawn_makes_in_each_container_is_no_id() -> None:
    one, two = two_in_one_cgroup()
    known = [sighting(p, instance=f"/srv/{p.pid}", **NSPAWN) for p in (one, two)]
    inventory = Inventory()
    alone = only(update(inventory, one, sightings=known[:1]))
    assert (alone.id, alone.cgroups) == ("/nspawn/srv:10/box", {"": "/payload"})
    both = ["/nspawn/srv:10/box", "/nspawn/srv:20/box"]
    assert list(update(inventory, one, two, sightings=known).containers) == both
    assert list(update(Inventory(), one, two, sightings=known).containers) == both
    assert only(update(Inventory(), one)).id == "/none/10-110"


def test_two_that_run_under_one_name_do_not_swap_their_ids() -> None:
    one, two = two_in_one_cgroup()
    known = [sighting(p, instance="/srv/box", **NSPAWN) for p in (one, two)]
    inventory = Inventory()
    before = {
        c.init: c.id for c in update(inventory, one, two, sightings=known).containers.values()
    }
    assert len(before) == 2
    for _ in range(2):
        now = update(inventory, two, one, sightings=known[::-1]).containers.values()
        assert {c.init: c.id for c in now} == before


def test_one_that_is_stopped_does_not_take_the_cgroup_of_one_that_runs() -> None:
    running = process(10, ns=NS, root=1, cgroup="/lxc.payload.db")
    facts: dict[str, Any] = {"engine": "lxc", "engine_id": "db", "name": "db"}
    stopped = sighting(instance="/one", state=State.EXITED, cgroup="/lxc.payload.db", **facts)
    known = [stopped, sighting(running, instance="/two", **facts)]
    seen = update(Inventory(), running, sightings=known).containers
    assert {c.instance: c.id for c in seen.values()} == {
        "/one": "/lxc/one/db",
        "/two": "/lxc.payload.db",
    }


@pytest.mark.parametrize("order", [1, -1])
def test_one_that_is_stopped_has_the_name_of_which_the_other_has_the_suffix(order: int) -> None:
    other = process(10, ns=NS, root=1, cgroup="/lxc.payload.db-1")
    facts: dict[str, Any] = {"engine": "lxc", "engine_id": "db", "name": "db"}
    stopped = sighting(instance="/one", state=State.EXITED, cgroup="/lxc.payload.db", **facts)
    known = [stopped, sighting(other, instance="/two", **facts)][::order]
    seen = update(Inventory(), other, sightings=known).containers
    assert {c.instance: c.id for c in seen.values()} == {
        "/one": "/lxc.payload.db",
        "/two": "/lxc.payload.db-1",
    }


def test_two_namespaces_of_one_engine_may_use_one_long_id() -> None:
    facts: dict[str, Any] = {
        "engine": "containerd",
        "engine_id": "the-database-of-the-shop-of-last-year",
    }
    stopped = [
        sighting(instance=space, state=State.EXITED, cgroup=f"/{space}/db", **facts)
        for space in ("one", "two")
    ]
    assert set(update(Inventory(), sightings=stopped).containers) == {"/one/db", "/two/db"}
