from __future__ import annotations

import json

import pytest

from collectors.engines.runc.states import parse_crun_state, parse_runc_state
from collectors.facts import CgroupLayout, CgroupMode
from collectors.formats.documents import JsonObject
from tests.support.engine_host import V1, fixture

V2 = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"})


def test_runcs_state_names_process_bundle_and_cgroup() -> None:
    state = parse_runc_state(JsonObject(json.loads(fixture("runtimes/runc-state.json"))), V1)
    assert state is not None
    assert (state.runtime, state.pid, state.start_ticks) == ("runc", 20691, 172017)
    assert (state.bundle, state.cgroup) == ("/srv/bundle", "/a-runc")


@pytest.mark.parametrize(
    ("paths", "cgroup"),
    [
        ({"": "/sys/fs/cgroup/system.slice/a.scope"}, "/system.slice/a.scope"),
        ({"": "/elsewhere/a"}, None),
        ({"": "/sys/fs/cgroup/"}, None),
        ({}, None),
    ],
)
def test_the_mount_point_is_taken_off_a_cgroup(paths: dict[str, str], cgroup: str | None) -> None:
    state = parse_runc_state(JsonObject({"init_process_pid": 7, "cgroup_paths": paths}), V2)
    assert state is not None
    assert state.cgroup == cgroup


@pytest.mark.parametrize(
    ("namespaces", "mode"),
    [
        ([], ""),
        ([{"type": "NEWPID"}], "host"),
        ([{"type": "NEWNET"}], ""),
        ([{"type": "NEWNET", "path": "/run/netns/a"}], "ns:/run/netns/a"),
    ],
)
def test_the_network_namespace_tells_the_mode(namespaces: list[object], mode: str) -> None:
    document = {"init_process_pid": 7, "config": {"namespaces": namespaces}}
    state = parse_runc_state(JsonObject(document), V2)
    assert state is not None
    assert state.network_mode == mode


def test_a_state_with_a_status_and_without_runcs_key_is_youkis() -> None:
    state = parse_runc_state(JsonObject({"status": "running", "pid": 7, "bundle": "/b"}), V2)
    assert state is not None
    assert (state.runtime, state.pid, state.bundle) == ("youki", 7, "/b")
    assert parse_runc_state(JsonObject({"pid": 7}), V2) is None


def test_cruns_cgroup_has_one_leading_slash() -> None:
    state = parse_crun_state(JsonObject({"pid": 7, "cgroup-path": "a/b/"}), V2)
    assert state is not None
    assert (state.runtime, state.cgroup) == ("crun", "/a/b")
    assert parse_crun_state(JsonObject({}), V2) is None


@pytest.mark.parametrize(("shares", "expected"), [(512, 512), (0, None)])
def test_runcs_shares_are_as_of_its_last_update(shares: int, expected: int | None) -> None:
    document = {"init_process_pid": 7, "config": {"cgroups": {"cpu_shares": shares}}}
    state = parse_runc_state(JsonObject(document), V2)
    assert state is not None
    assert state.cpu_shares == expected
