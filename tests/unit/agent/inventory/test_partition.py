from __future__ import annotations

import dataclasses
from typing import Any

from collectors.facts import Namespaces
from tests.support.inventory import DOCKER, NS, only_group, pids, split
from tests.support.processes import inner, process, sighting


def test_own_mounts_and_root_make_a_container_whoever_made_it() -> None:
    init = process(10, ns=NS, root=1)
    group = only_group(split(init, inner(init, 11)))
    assert group.leader.pid == 10
    assert pids(group) == {10, 11}


def test_chroot_and_private_mounts_alone_make_none() -> None:
    chrooted = process(10, root=1)
    private = process(11, ns={"mnt": 31})
    parts = split(chrooted, private)
    assert parts.groups == ()
    assert {look.kind for look in parts.look_alikes} == {"chroot", "mounts"}


def test_a_service_with_private_mounts_belongs_to_the_container_it_is_in() -> None:
    init = process(10, ns=NS, root=1)
    service = inner(init, 12, namespaces=dataclasses.replace(init.namespaces, mnt=77))
    assert pids(only_group(split(init, service))) == {10, 12}


def test_nested_container_has_its_parent() -> None:
    outer = process(10, ns=NS, root=1)
    engine = inner(outer, 11)
    nested = process(20, 11, ns={"mnt": 31, "pid": 51}, root=2)
    parts = split(outer, engine, nested)
    by_leader = {g.leader.pid: g for g in parts.groups}
    assert by_leader[20].parent is by_leader[10]
    assert pids(by_leader[10]) == {10, 11}


def test_exec_from_outside_is_a_visitor_with_all_its_children() -> None:
    init = process(10, ns=NS, root=1)
    shell = inner(init, 20, 5)
    child = inner(init, 21, 20)
    group = only_group(split(process(5), init, shell, child))
    assert pids(group) == {10, 20, 21}
    assert group.visitors == {20, 21}


def test_orphans_in_the_hosts_pid_namespace_are_no_visitors() -> None:
    init = process(10, 5, ns={"mnt": 30}, root=1)
    worker = inner(init, 11)
    orphan = inner(init, 12, 5, session=worker.session)
    daemon = inner(init, 13, 5)
    person = inner(init, 14, 5, tty=34816)
    stranger = inner(init, 15, 6)
    found = only_group(
        split(process(5), process(6), init, worker, orphan, daemon, person, stranger)
    )
    assert found.visitors == {14, 15}


def test_a_daemon_in_another_containers_pid_namespace_is_adopted_by_its_first_process() -> None:
    first = process(20, 5, ns={"mnt": 20, "pid": 50}, root=2, ns_pids=(20, 1))
    init = process(10, 5, ns={"mnt": 30, "pid": 50}, root=1, ns_pids=(10, 7))
    daemon = inner(init, 12, 20, ns_pids=(12, 9))
    came = inner(init, 13, 6, ns_pids=(13, 10))
    groups = split(process(5), process(6), first, init, daemon, came).groups
    assert [g.visitors for g in groups if g.leader is init] == [{13}]


def test_the_process_that_a_collector_names_is_the_init() -> None:
    first = process(10, ns={"mnt": 30}, root=1)
    named = inner(first, 11)
    assert only_group(split(first, named, sightings=(sighting(named),))).leader.pid == 11


def test_a_sighting_of_an_earlier_process_with_that_pid_does_not_count() -> None:
    init = process(10)
    stale = sighting(dataclasses.replace(init, id=init.id._replace(start_ticks=1)))
    assert split(init, sightings=(stale,)).groups == ()


def test_what_an_engine_manages_counts_on_the_hosts_own_root() -> None:
    execute = process(10, ns={"mnt": 30, "pid": 50})
    assert split(execute).groups == ()
    seen = sighting(execute, engine="lxc", engine_id="job")
    assert only_group(split(execute, sightings=(seen,))).sightings == [seen]


