"""Which hierarchies of /proc/<pid>/cgroup count, and which cgroups are frozen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from collectors.hostfs import HostFS
from collectors.kernel.cgroups import is_frozen, parse_cgroup
from collectors.kernel.processes import ProcessReader
from tests.support.engine_host import V1, EngineHost, contained

BOTH = b"1:name=systemd:/\n0::/system.slice/web.service\n"


def test_each_controller_has_its_path() -> None:
    assert parse_cgroup(b"4:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/d (deleted)\nodd\n") == {
        "cpu": "/a",
        "cpuacct": "/a",
        "name=systemd": "/b:c",
        "": "/d",
    }


@pytest.mark.parametrize(
    ("mounted", "paths"),
    [
        # systemd-nspawn's own, for a guest that may want v1; mounted nowhere.
        ("cgroup.controllers", {"": "/system.slice/web.service"}),
        ("systemd/cgroup.procs", {"": "/system.slice/web.service", "name=systemd": "/"}),
    ],
)
def test_on_a_pure_v2_host_only_the_unified_hierarchy_counts(
    tmp_path: Path, mounted: str, paths: dict[str, str]
) -> None:
    for name, content in (
        (f"sys/fs/cgroup/{mounted}", b""),
        ("proc/7/stat", b"7 (web) Z 1 7 7 0 -1 0" + b" 0" * 45),
        ("proc/7/cgroup", BOTH),
        ("root/etc/hostname", b"host\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    host = HostFS(*(str(tmp_path / name) for name in ("proc", "sys", "root")))

    (process,) = ProcessReader(host).read()

    assert process.cgroups == paths


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def test_a_frozen_cgroup_of_v1_is_seen(host: EngineHost) -> None:
    running = contained(7, "/docker/x")
    files = host.context(running).host
    assert not is_frozen(files, V1, running)
    host.write("sys:fs/cgroup/freezer/docker/x/freezer.state", "FROZEN\n")
    assert is_frozen(files, V1, running)


def test_frozen_in_the_unified_hierarchy(host: EngineHost) -> None:
    running = contained(7, "/docker/x")
    host.write("sys:fs/cgroup/unified/docker/x/cgroup.events", "populated 1\nfrozen 1\n")
    files = host.context(running).host
    assert is_frozen(files, V1, running)
    later = dataclasses.replace(running, cgroups={"": "/docker/y"})
    assert not is_frozen(files, V1, later)
