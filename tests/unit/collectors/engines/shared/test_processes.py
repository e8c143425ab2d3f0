from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from collectors.engines.shared.processes import (
    alive,
    binary_name,
    claimed_name,
    host_numbers,
    running_state,
    started_at,
)
from collectors.facts import State
from tests.support.engine_host import FACTS, EngineHost, contained
from tests.support.processes import process


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


@pytest.mark.parametrize(
    ("exe", "name"),
    [("/usr/bin/lxc-start (deleted)", "lxc-start"), ("/a/b", "b"), (None, ""), ("", "")],
)
def test_a_binary_is_known_by_its_file_and_not_by_what_it_calls_itself(
    exe: str | None, name: str
) -> None:
    assert binary_name(process(10, exe=exe, comm="dockerd")) == name


def test_a_daemon_whose_binary_cannot_be_read_claims_a_name() -> None:
    assert claimed_name(process(7, exe="/usr/bin/dockerd (deleted)", comm="x")) == "dockerd"
    assert claimed_name(process(7, exe=None, comm="dockerd")) == "dockerd"


def test_a_start_time_needs_the_boot_time(host: EngineHost) -> None:
    running = process(7)
    assert started_at(host.context(running), running) == pytest.approx(1_000_001.07)
    host.facts = dataclasses.replace(FACTS, boot_time=0.0)
    assert started_at(host.context(running), running) is None


def test_a_container_with_a_frozen_cgroup_is_paused(host: EngineHost) -> None:
    running = contained(7, "/docker/x")
    assert running_state(host.context(running), running) is State.RUNNING
    host.write("sys:fs/cgroup/freezer/docker/x/freezer.state", "FROZEN\n")
    assert running_state(host.context(running), running) is State.PAUSED


def test_a_zombie_does_not_run(host: EngineHost) -> None:
    context = host.context(process(7, state="Z"), process(8))
    assert alive(context, 7) is None
    assert alive(context, 8) is not None
    assert alive(context, 9) is None
    assert alive(context, None) is None


def test_a_nested_engines_numbers_mean_its_own_processes_only(host: EngineHost) -> None:
    engine = process(50, ns={"pid": 77, "mnt": 78}, root=1, ns_pids=(50, 10))
    shim = process(51, 50, ns={"pid": 77, "mnt": 78}, root=1, ns_pids=(51, 20))
    init = process(52, 51, ns={"pid": 79, "mnt": 80}, root=2, ns_pids=(52, 21, 1))
    neighbour = process(60, 1, ns={"pid": 81, "mnt": 82}, root=3, ns_pids=(60, 21))
    context = host.context(engine, shim, init, neighbour)
    numbers = host_numbers(context, engine)
    assert {number: p.pid for number, p in numbers.items()} == {10: 50, 20: 51, 21: 52}


def test_an_engine_with_the_hosts_pid_namespace_counts_as_the_host_does(host: EngineHost) -> None:
    engine = process(50, ns={"mnt": 78}, ns_pids=(50,))
    context = host.context(engine)
    assert set(host_numbers(context, engine)) == {1, 50}


def test_a_loop_of_parents_ends(host: EngineHost) -> None:
    engine = process(50, ns={"pid": 77}, ns_pids=(50, 10))
    one = process(60, 61, ns={"pid": 90}, ns_pids=(60, 5))
    other = process(61, 60, ns={"pid": 90}, ns_pids=(61, 6))
    assert set(host_numbers(host.context(engine, one, other), engine)) == {10}
