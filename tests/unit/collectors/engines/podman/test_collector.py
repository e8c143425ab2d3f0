from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from collectors.engines.podman.collector import PodmanCollector
from collectors.engines.podman.config import configured
from collectors.facts import Process, ProcessId, Publish, Sighting, State
from collectors.formats.documents import JsonObject
from tests.support.engine_host import EngineHost, by_name, contained, fixture
from tests.support.processes import process

STORE = "/var/lib/containers/storage"
RUN = "/run/containers/storage"
A_RUN = "bc897bd39f5baaf9200c8e74a8a3530fb51eb92db34f702daca0f4147257a6eb"
A_EXIT = "5614a5e412e4a311641a768baa06d2779aa70d5908fd23cf3e257937b6a737b7"
A_HEALTH = "6b0ab65698525524b1eba987e876eb32089758e859fdf8b543b6ba2796458ba3"
INFRA = "fdfe4fc48a037bd1a5b7e28e43d2577d2cf6ee7da987926d870a4e9f0874f2cc"
POD = "f618d6dc81ee7d3236831b44d0b22a978e63fe594ed5e3774b80a8d0ee9b2bd5"
A_INPOD = "dd89db117108ac33cb4f546a7954fc0109ce168ae087160cd932386a6d4c19ac"
IMAGE = "539d0ca7eb66c01f69d179896b8dc79586d142abf6871a5d313ea2dd2727c0b7"

RUNNING = (
    contained(12055, f"/libpod_parent/libpod-{A_RUN}"),
    contained(14887, f"/libpod_parent/{POD}/libpod-{INFRA}"),
    contained(14909, f"/libpod_parent/{POD}/libpod-{A_INPOD}"),
    contained(846, f"/libpod_parent/libpod-{A_HEALTH}"),
)


def furnish(host: EngineHost, store: str) -> None:
    """Put a real store of podman 4.3 somewhere."""
    host.copy("podman/bolt_state.db.gz", f"{store}/libpod/bolt_state.db")
    host.copy("podman/images.json", f"{store}/overlay-images/images.json")
    host.copy("podman/layers.json", f"{store}/overlay-layers/layers.json")
    config = "=c2hhMjU2OjUzOWQwY2E3ZWI2NmMwMWY2OWQxNzk4OTZiOGRjNzk1ODZkMTQyYWJmNjg3MWE1ZDMxM2VhMmRk"
    config += "MjcyN2MwYjc="
    host.copy("podman/image-config.json", f"{store}/overlay-images/{IMAGE}/{config}")
    host.copy("podman/containers.json", f"{store}/overlay-containers/containers.json")
    host.copy("podman/config.json", f"{store}/overlay-containers/{A_RUN}/userdata/config.json")


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    host = EngineHost(tmp_path)
    furnish(host, STORE)
    return host


def seen(host: EngineHost, *processes: Any, **more: Any) -> dict[str, Sighting]:
    return by_name(PodmanCollector().collect(host.context(*processes, **more)))


def test_every_container_of_a_real_store(host: EngineHost) -> None:
    found = seen(host, *RUNNING)
    assert {name: sighting.state for name, sighting in found.items()} == {
        "a-run": State.RUNNING,
        "a-exit": State.EXITED,
        "a-created": State.CREATED,
        "f618d6dc81ee-infra": State.RUNNING,
        "a-inpod": State.RUNNING,
        "a-health": State.RUNNING,
    }
    assert {sighting.instance for sighting in found.values()} == {STORE}


def test_a_running_container(host: EngineHost) -> None:
    found = seen(host, *RUNNING)["a-run"]
    assert found.engine_id == A_RUN
    assert found.init == RUNNING[0].id
    assert found.cgroup == f"/libpod_parent/libpod-{A_RUN}"
    assert found.image == "localhost/busybox:lab"
    assert found.labels == {"com.example.team": "x"}
    assert found.hostname == "a-host"
    assert found.created == pytest.approx(1795458212.479415)
    assert found.started == pytest.approx(1795458212.62119)
    assert found.finished is None
    assert found.exit_code is None
    assert found.network_mode == "host"
    assert found.command == ("sleep", "100000")
    assert found.runtime == "runc"
    assert found.privileged is False
    assert found.restarts == 0
    assert found.rootfs.startswith(f"{STORE}/overlay/")


def test_an_ended_container(host: EngineHost) -> None:
    found = seen(host)["a-exit"]
    assert found.exit_code == 7
    assert found.init is None
    assert found.finished == pytest.approx(1795458212.789694)
    assert found.cgroup == f"/libpod_parent/libpod-{A_EXIT}"
    assert found.network_mode == "none"


def test_a_pod(host: EngineHost) -> None:
    found = seen(host, *RUNNING)
    infra, member = found["f618d6dc81ee-infra"], found["a-inpod"]
    assert (infra.role, infra.pod) == ("infra", "a-pod")
    assert (member.role, member.pod) == ("", "a-pod")
    assert member.network_mode == f"container:{INFRA}"
    assert member.restart_policy == "on-failure"
    assert member.cgroup == f"/libpod_parent/{POD}/libpod-{A_INPOD}"
    assert member.hostname == infra.hostname == "a-pod"