def test_a_sighting_of_a_sandbox_tool_does_not_make_the_hosts_root_a_container() -> None:
    wrapped = process(10, ns={"mnt": 30, "pid": 50})
    parts = split(wrapped, sightings=(sighting(wrapped, engine="bubblewrap"),))
    assert parts.groups == ()
    assert [(look.kind, look.engine) for look in parts.look_alikes] == [("sandbox", "bubblewrap")]


def test_who_made_the_namespace_and_waits_outside_is_no_member() -> None:
    tool = process(9, ns={"mnt": 30})
    init = process(10, 9, ns={"mnt": 30, "pid": 50}, root=1)
    parts = split(tool, init)
    assert pids(only_group(parts)) == {10}
    assert parts.home[9] is None


def test_openvz_is_told_by_the_kernels_number_alone() -> None:
    nothing: dict[str, Any] = {"namespaces": Namespaces(), "envid": "101"}
    init = process(10, **nothing)
    other = process(11, 10, **nothing)
    group = only_group(split(init, other))
    assert pids(group) == {10, 11}


def test_without_permission_cgroup_and_pid_namespace_tell() -> None:
    path = "/system.slice/docker-" + "b" * 64 + ".scope"
    hidden: dict[str, Any] = {"namespaces": Namespaces(), "root": None, "exe": None}
    inside = process(10, cgroup=path, ns_pids=(10, 1), **hidden)
    on_host = process(11, cgroup="/system.slice/docker-" + "c" * 64 + ".scope", **hidden)
    group = only_group(split(inside, on_host))
    assert pids(group) == {10}
    assert group.by_cgroup


def test_a_zombie_is_its_parents() -> None:
    init = process(10, ns=NS, root=1)
    zombie = process(11, 10, state="Z", namespaces=Namespaces(), exe=None)
    assert pids(only_group(split(init, zombie))) == {10, 11}


def test_a_zombie_that_its_engine_still_named_is_no_container() -> None:
    zombie = process(10, state="Z", namespaces=Namespaces(), root=None, exe=None)
    assert split(zombie, sightings=[sighting(zombie)]).groups == ()


def test_what_is_about_to_end_is_no_container_of_its_own() -> None:
    """Between its last instruction and being a zombie it has a cgroup, and no namespaces."""
    path = "/system.slice/docker-" + "b" * 64 + ".scope"
    init = process(10, ns=NS, root=1, cgroup=f"{path}/init.scope", ns_pids=(10, 1))
    ending: dict[str, Any] = {"namespaces": Namespaces(), "root": None, "exe": None}
    unit = process(11, 10, cgroup=f"{path}/system.slice/x.service", ns_pids=(11, 4), **ending)
    from_outside = process(12, 5, cgroup=path, ns_pids=(12, 5), **ending)
    assert pids(only_group(split(process(5), init, unit, from_outside))) == {10, 11, 12}


def test_what_is_about_to_end_is_its_parents_where_no_cgroup_tells() -> None:
    init = process(10, ns=NS, root=1)
    ending = process(11, 10, namespaces=Namespaces(), root=None, exe=None, ns_pids=(11, 4))
    parts = split(process(5), init, ending, process(6, 5, namespaces=Namespaces(), root=None))
    assert pids(only_group(parts)) == {10, 11}
    assert parts.home[6] is None


def test_a_reaper_of_the_hosts_whose_program_went_on_to_other_mounts_is_a_container() -> None:
    """bubblewrap waits as the first process for a program that unshares its mounts."""
    reaper = process(10, ns=NS, root=1, exe_outside=True)
    program = process(11, 10, ns={**NS, "mnt": 31}, root=1)
    elsewhere = process(12, ns={"mnt": 32, "pid": 52}, root=1)
    assert only_group(split(reaper, program)).leader.pid == 10
    assert 10 not in {g.leader.pid for g in split(reaper, elsewhere).groups}


