from __future__ import annotations

import pytest

from agent.inventory.inventory import Inventory
from collectors.facts import FileId
from tests.support.inventory import DOCKER, ID, NS, only_group, pids, split, update
from tests.support.processes import HOST, inner, mount, own_root, process, sighting, table


def test_the_hosts_programs_in_an_empty_root_are_a_sandbox() -> None:
    wrapped = process(10, ns={"mnt": 30}, root=1)
    mounts = (mount("/", 70, "/", "tmpfs"), mount("/usr", 1, "/usr"))
    parts = split(wrapped, mounts=mounts)
    assert parts.groups == ()
    assert parts.look_alikes[0].kind == "sandbox"


def test_a_tree_on_the_hosts_disk_is_a_root_of_its_own() -> None:
    mounts = (mount("/", 1, "/srv/rootfs"),)
    assert only_group(split(process(10, ns={"mnt": 30}, root=1), mounts=mounts)).leader.pid == 10


def test_an_overlay_over_the_hosts_root_is_a_sandbox() -> None:
    mounts = (mount("/", 70, "/", "overlay", "rw,lowerdir=/,upperdir=/run/x"),)
    assert split(process(10, ns={"mnt": 30}, root=1), mounts=mounts).groups == ()


def test_a_binary_from_outside_the_root_is_a_sandbox() -> None:
    helper = process(10, ns={"mnt": 30}, root=1, exe_id=FileId(1, 99))
    parts = split(helper, mounts=(mount("/", 70, "/", "tmpfs"),))
    assert parts.groups == ()


@pytest.mark.parametrize("below", ["", "/workers"])
def test_a_service_with_its_own_root_belongs_to_the_manager(below: str) -> None:
    path = f"/system.slice/portable.service{below}"
    parts = split(process(10, 1, ns={"mnt": 30}, root=1, cgroup=path))
    assert parts.groups == ()
    assert parts.look_alikes[0].kind == "service"
    assert "portable.service" in parts.look_alikes[0].reason


def test_what_a_service_left_in_a_root_of_its_own_is_not_the_managers() -> None:
    """A daemon or a script started a container without an engine and a pid namespace."""
    unit = "/system.slice/jobs.service"
    daemon = process(9, 1, cgroup=unit)
    adopted = process(10, 1, ns={"mnt": 30}, root=1, cgroup=f"{unit}/job")
    elsewhere = process(11, 1, cgroup="/system.slice/others.service")
    assert pids(only_group(split(daemon, adopted))) == {10}
    assert split(elsewhere, adopted).groups == ()


def test_what_a_users_manager_adopted_in_a_scope_is_not_its_service() -> None:
    path = "/user.slice/user@1000.service/app.slice/run-7.scope"
    adopted = process(10, 1, ns={"mnt": 30}, root=1, cgroup=path)
    assert pids(only_group(split(adopted))) == {10}


def test_a_daemon_of_the_hosts_that_jails_itself_is_a_sandbox() -> None:
    """It went on to a directory on the host's disk with pivot_root(2)."""
    daemon = process(10, ns={"mnt": 30, "pid": 50}, root=1, exe_outside=True)
    parts = split(daemon, mounts=(mount("/", 1, "/srv/data"),))
    assert parts.groups == ()
    assert parts.look_alikes[0].kind == "sandbox"


def test_a_tool_of_the_host_does_not_fill_an_empty_root() -> None:
    tool = process(11, ns={"mnt": 31})
    sandboxed = process(12, 11, ns={"mnt": 31, "pid": 51}, root=2, exe_outside=True)
    assert split(tool, sandboxed, mounts=()).groups == ()


def test_a_sandbox_over_the_hosts_root_is_listed_nowhere_among_containers() -> None:
    wrapped = process(10, ns={"mnt": 30, "pid": 50})
    picture = update(Inventory(), wrapped, sightings=[sighting(wrapped, engine="bubblewrap")])
    assert picture.containers == {}
    assert [look.engine for look in picture.look_alikes] == ["bubblewrap"]


def test_cgroups_named_like_an_engines_hold_no_container_by_that() -> None:
    shell = process(10, cgroup=DOCKER, exe="/bin/sh")
    helper = process(11, cgroup=f"/machine.slice/libpod-conmon-{ID}.scope", exe="/usr/bin/conmon")
    session = process(12, cgroup="/user.slice/session-4.scope")
    picture = Inventory().update(
        HOST,
        table(shell, helper, session),
        [],
        own_root,
        now=2_000_000.0,
        empty_cgroups=["/lxc.payload.db", "/system.slice/nginx.service"],
    )
    assert picture.containers == {}
    assert {(look.kind, look.cgroup) for look in picture.look_alikes} == {
        ("cgroup", DOCKER),
        ("engine", f"/machine.slice/libpod-conmon-{ID}.scope"),
        ("session", "/user.slice/session-4.scope"),
        ("cgroup", "/lxc.payload.db"),
    }


def test_a_unit_inside_a_container_is_named_with_the_container() -> None:
    init = process(10, ns=NS, root=1, cgroup=f"{DOCKER}/init.scope")
    service = inner(init, 11, cgroups={"": f"{DOCKER}/system.slice/cron.service"})
    picture = update(Inventory(), init, service, sightings=[sighting(init)])
    reasons = {look.name: look.reason for look in picture.look_alikes if look.kind == "inner"}
    assert reasons["cron.service"] == "a cgroup inside the container web"


def test_a_browsers_own_namespaces_are_listed_once() -> None:
    first = process(10, ns={"net": 40}, exe="/usr/bin/firefox")
    second = process(11, ns={"net": 40}, exe="/usr/bin/firefox")
    picture = update(Inventory(), first, second)
    assert [(look.kind, look.name, look.pid) for look in picture.look_alikes] == [
        ("sandbox", "firefox", 10)
    ]


def test_a_browsers_sandbox_is_shown_once_with_the_reason_that_holds() -> None:
    """Its maker has fewer of the namespaces, its renderers more, and all have an empty root."""
    broker = process(10)
    maker = process(11, 10, ns={"user": 70})
    zygote = process(12, 11, ns={"user": 70, "pid": 50, "net": 40}, root=1)
    renderer = process(13, 12, ns={"user": 70, "pid": 51, "net": 40}, root=1)
    found = update(Inventory(), broker, maker, zygote, renderer).look_alikes
    assert [(one.kind, one.pid, one.reason) for one in found] == [
        (
            "sandbox",
            12,
            "of its own are only pid, net, user, the root directory; the mounts are the host's",
        )
    ]


def test_a_service_with_processes_in_several_mount_namespaces_is_shown_once() -> None:
    path = "/system.slice/web.service"
    first = process(10, ns={"mnt": 30}, cgroup=path)
    second = process(11, ns={"mnt": 31}, cgroup=path)
    third = process(12, ns={"net": 40}, cgroup=path)
    found = update(Inventory(), first, second, third).look_alikes
    assert [(one.kind, one.name) for one in found] == [("service", "web.service")]


def test_two_sandboxes_are_two() -> None:
    found = update(Inventory(), process(10, ns={"net": 40}), process(11, ns={"net": 41}))
    assert [one.pid for one in found.look_alikes] == [10, 11]
