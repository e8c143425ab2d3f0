from __future__ import annotations

import pytest

from agent.inventory.groups import Group, cgroup_of, name_of, own_kinds
from collectors.kernel.cgroups import SYSTEMD, UNIFIED
from tests.support.processes import HOST, process


def test_a_group_is_within_itself_those_around_it_and_the_host() -> None:
    outer = Group(leader=process(10))
    inner = Group(leader=process(11), parent=outer)
    assert inner.within(inner)
    assert inner.within(outer)
    assert inner.within(None)
    assert not outer.within(inner)


@pytest.mark.parametrize(
    ("exe", "comm", "name"),
    [
        ("/usr/bin/nginx", "worker", "nginx"),
        ("/usr/bin/nginx (deleted)", "", "nginx"),
        (None, "kworker", "kworker"),
        (None, "", "?"),
    ],
)
def test_a_process_is_called_by_its_binary(exe: str | None, comm: str, name: str) -> None:
    assert name_of(process(10, exe=exe, comm=comm)) == name


def test_systemds_cgroup_is_the_one_that_a_process_is_known_by() -> None:
    both = {SYSTEMD: "/system.slice/a.service", UNIFIED: "/b", "cpu": "/c"}
    assert cgroup_of(process(10, cgroups=both)) == "/system.slice/a.service"
    assert cgroup_of(process(10, cgroups={UNIFIED: "/b", "cpu": "/c"})) == "/b"
    assert cgroup_of(process(10, cgroups={"cpu": "/c"})) == ""


def test_mounts_are_not_among_the_namespaces_of_its_own() -> None:
    assert own_kinds(HOST, process(10, ns={"mnt": 30, "net": 40, "pid": 50})) == ("pid", "net")
    assert own_kinds(HOST, process(10)) == ()