def test_a_second_mount_namespace_on_the_same_root_is_the_same_container() -> None:
    init = process(10, ns=NS, root=1)
    entered = process(20, 5, ns={**NS, "mnt": 99}, root=1)
    assert pids(only_group(split(process(5), init, entered))) == {10, 20}


def test_nested_by_a_tool_that_waits_in_the_new_mount_namespace() -> None:
    outer = process(10, ns=NS, root=1)
    namespaces = dataclasses.replace(outer.namespaces, mnt=31)
    tool = inner(outer, 11, namespaces=namespaces)
    nested = process(12, 11, ns={"mnt": 31, "pid": 51, "net": 40}, root=2)
    parts = split(outer, tool, nested)
    by_leader = {g.leader.pid: g for g in parts.groups}
    assert by_leader[12].parent is by_leader[10]
    assert pids(by_leader[10]) == {10, 11}


def test_what_an_exec_made_inside_is_nested_in_the_container() -> None:
    """A shell that came in with lxc-attach hangs on the host; what it unshares is nested."""
    outer = process(10, ns=NS, root=1)
    maker = inner(outer, 20, 5, namespaces=dataclasses.replace(outer.namespaces, mnt=31))
    nested = process(21, 20, ns={**NS, "mnt": 31, "pid": 51}, root=2, ns_pids=(21, 9, 1))
    parts = split(process(5), outer, maker, nested)
    by_leader = {g.leader.pid: g for g in parts.groups}
    assert by_leader[21].parent is by_leader[10]
    assert parts.home[20] is by_leader[10]


def test_two_on_one_root_directory_are_not_nested() -> None:
    one = process(10, ns=NS, root=1)
    other = process(20, ns={"mnt": 31, "pid": 51}, root=1)
    parts = split(one, other)
    assert [g.parent for g in parts.groups] == [None, None]


def test_an_engines_container_in_the_pid_namespace_of_another_is_not_nested() -> None:
    one = process(10, ns=NS, root=1)
    other = process(20, ns={**NS, "mnt": 31}, root=2)
    parts = split(one, other, sightings=(sighting(one), sighting(other)))
    assert [g.parent for g in parts.groups] == [None, None]


def test_what_is_on_the_hosts_root_is_not_the_parent_of_what_the_host_starts() -> None:
    """lxc-execute without a root filesystem, and unshare --root beside it."""
    first = process(10, ns=NS)
    maker = process(20, ns={"mnt": 31})
    beside = process(21, 20, ns={"mnt": 31, "pid": 51}, root=2)
    managed = sighting(first, engine="lxc", engine_id="x")
    groups = split(first, maker, beside, sightings=(managed,)).groups
    assert [g.parent for g in groups if g.leader is beside] == [None]


def test_a_root_that_two_containers_share_does_not_tell_the_parent() -> None:
    one = process(10, ns={"mnt": 30, "pid": 50}, root=1)
    other = process(11, ns={"mnt": 31, "pid": 51}, root=1)
    maker = process(20, ns={"mnt": 32}, root=1)
    beside = process(21, 20, ns={"mnt": 32, "pid": 52}, root=2)
    groups = split(one, other, maker, beside).groups
    assert [g.parent for g in groups if g.leader is beside] == [None]


def test_a_service_in_a_container_whose_init_is_ending_is_none_of_its_own() -> None:
    init = process(10, ns=NS, root=1)
    service = inner(init, 12, namespaces=dataclasses.replace(init.namespaces, mnt=77))
    ending = dataclasses.replace(init, root=None)
    parts = split(ending, service, sightings=(sighting(ending),))
    assert pids(only_group(parts)) == {10, 12}


def test_a_process_that_is_ending_makes_no_container_of_its_cgroup() -> None:
    ending = process(
        10, cgroup=DOCKER, namespaces=Namespaces(), ns_pids=(10, 1), root=None, exe=None, argv=()
    )
    assert split(ending).groups == ()
    assert split(dataclasses.replace(ending, argv=("x",))).groups