def test_the_image(host: EngineHost) -> None:
    facts = seen(host)["a-run"].image_facts
    assert facts is not None
    assert facts.reference == "localhost/busybox:lab"
    assert facts.id == IMAGE
    assert facts.created == pytest.approx(1795458212.285694)
    assert facts.size_bytes == 1996800
    assert facts.digests == ()  # never pulled nor pushed


def test_health(host: EngineHost) -> None:
    host.copy("podman/healthcheck.log", f"{RUN}/overlay-containers/{A_HEALTH}/healthcheck.log")
    found = seen(host, *RUNNING)
    assert found["a-health"].health == "healthy"
    assert found["a-run"].health is None


def test_what_the_database_says_runs_but_does_not(host: EngineHost) -> None:
    host.write(f"/run/libpod/exits/{A_RUN}", "137")
    found = seen(host)["a-run"]
    assert found.state is State.EXITED
    assert found.init is None
    assert found.exit_code == 137


def test_a_number_that_was_used_again_is_not_the_container(host: EngineHost) -> None:
    stranger = contained(12055, "/elsewhere", id=ProcessId(12055, 200_000_000_000))
    assert seen(host, stranger)["a-run"].init is None


def test_a_conmon_proves_a_container_without_a_cgroup(host: EngineHost) -> None:
    conmon = process(12045, exe="/usr/bin/conmon", argv=("conmon", "-c", A_RUN))
    init = contained(12055, "/", ppid=12045, id=ProcessId(12055, 200_000_000_000))
    found = seen(host, conmon, init)["a-run"]
    assert found.init == init.id
    assert found.cgroup is None


def user_of(host: EngineHost) -> tuple[int, str]:
    """Return a user a podman of his own."""
    uid = os.getuid() or 4201
    store = "/home/u/.local/share/containers/storage"
    host.write("/etc/passwd", f"root:x:0:0::/root:/bin/sh\nu:x:{uid}:{uid}::/home/u:/bin/sh\n")
    furnish(host, store)
    host.at(f"/run/user/{uid}").mkdir(parents=True)
    os.chown(host.at(store), uid, uid)
    return uid, store


def test_a_users_store_is_found_by_his_runtime_directory(host: EngineHost) -> None:
    _, store = user_of(host)
    inits = [dataclasses.replace(p, uid=0) for p in RUNNING]
    for init in inits:
        object.__setattr__(init, "namespaces", dataclasses.replace(init.namespaces, user=4242))
    found = [s for s in PodmanCollector().collect(host.context(*inits)) if s.instance == store]
    assert len(found) == 6
    assert {s.name for s in found if s.init is not None} >= {"a-run", "a-inpod"}


def test_a_user_cannot_claim_roots_processes(host: EngineHost) -> None:
    _, store = user_of(host)
    found = PodmanCollector().collect(host.context(*RUNNING))
    assert [s.init for s in found if s.instance == store] == [None] * 6


def test_a_users_store_that_is_anothers_is_not_read(host: EngineHost) -> None:
    uid, store = user_of(host)
    host.write("/etc/passwd", f"u:x:{uid + 1}:1::/home/u:/bin/sh\n")
    host.at(f"/run/user/{uid + 1}").mkdir()
    found = PodmanCollector().collect(host.context(*RUNNING))
    assert all(s.instance != store for s in found)


def test_a_store_is_found_by_a_monitors_command_line(host: EngineHost) -> None:
    furnish(host, "/srv/own")
    argv = ["conmon", "-c", A_RUN, "--exit-command", "/usr/bin/podman"]
    for argument in ("--root", "/srv/own", "--runroot", "/srv/run", "--tmpdir", "/srv/tmp"):
        argv += ["--exit-command-arg", argument]
    conmon = process(12045, exe="/usr/bin/conmon", argv=tuple(argv))
    collector = PodmanCollector()

    def instances(*processes: Process) -> set[str]:
        return {s.instance for s in collector.collect(host.context(*processes))}

    assert instances(conmon) == {STORE, "/srv/own"}
    assert instances() == {STORE, "/srv/own"}, "what has ended in it is there still"
    host.at("/srv/own").rename(host.at("/srv/moved"))
    assert instances() == {STORE}
    host.at("/srv/moved").rename(host.at("/srv/own"))
    assert instances() == {STORE}, "it was forgotten"


