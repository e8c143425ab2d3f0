from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from collectors.engines.runc.collector import OciCollector
from collectors.facts import Process, ProcessId, Sighting, State
from tests.support.engine_host import EngineHost, by_name, contained, fixture
from tests.support.processes import process

RUNC_INIT = ProcessId(20691, 172017)
CRUN_INIT = ProcessId(20741, 172036)
BUNDLE = "/srv/bundle"


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    host = EngineHost(tmp_path)
    host.copy("runtimes/runc-state.json", "/run/runc/a-runc/state.json")
    host.copy("runtimes/config.json", f"{BUNDLE}/config.json")
    return host


def runc_init(**more: Any) -> Process:
    return contained(20691, "/a-runc", **{"id": RUNC_INIT, **more})


def only(host: EngineHost, *processes: Process) -> Sighting:
    found = by_name(OciCollector().collect(host.context(*processes)))
    assert len(found) == 1
    return next(iter(found.values()))


def test_a_container_that_runc_runs(host: EngineHost) -> None:
    found = only(host, runc_init())
    assert found.engine == found.runtime == "runc"
    assert found.instance == "/run/runc"
    assert found.engine_id == found.name == "a-runc"
    assert found.state is State.RUNNING
    assert found.init == RUNC_INIT
    assert found.cgroup == "/a-runc"
    assert found.created == pytest.approx(1795458472.015294)
    assert found.command == ("sleep", "100000")
    assert found.hostname == "runc"
    assert found.rootfs == "/srv/bundle/rootfs"
    assert found.labels == {"org.example.team": "a"}
    assert found.network_mode == ""


def test_a_number_that_is_somebody_elses_by_now_is_not_used(host: EngineHost) -> None:
    found = only(host, runc_init(id=ProcessId(20691, 999_999)))
    assert found.state is State.EXITED
    assert found.init is None
    assert found.cgroup == "/a-runc"


def test_a_container_that_waits_to_be_started(host: EngineHost) -> None:
    host.write("/run/runc/a-runc/exec.fifo", "")
    found = only(host, runc_init())
    assert found.state is State.CREATED
    assert found.init == RUNC_INIT


def test_a_paused_container(host: EngineHost) -> None:
    host.write("sys:fs/cgroup/freezer/a-runc/freezer.state", "FROZEN\n")
    assert only(host, runc_init()).state is State.PAUSED


def test_crun(host: EngineHost) -> None:
    host.copy("runtimes/crun-status.json", "/run/crun/a-crun/status")
    init = contained(20741, "/a-crun", id=CRUN_INIT)
    found = by_name(OciCollector().collect(host.context(init)))["a-crun"]
    assert (found.engine, found.state, found.init) == ("crun", State.RUNNING, CRUN_INIT)
    assert found.cgroup == "/a-crun"
    assert found.rootfs == "/srv/bundle/rootfs"
    assert found.command == ("sleep", "100000")


def test_youki(host: EngineHost) -> None:
    # crates/libcontainer/src/container/state.rs
    state = {
        "ociVersion": "v1.0.2",
        "id": "y",
        "status": "running",
        "pid": 77,
        "bundle": BUNDLE,
        "created": "2026-11-23T18:27:52.015294Z",
    }
    host.write("/run/youki/y/state.json", state)
    found = by_name(OciCollector().collect(host.context(contained(77, "/y"))))["y"]
    assert (found.engine, found.state) == ("youki", State.RUNNING)
    assert found.init == contained(77, "/y").id


def test_a_step_of_a_build(host: EngineHost) -> None:
    state = json.loads(fixture("runtimes/runc-state.json"))
    state["config"]["labels"] = ["bundle=/var/lib/docker/buildkit/executor/x7"]
    host.write("/run/runc/x7/state.json", state)
    found = by_name(OciCollector().collect(host.context(runc_init())))["x7"]
    assert (found.engine, found.runtime) == ("buildkit", "runc")


def test_a_users_runtime(host: EngineHost) -> None:
    uid = os.getuid() or 4201
    where = host.copy("runtimes/runc-state.json", f"/run/user/{uid}/runc/mine/state.json")
    if os.getuid() != uid:
        os.chown(where.parent.parent, uid, uid)
    own = contained(20691, "/", id=RUNC_INIT, uid=uid)
    found = by_name(OciCollector().collect(host.context(own)))["mine"]
    assert found.init == RUNC_INIT
    assert found.instance == f"/run/user/{uid}/runc"


def test_a_user_cannot_claim_a_process_that_is_not_his(host: EngineHost) -> None:
    uid = os.getuid() or 4201
    where = host.copy("runtimes/runc-state.json", f"/run/user/{uid}/runc/mine/state.json")
    if os.getuid() != uid:
        os.chown(where.parent.parent, uid, uid)
    roots = process(20691, id=RUNC_INIT, uid=uid + 1)
    assert by_name(OciCollector().collect(host.context(roots)))["mine"].init is None


def test_a_users_directory_that_is_anothers_is_not_read(host: EngineHost) -> None:
    host.copy("runtimes/runc-state.json", f"/run/user/{os.getuid() + 1}/runc/x/state.json")
    assert set(by_name(OciCollector().collect(host.context()))) == {"a-runc"}


