from __future__ import annotations

from agent.inventory.inventory import Inventory
from collectors.facts import State
from tests.support.inventory import DOCKER, ID, NS, only, update
from tests.support.processes import inner, process, sighting


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