def nested(host: EngineHost) -> tuple[Process, Process]:
    """Return the conmon and the first process of a podman in a container."""
    furnish(host, f"/inner{STORE}")
    argv = ["conmon", "-c", A_RUN, "--exit-command", "/usr/bin/podman"]
    for argument in ("--root", STORE, "--runroot", RUN):
        argv += ["--exit-command-arg", argument]
    inside: dict[str, Any] = {"ns": {"mnt": 70, "pid": 71}, "root": 70}
    conmon = process(
        500,
        exe="/usr/bin/conmon",
        argv=tuple(argv),
        ns_pids=(500, 12045),
        **inside,
        cgroups={"name=systemd": "/lxc/box"},
    )
    cgroup = f"/lxc/box/libpod_parent/libpod-{A_RUN}"
    host.enter(500, "root", "/inner")
    return conmon, contained(501, cgroup, ppid=500, ns_pids=(501, 12055, 1))


def test_a_podman_in_a_container(host: EngineHost) -> None:
    conmon, init = nested(host)
    found = {
        s.name: s
        for s in PodmanCollector().collect(host.context(conmon, init))
        if s.instance == f"/lxc/box:{STORE}"
    }
    assert len(found) == 6
    assert found["a-run"].init == init.id
    assert found["a-run"].cgroup == init.cgroups[""]
    assert found["a-inpod"].init is None


def test_a_podman_in_a_container_with_a_fuse_mount_is_not_read(host: EngineHost) -> None:
    conmon, init = nested(host)
    host.write("proc:500/mountinfo", "9 8 0:9 / /srv rw - fuse.evil evil rw\n")
    instances = {s.instance for s in PodmanCollector().collect(host.context(conmon, init))}
    assert instances == {STORE}


def test_without_a_database_the_storage_tells(host: EngineHost) -> None:
    host.at(f"{STORE}/libpod/bolt_state.db").unlink()
    host.write(f"{RUN}/overlay-containers/{A_RUN}/userdata/pidfile", "12055")
    found = seen(host, *RUNNING)
    assert set(found) >= {"a-run", "a-exit", "a-created", "a-inpod"}
    assert found["a-run"].init == RUNNING[0].id
    assert found["a-run"].image == "localhost/busybox:lab"
    assert found["a-run"].command == ("sleep", "100000")
    assert found["a-created"].state is State.CREATED


def test_others_containers_in_the_same_store_are_left_out(host: EngineHost) -> None:
    host.at(f"{STORE}/libpod/bolt_state.db").unlink()
    entries = [
        {"id": "c", "names": ["crio"], "metadata": '{"pod-id": "p"}'},
        {"id": "b", "names": ["built"], "big-data-names": ["buildah.json"]},
        {"id": "", "names": ["nobody"]},
        "none",
    ]
    host.write(f"{STORE}/overlay-containers/containers.json", entries)
    assert seen(host) == {}


def test_a_broken_database_is_counted_and_the_storage_tells(host: EngineHost) -> None:
    host.write(f"{STORE}/libpod/bolt_state.db", b"\x00" * 9000)
    context = host.context(*RUNNING)
    assert "a-run" in by_name(PodmanCollector().collect(context))
    assert context.host.tally.malformed.total() == 1


def test_the_database_is_parsed_again_only_when_it_changed(host: EngineHost) -> None:
    collector = PodmanCollector()
    first = by_name(collector.collect(host.context(*RUNNING)))
    path = host.at(f"{STORE}/libpod/bolt_state.db")
    status = path.stat()
    path.write_bytes(fixture("podman/bolt_state.db.gz"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert by_name(collector.collect(host.context(*RUNNING))) == first
    assert by_name(collector.collect(host.context()))["a-run"].state is State.EXITED


def test_storage_conf_moves_the_store(host: EngineHost) -> None:
    furnish(host, "/srv/moved")
    host.write("/etc/containers/storage.conf", '[storage]\ngraphroot = "/srv/moved"\n')
    assert {s.instance for s in PodmanCollector().collect(host.context())} == {"/srv/moved"}


def test_published_ports_old_and_new() -> None:
    new = {"host_ip": "127.0.0.1", "host_port": 8080, "container_port": 80, "range": 2}
    old = {"hostIP": "", "hostPort": 53, "containerPort": 53, "protocol": "udp"}
    found = configured(
        JsonObject({"id": "x", "newPortMappings": [new], "portMappings": [old, {"hostPort": 1}]})
    )
    assert found is not None
    assert found.sighting.publishes == (
        Publish("127.0.0.1", 8080, 80, "tcp"),
        Publish("127.0.0.1", 8081, 81, "tcp"),
        Publish("", 53, 53, "udp"),
    )


def test_the_cgroup_of_a_systemd_podman() -> None:
    document = {"id": "x", "cgroupManager": "systemd", "cgroupParent": "machine.slice"}
    found = configured(JsonObject(document))
    assert found is not None
    assert found.cgroup == "/machine.slice/libpod-x.scope"
    pod = "machine.slice/machine-libpod_pod_7.slice"
    found = configured(JsonObject({**document, "cgroupParent": pod}))
    assert found is not None
    assert found.cgroup == f"/{pod}/libpod-x.scope"
    found = configured(JsonObject({**document, "cgroupsMode": "disabled"}))
    assert found is not None
    assert found.cgroup is None