def test_the_root_that_a_shims_options_name(host: EngineHost) -> None:
    state = json.loads(fixture("runtimes/runc-state.json"))
    host.write("/srv/exec/runtime-runc/moby/deep/state.json", state)
    host.write("/srv/task/options.json", {"binary_name": "runc", "root": "/srv/exec/runtime-runc"})
    host.enter(30, "cwd", "/srv/task")
    shim = process(30, exe="/usr/bin/containerd-shim-runc-v2", argv=("containerd-shim-runc-v2",))
    found = by_name(OciCollector().collect(host.context(shim, runc_init())))
    assert found["deep"].instance == "/srv/exec/runtime-runc/moby"


def test_the_root_on_a_command_line(host: EngineHost) -> None:
    for root in ("by-runc", "by-conmon"):
        host.copy("runtimes/runc-state.json", f"/srv/{root}/{root}/state.json")
    runc = process(30, exe="/usr/sbin/runc", argv=("runc", "--root=/srv/by-runc", "run", "x"))
    conmon = process(
        31, exe="/usr/bin/conmon", argv=("conmon", "--runtime-arg", "--root=/srv/by-conmon")
    )
    found = by_name(OciCollector().collect(host.context(runc, conmon)))
    assert {"by-runc", "by-conmon"} <= set(found)


def test_what_has_ended_in_an_engines_bundle_is_left_to_the_engine(host: EngineHost) -> None:
    host.copy("runtimes/runc-state-of-podman.json", "/run/runc/its-id/state.json")
    assert set(by_name(OciCollector().collect(host.context()))) == {"a-runc"}
    init = contained(12055, "/libpod_parent/x", id=ProcessId(12055, 146074))
    found = by_name(OciCollector().collect(host.context(init)))
    assert found["its-id"].network_mode == "host"


def test_a_light_pass_reads_only_what_is_new(host: EngineHost) -> None:
    collector = OciCollector()
    collector.collect(host.context(runc_init()))
    host.at("/run/runc/a-runc/state.json").write_text("broken")
    light = host.context(runc_init(), full=False)
    assert by_name(collector.collect(light))["a-runc"].init == RUNC_INIT
    assert light.host.tally.malformed.total() == 0
    full = host.context(runc_init())
    assert list(collector.collect(full)) == []
    assert full.host.tally.malformed.total() == 1


def test_a_light_pass_sees_that_a_container_ended(host: EngineHost) -> None:
    collector = OciCollector()
    collector.collect(host.context(runc_init()))
    (found,) = collector.collect(host.context(full=False))
    assert found.state is State.EXITED


def test_a_light_pass_sees_that_a_container_is_paused_and_goes_on(host: EngineHost) -> None:
    collector = OciCollector()
    collector.collect(host.context(runc_init()))

    host.write("sys:fs/cgroup/freezer/a-runc/freezer.state", "FROZEN\n")
    (paused,) = collector.collect(host.context(runc_init(), full=False))
    host.write("sys:fs/cgroup/freezer/a-runc/freezer.state", "THAWED\n")
    (running,) = collector.collect(host.context(runc_init(), full=False))

    assert (paused.state, running.state) == (State.PAUSED, State.RUNNING)


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"init_process_pid": "x"}', "[" * 100_000])
def test_a_broken_state_costs_its_own_container_only(host: EngineHost, data: str) -> None:
    host.write("/run/runc/broken/state.json", data)
    context = host.context(runc_init())
    found = by_name(OciCollector().collect(context))
    assert found["a-runc"].state is State.RUNNING
    assert "broken" not in found or found["broken"].init is None


def test_a_fifo_in_place_of_a_state_is_not_waited_for(host: EngineHost) -> None:
    directory = host.at("/run/runc/trap")
    directory.mkdir()
    os.mkfifo(directory / "state.json")
    context = host.context(runc_init())
    assert set(by_name(OciCollector().collect(context))) == {"a-runc"}
    assert context.host.tally.malformed.total() == 1


def test_a_bundle_may_be_gone_or_changed(host: EngineHost) -> None:
    host.write(f"{BUNDLE}/config.json", "not JSON")
    found = only(host, runc_init())
    assert found.state is State.RUNNING
    assert found.command == ()


def test_a_host_without_runtimes_has_none(tmp_path: Path) -> None:
    context = EngineHost(tmp_path).context()
    assert list(OciCollector().collect(context)) == []
    assert context.host.tally.denied.total() == context.host.tally.malformed.total() == 0


def test_a_root_that_a_process_named_is_remembered(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    host.copy("runtimes/runc-state.json", "/else/where/odd/state.json")
    starting = process(5, exe="/usr/bin/runc", argv=("runc", "--root", "/else/where", "run", "odd"))
    collector = OciCollector()
    collector.collect(host.context(starting, runc_init(ppid=5)))
    found = by_name(collector.collect(host.context(runc_init(ppid=7), process(7))))["odd"]
    assert found.init == RUNC_INIT
