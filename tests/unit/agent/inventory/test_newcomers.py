"""New containers are withheld exactly while an engine may still name them."""

from __future__ import annotations

import dataclasses
import os

import pytest

from agent.inventory.inventory import Inventory
from agent.inventory.newcomers import Asked
from collectors.facts import FileId, Namespaces, Process, ProcessId, Sighting, State
from tests.support.inventory import DOCKER, ID, NS, only, update
from tests.support.processes import process, sighting, table

START = 1_000_000
"""When the new container's first process started, in ticks since the host did."""

INIT = process(10, ns=NS, root=1, cgroup=DOCKER, id=ProcessId(10, START))
BARE = dataclasses.replace(INIT, cgroups={"": "/jobs/one"})
"""The same where no engine makes cgroups."""
PREPARED = dataclasses.replace(INIT, comm="runc:[2:INIT]")
SHIM = process(9, exe="/usr/bin/containerd-shim-runc-v2")
SHELL = process(9, exe="/bin/bash")


def asked(*before: Process, age: float = 0.2) -> Asked:
    """Return that the engines were asked at an age of the container, of these processes."""
    return Asked(processes=table(*before), uptime=START / os.sysconf("SC_CLK_TCK") + age)


def of_runtime(init: Process, *, below_engine: bool = True) -> Sighting:
    """Return the record of a runtime."""
    return dataclasses.replace(
        sighting(init, engine="runc", engine_id=ID), below_engine=below_engine
    )


def test_one_that_ran_before_the_engines_were_asked_is_shown_at_once() -> None:
    found = update(Inventory(), BARE, asked=asked(BARE))
    assert only(found).engine == "none"
    assert (found.settles_in, found.withheld) == (None, frozenset())


@pytest.mark.parametrize(
    "before",
    [
        (),
        (dataclasses.replace(INIT, id=ProcessId(10, START - 1)),),
        (dataclasses.replace(INIT, root=FileId(1, 2)),),
        (dataclasses.replace(INIT, namespaces=Namespaces(mnt=3)),),
        (PREPARED,),
    ],
    ids=["not there", "another process", "another root", "other mounts", "prepared still"],
)
def test_one_that_did_not_run_yet_then_is_withheld(before: tuple[Process, ...]) -> None:
    inventory = Inventory()
    withheld = update(inventory, INIT, asked=asked(*before, age=100))
    assert (withheld.containers, withheld.groups) == ({}, {})
    assert withheld.withheld == {10}
    assert withheld.settles_in == pytest.approx(0.05)
    named = update(inventory, INIT, sightings=[sighting(INIT)], asked=asked(*before))
    assert only(named).name == "web"


def test_one_that_was_known_before_is_not_withheld() -> None:
    inventory = Inventory()
    update(inventory, INIT, sightings=[sighting(INIT)])
    assert only(update(inventory, INIT, asked=asked())).name == "web"


def test_one_that_ends_before_any_engine_names_it_leaves_nothing() -> None:
    inventory = Inventory()
    update(inventory, INIT, asked=asked())
    assert update(inventory, asked=asked(INIT)).containers == {}


def test_what_its_runtime_prepares_is_withheld_for_some_seconds() -> None:
    assert update(Inventory(), PREPARED, asked=asked(PREPARED, age=3)).containers == {}
    assert update(Inventory(), PREPARED, asked=asked(PREPARED, age=11)).containers


def test_what_is_prepared_for_an_engine_is_withheld_for_as_long_as_a_busy_host_may_need() -> None:
    for age, shown in ((11, 0), (31, 1)):
        record = of_runtime(PREPARED)
        later = asked(PREPARED, age=age)
        found = update(Inventory(), PREPARED, sightings=[record], asked=later)
        assert len(found.containers) == shown


def test_a_process_much_younger_than_the_uptime_is_of_another_clock() -> None:
    assert only(update(Inventory(), PREPARED, asked=asked(PREPARED, age=-500))).id == DOCKER


def test_what_is_in_an_engines_cgroup_is_withheld_until_it_must_have_been_named() -> None:
    """As one that is removed at once: the process that kept it has ended before it."""
    assert update(Inventory(), INIT, asked=asked(INIT, age=2)).containers == {}
    assert only(update(Inventory(), INIT, asked=asked(INIT, age=4))).engine == "docker"


def test_what_an_engine_keeps_is_withheld_until_it_must_have_been_named() -> None:
    """As a container of a Docker in a container, which is asked in the background."""
    kept = dataclasses.replace(BARE, ppid=9)
    assert update(Inventory(), SHIM, kept, asked=asked(SHIM, kept, age=2)).containers == {}
    assert update(Inventory(), SHIM, kept, asked=asked(SHIM, kept, age=4)).containers
    assert update(Inventory(), SHELL, kept, asked=asked(SHELL, kept, age=0)).containers


@pytest.mark.parametrize("state", [State.CREATED, State.RUNNING])
def test_what_ended_before_its_engine_knew_it_is_not_shown_by_its_runtimes_record(
    state: State,
) -> None:
    record = dataclasses.replace(of_runtime(INIT), state=state)
    assert update(Inventory(), sightings=[record], asked=asked(INIT)).containers == {}
    alone = of_runtime(INIT, below_engine=False)
    assert only(update(Inventory(), sightings=[alone], asked=asked(INIT))).state is State.EXITED


def test_the_record_of_a_runtime_below_an_engine_names_nothing_for_a_while() -> None:
    record = of_runtime(INIT)
    assert update(Inventory(), INIT, sightings=[record], asked=asked(INIT)).containers == {}
    late = only(update(Inventory(), INIT, sightings=[record], asked=asked(INIT, age=4)))
    assert late.engine == "runc"
    above = [sighting(INIT), record]
    assert only(update(Inventory(), INIT, sightings=above, asked=asked(INIT))).engine == "docker"
    alone = of_runtime(INIT, below_engine=False)
    assert only(update(Inventory(), INIT, sightings=[alone], asked=asked(INIT))).engine == "runc"


def test_what_is_nested_in_one_that_is_withheld_has_no_parent_yet() -> None:
    outer = dataclasses.replace(INIT, cgroups={"": "/outer"})
    nested = process(20, 10, ns={"mnt": 31, "pid": 51}, root=2, cgroup="/outer/x")
    seen = sighting(nested, engine="runc", engine_id="x", cgroup="/outer/x")
    container = only(update(Inventory(), outer, nested, sightings=[seen], asked=asked()))
    assert (container.name, container.parent_id) == ("web", "")
