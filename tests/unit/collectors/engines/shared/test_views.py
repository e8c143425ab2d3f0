from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from collectors.engines.shared.views import (
    cgroup_prefix,
    in_host_mounts,
    instance_prefix,
    on_host,
    open_root,
    root_opener,
    shortest,
)
from collectors.facts import Namespaces
from collectors.hostfs import Gone
from tests.support.engine_host import EngineHost, contained
from tests.support.processes import process

FUSE = "30 1 0:51 / /srv rw - {} evil rw\n"
LXCFS = "30 1 0:50 / /proc/uptime rw - fuse.lxcfs lxcfs rw,user_id=0,group_id=0,allow_other\n"


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def test_var_run_is_run() -> None:
    assert shortest("/var/run/docker.sock") == "/run/docker.sock"
    assert shortest("/var/running/x") == "/var/running/x"


def test_rootless_engines_are_on_the_host_and_nested_ones_are_not(host: EngineHost) -> None:
    rootless = process(7, ns={"mnt": 900, "user": 901})
    nested = contained(8, "/docker/outer")
    context = host.context(rootless, nested)
    assert on_host(context, rootless)
    assert instance_prefix(context, rootless) == ""
    assert not on_host(context, nested)
    assert instance_prefix(context, nested) == "/docker/outer:"


def test_a_process_of_which_nothing_can_be_read_is_taken_to_be_on_the_host(
    host: EngineHost,
) -> None:
    hidden = process(7, namespaces=Namespaces(), root=None)
    hidden = dataclasses.replace(hidden, root=None)
    ctx = host.context(hidden)
    assert in_host_mounts(ctx, hidden)
    assert on_host(ctx, hidden)
    assert instance_prefix(ctx, hidden) == ""


def test_a_root_that_can_be_read_decides_where_the_namespace_cannot(host: EngineHost) -> None:
    inside = process(7, namespaces=Namespaces(), root=1)
    ctx = host.context(inside)
    assert not in_host_mounts(ctx, inside)
    assert not on_host(ctx, inside)


def test_an_instance_is_named_after_its_container_and_not_the_service_in_it(
    host: EngineHost,
) -> None:
    init = contained(7, "/lxc.payload.box/init.scope")
    service = dataclasses.replace(
        contained(8, "/lxc.payload.box/system.slice/docker.service", ppid=7),
        namespaces=init.namespaces,
        root=init.root,
    )
    ctx = host.context(init, service)
    assert instance_prefix(ctx, init) == "/lxc.payload.box:"
    assert instance_prefix(ctx, service) == "/lxc.payload.box:"


def test_a_container_without_a_cgroup_is_named_after_its_mounts(host: EngineHost) -> None:
    nested = contained(8, "/")
    assert instance_prefix(host.context(nested), nested) == f"mnt:[{nested.namespaces.mnt}]:"


def test_paths_of_a_nested_engine_lead_into_its_container_only(host: EngineHost) -> None:
    nested = contained(8, "/docker/outer")
    host.write("/etc/secret", "the host's")
    host.write("/inside/etc/own", "its own")
    host.link("/inside/etc/trap", "/etc/secret")
    host.enter(8, "root", "/inside")
    context = host.context(nested)
    with open_root(context, nested) as root:
        assert root.read_text("/etc/own") == "its own"
        assert not root.exists("/etc/trap")
    with open_root(context, None) as root:
        assert root.read_text("/etc/secret") == "the host's"


@pytest.mark.parametrize("fstype", ["fuse", "fuseblk", "fuse.evil"])
def test_a_container_with_a_fuse_mount_is_not_opened(host: EngineHost, fstype: str) -> None:
    nested = contained(8, "/docker/outer")
    host.enter(8, "root", "/inside")
    host.write("proc:8/mountinfo", FUSE.format(fstype))
    ctx = host.context(nested)
    with pytest.raises(Gone):
        open_root(ctx, nested)


def test_a_fuse_mount_that_came_later_is_seen_when_the_root_is_opened(host: EngineHost) -> None:
    nested = contained(8, "/docker/outer")
    host.enter(8, "root", "/inside")
    opened = root_opener(host.context(nested), nested)
    with opened() as root:
        assert root.confined
    host.write("proc:8/mountinfo", FUSE.format("fuse.evil"))
    with pytest.raises(Gone):
        opened()


def test_lxcfs_and_what_a_rootless_engine_mounts_are_no_reason_to_refuse(host: EngineHost) -> None:
    nested = contained(8, "/docker/outer")
    rootless = process(9, ns={"mnt": 900, "user": 901})
    host.enter(8, "root", "/inside")
    host.enter(9, "root", "/inside")
    host.write("proc:8/mountinfo", LXCFS)
    host.write("proc:1/mountinfo", LXCFS)
    host.write("proc:9/mountinfo", FUSE.format("fuse.fuse-overlayfs"))
    host.write("/inside/here", "")
    ctx = host.context(nested, rootless)
    for one in (nested, rootless):
        with open_root(ctx, one) as root:
            assert root.exists("/here")


@pytest.mark.parametrize(
    "of_host",
    ["", LXCFS.replace("0:50", "0:49"), LXCFS.replace("user_id=0", "user_id=1000")],
    ids=["none", "another", "a user's"],
)
def test_what_only_calls_itself_lxcfs_is_refused(host: EngineHost, of_host: str) -> None:
    """Whoever mounts FUSE chooses the name of its type; root's own on the host is believed."""
    nested = contained(8, "/docker/outer")
    host.enter(8, "root", "/inside")
    host.write("proc:8/mountinfo", LXCFS)
    host.write("proc:1/mountinfo", of_host)
    with pytest.raises(Gone):
        open_root(host.context(nested), nested)


def test_what_a_nested_engine_sees_as_the_top_of_the_cgroups(host: EngineHost) -> None:
    nested = contained(8, "/docker/outer/dockerd")
    lines = (
        "30 1 0:30 /docker/outer /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
        "31 1 0:31 /docker/outer /sys/fs/cgroup/systemd ro - cgroup cgroup rw,name=systemd",
    )
    host.write("proc:8/mountinfo", "\n".join(lines))
    context = host.context(nested, process(9))
    assert cgroup_prefix(context, nested) == "/docker/outer"
    assert cgroup_prefix(context, process(9)) == ""
