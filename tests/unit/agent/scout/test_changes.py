from __future__ import annotations

import os
import time

import pytest

from agent.inventory.groups import Group
from agent.inventory.inventory import InventoryPass
from agent.model import Container
from agent.scout.changes import KnownProcesses, event_lag
from collectors.facts import Process, ProcessId
from tests.support.processes import HOST, inner, process, table

INIT = process(10, ns={"mnt": 50, "pid": 60}, root=1)
WORKER = inner(INIT, 11)
SHELL = process(20)
TABLE = table(INIT, WORKER, SHELL)
KNOWN = KnownProcesses.of(
    InventoryPass(
        containers={"/c": Container(id="/c", engine="docker", init=INIT.id)},
        groups={"/c": Group(INIT, [INIT, WORKER])},
        look_alikes=(),
        nested={},
    ),
    TABLE,
)


@pytest.mark.parametrize(
    ("appeared", "matters"),
    [
        (INIT, True),
        (inner(INIT, 12), False),
        (process(21), False),
        (process(30, ns={"mnt": 51}, root=2), True),
        (inner(INIT, 13, root=process(30, root=2).root), True),
        (process(22, envid="101"), True),
        (process(22, envid="0"), False),
    ],
    ids=[
        "the first process of a container, in another state",
        "one more process of a container",
        "one more process of the host",
        "mounts of its own",
        "another root in a container",
        "an OpenVZ container",
        "OpenVZ's host",
    ],
)
def test_which_processes_can_change_the_set_of_containers(appeared: Process, matters: bool) -> None:
    assert KNOWN.can_change_containers(appeared, HOST) is matters


def test_before_the_first_inventory_every_container_is_new() -> None:
    assert KnownProcesses().can_change_containers(INIT, HOST)


def container(key: str, init: ProcessId | None, finished: float | None = None) -> Container:
    return Container(id=key, engine="docker", init=init, finished=finished)


def started(seconds_ago: float, pid: int = 40) -> ProcessId:
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return ProcessId(pid, int((uptime - seconds_ago) * os.sysconf("SC_CLK_TCK")))


def test_the_lag_is_the_age_of_the_oldest_start_that_was_not_known() -> None:
    judged = {
        "/known": container("/known", INIT.id),
        "/a": container("/a", started(3.0)),
        "/b": container("/b", started(7.0, 41)),
    }
    assert event_lag(KNOWN, {}, judged) == pytest.approx(7.0, abs=2.0)


def test_the_lag_is_also_that_of_an_end_that_its_engine_dates() -> None:
    before = {"/c": container("/c", INIT.id)}
    ended = {"/c": container("/c", None, finished=time.time() - 5.0)}
    assert event_lag(KNOWN, before, ended) == pytest.approx(5.0, abs=2.0)
    assert event_lag(KNOWN, before, {"/c": container("/c", None)}) is None


def test_there_is_no_lag_without_a_start_or_an_end() -> None:
    known = {"/c": container("/c", INIT.id), "/worker": container("/worker", WORKER.id)}
    assert event_lag(KNOWN, known, known) is None


def test_a_lag_is_never_negative() -> None:
    assert event_lag(KNOWN, {}, {"/a": container("/a", started(-60.0))}) == 0.0
