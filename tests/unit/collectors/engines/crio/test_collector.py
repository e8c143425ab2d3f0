from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collectors.engines.crio.collector import CrioCollector
from collectors.engines.podman.collector import PodmanCollector
from collectors.facts import Process, ProcessId, Sighting, State
from tests.support.engine_host import FIXTURES, EngineHost, by_name, contained
from tests.support.processes import process

STORE = "/var/lib/containers/storage"
SANDBOX, APP, OLD = (start + "0" * 60 for start in ("8c1e", "9d2f", "7b0a"))
UID = "0f0e0d0c_0b0a_0908_0706_050403020100"
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID}.slice"


def conmon(pid: int, engine_id: str, **more: Any) -> Process:
    bundle = f"/run/containers/storage/overlay-containers/{engine_id}/userdata"
    argv: tuple[str, ...] = ("conmon", "-b", bundle, "-c", engine_id)
    argv += ("--exit-dir", "/var/run/crio/exits")
    argv += ("-r", "/usr/libexec/crio/crun", "--runtime-arg", "--root=/run/crun")
    return process(pid, exe="/usr/libexec/crio/conmon", argv=argv, **more)


RUNNING = (
    conmon(4000, SANDBOX),
    conmon(4001, APP),
    contained(4100, f"{SLICE}/crio-{SANDBOX}.scope", ppid=4000),
    contained(4101, f"{SLICE}/crio-{APP}.scope", ppid=4001),
)


def furnish(host: EngineHost, store: str) -> None:
    folder = FIXTURES / "crio"
    host.copy("crio/containers.json", f"{store}/overlay-containers/containers.json")
    for path in folder.glob("*/*"):
        where = f"{store}/overlay-containers/{path.parent.name}/userdata/{path.name}"
        host.write(where, path.read_bytes())
    host.copy("podman/images.json", f"{store}/overlay-images/images.json")


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    host = EngineHost(tmp_path)
    furnish(host, STORE)
    return host


def seen(host: EngineHost, *processes: Process) -> dict[str, Sighting]:
    return by_name(CrioCollector().collect(host.context(*processes)))


def test_a_pod(host: EngineHost) -> None:
    found = seen(host, *RUNNING)
    # Of the fourth there is no process and was none: its sandbox is only namespaces.
    assert {name: (s.state, s.role) for name, s in found.items()} == {
        "shop/web-0": (State.RUNNING, "infra"),
        "shop/web-0/app": (State.RUNNING, ""),
        "shop/web-0/migrate": (State.EXITED, ""),
    }


def test_a_running_container(host: EngineHost) -> None:
    found = seen(host, *RUNNING)["shop/web-0/app"]
    assert (found.engine, found.instance, found.engine_id) == ("cri-o", STORE, APP)
    assert (found.namespace, found.pod, found.container_name) == ("shop", "web-0", "app")
    assert found.init == ProcessId(4101, 4201)
    assert found.cgroup == f"{SLICE}/crio-{APP}.scope"
    assert found.image == "registry.example/shop/app:1.4"
    assert found.created == pytest.approx(1772359200.123456)
    assert found.started == pytest.approx(1772359201.5)
    assert found.restarts == 2
    assert found.runtime == "crun"
    assert found.command == ("/app", "--serve")
    assert found.network_mode == "ns:/var/run/netns/3f3e"
    assert found.labels["io.kubernetes.container.name"] == "app"
    assert found.image_facts is not None
    assert found.image_facts.reference == found.image


def test_an_ended_container(host: EngineHost) -> None:
    found = seen(host, *RUNNING)["shop/web-0/migrate"]
    assert found.exit_code == 137
    assert found.oom_killed is True
    assert found.finished == pytest.approx(1772359202)
    assert found.init is None
    assert found.cgroup == f"{SLICE}/crio-{OLD}.scope"


def test_a_number_that_was_used_again_is_not_the_container(host: EngineHost) -> None:
    stranger = contained(4101, f"{SLICE}/crio-{APP}.scope", id=ProcessId(4101, 9999))
    found = seen(host, stranger)["shop/web-0/app"]
    assert found.init is None
    assert found.state is State.EXITED


def test_a_state_without_a_start_time_is_checked_by_the_cgroup(host: EngineHost) -> None:
    path = host.at(f"{STORE}/overlay-containers/{APP}/userdata/state.json")
    state = json.loads(path.read_text())
    del state["initStartTime"]
    path.write_text(json.dumps(state))
    assert seen(host, *RUNNING)["shop/web-0/app"].init == ProcessId(4101, 4201)


def test_the_same_store_shows_podman_nothing(host: EngineHost) -> None:
    assert list(PodmanCollector().collect(host.context(*RUNNING))) == []


def nested(host: EngineHost) -> tuple[Process, Process]:
    """Return the conmon and the first process of a CRI-O in a container."""
    furnish(host, f"/inner{STORE}")
    monitor = conmon(
        600,
        APP,
        ns={"mnt": 70, "pid": 71},
        root=70,
        ns_pids=(600, 40),
        cgroups={"name=systemd": "/docker/minikube"},
    )
    cgroup = f"/docker/minikube{SLICE}/crio-{APP}.scope"
    init = contained(601, cgroup, ppid=600, ns_pids=(601, 4101, 1), id=ProcessId(601, 4201))
    host.enter(600, "root", "/inner")
    return monitor, init


def test_a_crio_in_a_container(host: EngineHost) -> None:
    monitor, init = nested(host)
    found = {
        s.name: s
        for s in CrioCollector().collect(host.context(monitor, init))
        if s.instance == f"/docker/minikube:{STORE}"
    }
    assert found["shop/web-0/app"].init == ProcessId(601, 4201)
    assert found["shop/web-0/app"].cgroup == init.cgroups[""]


def test_a_crio_in_a_container_with_a_fuse_mount_is_not_read(host: EngineHost) -> None:
    monitor, init = nested(host)
    host.write("proc:600/mountinfo", "9 8 0:9 / /srv rw - fuse.evil evil rw\n")
    instances = {s.instance for s in CrioCollector().collect(host.context(monitor, init))}
    assert instances == {STORE}


@pytest.mark.parametrize("data", ["", "{}", "[[]]", '[{"metadata": 7}]', "[" * 9999])
def test_a_broken_list_is_no_container(host: EngineHost, data: str) -> None:
    host.write(f"{STORE}/overlay-containers/containers.json", data)
    assert seen(host, *RUNNING) == {}


def test_a_broken_container_costs_itself_only(host: EngineHost) -> None:
    host.write(f"{STORE}/overlay-containers/{APP}/userdata/config.json", "broken")
    context = host.context(*RUNNING)
    found = by_name(CrioCollector().collect(context))
    assert found["shop/web-0"].state is State.RUNNING
    assert found["shop/web-0/app"].command == ()
    assert context.host.tally.malformed.total() == 1


def test_whether_the_hosts_own_daemons_run(host: EngineHost) -> None:
    def told(*processes: Process) -> dict[tuple[str, str], bool]:
        ctx = host.context(*processes)
        CrioCollector().collect(ctx)
        return ctx.daemons

    engine = process(30, exe="/usr/bin/crio", argv=("crio",))
    assert told(engine, *RUNNING) == {("cri-o", STORE): True}
    assert told(*RUNNING, process(31, exe="/usr/bin/crio", uid=1000)) == {("cri-o", STORE): False}
