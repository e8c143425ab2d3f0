from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest

from agent.inventory.inventory import Inventory
from collectors.facts import State
from tests.support.inventory import DOCKER, ID, NS, only, update
from tests.support.processes import HOST, own_root, process, sighting, table


def test_sightings_of_one_container_become_one() -> None:
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    seen = only(
        update(
            Inventory(),
            init,
            sightings=[
                sighting(engine="containerd", collector="containerd", engine_id=ID, name=""),
                sighting(init, engine="runc", collector="runc", engine_id=ID, name=ID),
                sighting(init, image="nginx:1", engine_id=ID),
            ],
        )
    )
    assert (seen.id, seen.engine, seen.name, seen.image) == (DOCKER, "docker", "web", "nginx:1")
    assert seen.runtime == "runc"
    assert set(seen.seen_by) == {"kernel", "docker", "containerd", "runc"}
    assert seen.cgroups == {"": DOCKER}


def test_running_by_its_engine_and_without_a_process_is_exited() -> None:
    seen = only(update(Inventory(), sightings=[sighting(state=State.RUNNING)]))
    assert seen.state is State.EXITED


def test_health_is_of_the_life_that_runs_and_not_of_the_one_that_ended() -> None:
    """Docker says unhealthy of what has ended, and may be asked before the next life begins."""
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    told = sighting(engine_id=ID, state=State.EXITED, health="unhealthy", cgroup=DOCKER)
    assert only(update(Inventory(), init, sightings=[told])).health is None
    told = sighting(init, engine_id=ID, state=State.RUNNING, health="starting")
    assert only(update(Inventory(), init, sightings=[told])).health == "starting"


def test_who_shares_a_network_namespace_with_whom() -> None:
    pause = process(10, ns=NS, root=1, cgroup="/a")
    app = process(20, ns={**NS, "mnt": 31, "pid": 51}, root=2, cgroup="/b")
    host_net = process(30, ns={"mnt": 32, "pid": 52}, root=3, cgroup="/c")
    seen = update(Inventory(), pause, app, host_net).containers
    assert [seen[k].network for k in ("/a", "/b", "/c")] == ["own", "container:/a", "host"]


def test_whoever_cannot_see_the_processes_does_not_say_that_they_ended() -> None:
    """In a pid namespace of its own an engine's word counts, and what was looked for does not."""
    host = dataclasses.replace(HOST, all_processes=False)
    said = [
        sighting(engine_id="a", name="told", state=State.RUNNING),
        sighting(engine_id="b", name="ended", state=State.EXITED, finished=5.0),
        sighting(engine="runc", engine_id="c", name="hidden", state=State.EXITED),
    ]
    picture = Inventory().update(host, table(), said, own_root, now=2_000_000.0)
    states = {c.name: c.state for c in picture.containers.values()}
    assert states == {"told": State.RUNNING, "ended": State.EXITED, "hidden": State.UNKNOWN}


def test_the_engine_that_knows_more_names_the_container() -> None:
    init = process(10, ns=NS, root=1, cgroup=DOCKER)
    order = ["openvz", "cri-o", "docker", "podman", "nspawn", "unshare", "containerd", "runc"]
    for engine, other in pairwise(order):
        both = [sighting(init, engine=name, collector=name) for name in (other, engine)]
        assert only(update(Inventory(), init, sightings=both)).engine == engine


def test_the_kernels_own_knowledge_of_openvz_needs_no_process() -> None:
    running = sighting(engine="openvz", engine_id="101", state=State.RUNNING)
    assert only(update(Inventory(), sightings=[running])).state is State.RUNNING


def test_the_cgroup_names_the_engine_of_what_no_collector_knows() -> None:
    init = process(10, ns=NS, root=1, cgroup=f"/docker/{ID}")
    assert only(update(Inventory(), init)).engine == "docker"


@pytest.mark.parametrize("state", [State.CREATED, State.EXITED])
def test_what_was_started_after_its_engine_was_asked_is_one_container_that_runs(
    state: State,
) -> None:
    """The engine knew no process yet, the process table has it already."""
    cgroup = f"/docker/{ID}"
    inventory = Inventory()
    late = sighting(engine_id=ID, state=state, cgroup=cgroup)
    assert only(update(inventory, sightings=[late])).state is state
    init = process(10, ns=NS, root=1, cgroup=cgroup, exe="/bin/sleep")
    seen = only(update(inventory, init, sightings=[late]))
    assert (seen.id, seen.name, seen.state) == (cgroup, "web", State.RUNNING)


def test_a_runtimes_record_of_an_ended_container_is_its_engines() -> None:
    """A short id alone says nothing: the cgroup does, and only of a runtime below an engine."""
    ended: dict[str, Any] = {"engine_id": "job", "name": "job", "state": State.EXITED}
    seen = update(
        Inventory(),
        sightings=[
            sighting(engine="containerd", instance="a", cgroup="/lab/job", **ended),
            sighting(engine="runc", instance="b", cgroup="/lab/job", **ended),
            sighting(engine="runc", instance="b", cgroup="/other/job", **ended),
            sighting(engine="lxc", instance="c", cgroup="/lxc.payload.job", **ended),
            sighting(engine="incus", instance="d", cgroup="/lxc.payload.job", **ended),
        ],
    ).containers.values()
    assert sorted(c.engine for c in seen) == ["containerd", "incus", "lxc", "runc"]


@pytest.mark.parametrize(
    ("told", "shown"), [(State.CREATED, State.CREATED), (State.EXITED, State.RUNNING)]
)
def test_what_is_started_again_is_not_created_while_the_runtimes_init_waits(
    told: State, shown: State
) -> None:
    init = process(10, ns=NS, root=1, cgroup=f"/docker/{ID}")
    runtimes = sighting(init, engine="runc", engine_id=ID, state=State.CREATED)
    dockers = sighting(engine="docker", engine_id=ID, state=told, cgroup=f"/docker/{ID}")
    assert only(update(Inventory(), init, sightings=[dockers, runtimes])).state is shown
