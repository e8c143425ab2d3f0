from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.containerd.collector import ContainerdCollector
from collectors.engines.containerd.discovery import Installation, find_installations
from collectors.engines.containerd.metadata import parse_go_time, runtime_name
from collectors.engines.containerd.reader import InstallationReader
from collectors.facts import Process, ProcessId, Sighting, State
from collectors.hostfs import Dir
from tests.support.as_root import AS_ROOT
from tests.support.engine_host import FIXTURES, EngineHost, by_name, contained, patient
from tests.support.processes import process

STATE, ROOT = "/run/containerd", "/var/lib/containerd"
TASKS = "io.containerd.runtime.v2.task"
CRI = "io.containerd.grpc.v1.cri"
SANDBOX, APP = "1" * 64, "2" * 64
NERDCTL = "5ad0c2f4d5a4e1c0b9f1d8e7c6b5a49382716051423324150697887766554433"
PODS = "/kubepods/burstable/pod7"


def shim(pid: int, engine_id: str, namespace: str = "default") -> Process:
    argv = ("containerd-shim-runc-v2", "-namespace", namespace, "-id", engine_id)
    return process(pid, exe="/usr/bin/containerd-shim-runc-v2", argv=argv)


# One shim serves a whole pod.
RUNNING = (
    shim(3300, "ctr-running"),
    shim(3301, NERDCTL),
    shim(3302, SANDBOX, "k8s.io"),
    contained(3318, "/custom/one", ppid=3300),
    contained(3383, f"/default/{NERDCTL}", ppid=3301),
    contained(3487, f"{PODS}/{SANDBOX}", ppid=3302),
    contained(3524, f"{PODS}/{APP}", ppid=3302),
)


def furnish(host: EngineHost, state: str, root: str) -> None:
    """Put what containerd 1.6 had of real containers somewhere."""
    host.copy("containerd/meta.db.gz", f"{root}/io.containerd.metadata.v1.bolt/meta.db")
    bundles = FIXTURES / "containerd" / "bundles"
    for path in bundles.glob("*/*/*"):
        host.write(f"{state}/{TASKS}/{path.relative_to(bundles)}", path.read_bytes())
    for path in (FIXTURES / "containerd" / "blobs").iterdir():
        blobs = f"{root}/io.containerd.content.v1.content/blobs/sha256"
        host.write(f"{blobs}/{path.name}", path.read_bytes())
    os.utime(host.at(f"{state}/{TASKS}/default"), (0, 0))


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    host = EngineHost(tmp_path)
    furnish(host, STATE, ROOT)
    return host


def seen(host: EngineHost, *processes: Process, **more: Any) -> dict[str, Sighting]:
    return by_name(ContainerdCollector().collect(host.context(*processes, **more)))


def test_everything_that_containerd_knows(host: EngineHost) -> None:
    found = seen(host, *RUNNING)
    assert {name: (s.state, s.instance) for name, s in found.items()} == {
        "ctr-running": (State.RUNNING, f"{STATE}/default"),
        "web": (State.RUNNING, f"{STATE}/default"),
        "ctr-ended": (State.EXITED, f"{STATE}/default"),
        "ctr-created": (State.CREATED, f"{STATE}/default"),
        "shop/web-0": (State.RUNNING, f"{STATE}/k8s.io"),
        "shop/web-0/app": (State.RUNNING, f"{STATE}/k8s.io"),
    }


@pytest.mark.parametrize("place", [f"{STATE}/{TASKS}/default", f"{ROOT}/{TASKS}/default"])
def test_one_without_a_task_may_have_had_one_that_came_and_went_since(
    host: EngineHost, place: str
) -> None:
    created = seen(host, *RUNNING)["ctr-created"]
    assert created.created is not None
    assert created.state is State.CREATED
    host.at(place).mkdir(parents=True, exist_ok=True)
    os.utime(host.at(place), (0, created.created + 1))
    assert seen(host, *RUNNING)["ctr-created"].state is State.UNKNOWN


def test_a_container_of_ctr(host: EngineHost) -> None:
    found = seen(host, *RUNNING)["ctr-running"]
    assert found.engine_id == "ctr-running"
    assert found.init == RUNNING[3].id
    assert found.cgroup == "/custom/one"
    assert found.labels == {"team": "x"}
    assert found.runtime == "runc"
    assert found.command == ("sleep", "100000")
    assert found.created == pytest.approx(1795461703.319665)
    assert found.image == ""
    assert found.image_facts is None


def test_a_container_of_nerdctl_with_its_image(host: EngineHost) -> None:
    found = seen(host, *RUNNING)["web"]
    assert found.engine_id == NERDCTL
    assert found.image == "docker.io/library/busybox:lab"
    facts = found.image_facts
    assert facts is not None
    assert facts.reference == "docker.io/library/busybox:lab"
    assert facts.size_bytes == 1996800
    assert facts.created is not None
    assert facts.digests == ()  # it was imported from a file


def test_a_pod(host: EngineHost) -> None:
    found = seen(host, *RUNNING)
    sandbox, app = found["shop/web-0"], found["shop/web-0/app"]
    assert (sandbox.role, sandbox.container_name) == ("infra", "")
    assert (app.role, app.container_name) == ("", "app")
    assert (app.namespace, app.pod) == ("shop", "web-0")
    assert app.image == "docker.io/library/busybox:lab"
    assert app.init == RUNNING[6].id
    assert app.cgroup == f"{PODS}/{APP}"
    assert app.hostname == sandbox.hostname == "web-0"


def test_the_number_in_a_stale_file_is_not_used(host: EngineHost) -> None:
    stranger = contained(3318, "/elsewhere", id=ProcessId(3318, 10**12))
    found = seen(host, stranger)["ctr-running"]
    assert found.state is State.EXITED
    assert found.init is None
    assert found.cgroup == "/custom/one"


def test_a_paused_container(host: EngineHost) -> None:
    host.write("sys:fs/cgroup/freezer/custom/one/freezer.state", "FROZEN\n")
    assert seen(host, *RUNNING)["ctr-running"].state is State.PAUSED


def test_what_the_kubelet_knows_of_an_end(host: EngineHost) -> None:
    for name in ("config.json", "init.pid", "options.json"):
        host.at(f"{STATE}/{TASKS}/k8s.io/{APP}/{name}").unlink()
    host.at(f"{STATE}/{TASKS}/k8s.io/{APP}").rmdir()
    status = {
        "Version": "v1",
        "StartedAt": 1_795_461_758_000_000_000,
        "FinishedAt": 1_795_461_760_500_000_000,
        "ExitCode": 137,
        "Reason": "OOMKilled",
    }
    host.write(f"{ROOT}/{CRI}/containers/{APP}/status", status)
    found = seen(host, *RUNNING)["shop/web-0/app"]
    assert found.state is State.EXITED
    assert found.finished == 1_795_461_760.5
    assert found.exit_code == 137
    assert found.oom_killed is True


def test_without_a_database_the_bundles_tell(host: EngineHost) -> None:
    host.at(f"{ROOT}/io.containerd.metadata.v1.bolt/meta.db").unlink()
    found = seen(host, *RUNNING)
    assert set(found) == {"ctr-running", "ctr-ended", NERDCTL, "shop/web-0", "shop/web-0/app"}
    assert found["ctr-running"].labels["k"] == "v"


def test_a_broken_database_is_counted(host: EngineHost) -> None:
    host.write(f"{ROOT}/io.containerd.metadata.v1.bolt/meta.db", b"x" * 9000)
    context = host.context(*RUNNING)
    collector = ContainerdCollector()
    assert "ctr-running" in by_name(collector.collect(context))
    assert "ctr-running" in by_name(collector.collect(context))
    assert context.host.tally.malformed.total() == 1


def test_dockers_containers_are_dockers(host: EngineHost) -> None:
    host.write(f"{STATE}/{TASKS}/moby/{APP}/config.json", {})
    assert len(seen(host, *RUNNING)) == 6


def test_a_containerd_with_a_configuration_of_its_own(host: EngineHost) -> None:
    furnish(host, "/srv/state", "/srv/root")
    config = 'version = 2\nroot = "/srv/root"\nstate = "/srv/state"\n'
    host.write("/srv/config.toml", config)
    daemon = process(
        50, exe="/usr/bin/containerd", argv=("containerd", "--config", "/srv/config.toml")
    )
    found = ContainerdCollector().collect(host.context(daemon, *RUNNING))
    assert {s.instance for s in found} >= {"/srv/state/default", f"{STATE}/default"}


@pytest.mark.parametrize("config", ["", "root = [", "root = 1\nstate = 'x'", "[" * 10_000])
def test_a_configuration_that_says_nothing_useful(host: EngineHost, config: str) -> None:
    host.write("/etc/containerd/config.toml", config)
    daemon = process(50, exe="/usr/bin/containerd", argv=("containerd",))
    assert [i.name for i in find_installations(host.context(daemon), [daemon])] == [STATE]


def nested(host: EngineHost) -> tuple[Process, Process, Process]:
    """Return daemon, shim and first process of a containerd in a container."""
    furnish(host, f"/inner{STATE}", f"/inner{ROOT}")
    inside: dict[str, Any] = {"ns": {"mnt": 70, "pid": 71}, "root": 70}
    cgroups = {"name=systemd": "/docker/kind"}
    daemon = process(
        600,
        exe="/usr/bin/containerd",
        argv=("containerd",),
        ns_pids=(600, 50),
        cgroups=cgroups,
        **inside,
    )
    shim_inside = dataclasses.replace(
        shim(601, SANDBOX, "k8s.io"), ppid=600, ns_pids=(601, 60), namespaces=daemon.namespaces
    )
    cgroup = f"/docker/kind{PODS}/{APP}"
    init = contained(602, cgroup, ppid=601, ns_pids=(602, 3524, 1))
    host.enter(600, "root", "/inner")
    line = "31 1 0:31 /docker/kind /sys/fs/cgroup/systemd ro - cgroup cgroup rw,name=systemd"
    host.write("proc:600/mountinfo", line)
    return daemon, shim_inside, init


def test_a_containerd_in_a_container(host: EngineHost) -> None:
    daemon, shim_inside, init = nested(host)
    found = {
        s.name: s
        for s in ContainerdCollector().collect(host.context(daemon, shim_inside, init))
        if s.instance.startswith("/docker/kind:")
    }
    assert found["shop/web-0/app"].init == init.id
    assert found["shop/web-0/app"].cgroup == init.cgroups[""]
    assert found["ctr-running"].init is None
    assert found["ctr-running"].cgroup == "/docker/kind/custom/one"


def test_a_containerd_in_a_container_with_a_fuse_mount_is_not_read(host: EngineHost) -> None:
    processes = nested(host)
    host.write("proc:600/mountinfo", "9 8 0:9 / /srv rw - fuse.evil evil rw\n")
    instances = {s.instance for s in ContainerdCollector().collect(host.context(*processes))}
    assert not any(instance.startswith("/docker/kind:") for instance in instances)


ELSEWHERE = [
    ("/run/k3s/containerd", "/var/lib/rancher/k3s/agent/containerd"),
    ("/run/k3s/containerd", "/var/lib/rancher/rke2/agent/containerd"),
    ("/run/k0s/containerd", "/var/lib/k0s/containerd"),
    (
        "/var/snap/microk8s/common/run/containerd",
        "/var/snap/microk8s/common/var/lib/containerd",
    ),
]


@pytest.mark.parametrize(("state", "root"), ELSEWHERE)
def test_what_a_kubernetes_has_left_when_it_does_not_run(
    tmp_path: Path, state: str, root: str
) -> None:
    host = EngineHost(tmp_path)
    furnish(host, state, root)
    found = seen(host)
    assert {name: (s.state, s.instance) for name, s in found.items() if "shop" in name} == {
        "shop/web-0": (State.EXITED, f"{state}/k8s.io"),
        "shop/web-0/app": (State.EXITED, f"{state}/k8s.io"),
    }


def test_k3s_is_its_containerd_itself(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    state, root = "/run/k3s/containerd", "/srv/k3s/agent/containerd"  # with --data-dir
    furnish(host, state, root)
    words = ("containerd", "-c", "/etc/none", "--state", state, "--root", root)
    binary = "/srv/k3s/data/current/bin/k3s"
    server = process(70, exe=binary, argv=("/usr/local/bin/k3s server",))
    assert seen(host, server) == {}
    daemon = process(71, 70, exe=binary, argv=words)
    assert seen(host, server, daemon)["shop/web-0/app"].instance == f"{state}/k8s.io"
    context = host.context(server, daemon)
    ContainerdCollector().collect(context)
    assert context.daemons == {("containerd", state): True}


def test_a_configured_persistent_directory_goes_with_the_usual_state(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    furnish(host, STATE, "/srv/images")
    host.write(f"{ROOT}/old", "")
    host.write("/etc/containerd/config.toml", 'root = "/srv/images"\n')
    daemon = process(60, exe="/usr/bin/containerd", argv=("containerd",))
    assert set(seen(host, daemon)) >= {"web", "ctr-created", "shop/web-0"}


def test_a_shim_tells_of_its_containerd(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    host.link("proc:3300/cwd", f"/srv/state/{TASKS}/default/ctr-running")
    of_ctr = shim(3300, "ctr-running")
    context = host.context(of_ctr)
    assert "/srv/state" in [i.state for i in find_installations(context, [of_ctr])]


def test_a_bundle_that_vanishes_while_it_is_read(host: EngineHost) -> None:
    host.at(f"{STATE}/{TASKS}/default/ctr-running/config.json").unlink()
    found = seen(host, *RUNNING)
    assert found["ctr-running"].init is None  # the database has it still
    assert found["web"].state is State.RUNNING


def test_a_bundle_that_is_being_deleted_is_no_second_container(host: EngineHost) -> None:
    bundle = host.at(f"{STATE}/{TASKS}/default/ctr-running")
    bundle.rename(bundle.with_name(".ctr-running"))
    found = seen(host, *RUNNING)
    assert ".ctr-running" not in found
    assert found["ctr-running"].state is State.UNKNOWN


def test_a_host_without_containerd_has_none(tmp_path: Path) -> None:
    context = EngineHost(tmp_path).context()
    assert list(ContainerdCollector().collect(context)) == []
    assert context.host.tally.malformed.total() == context.host.tally.denied.total() == 0


def test_times_as_go_marshals_them() -> None:
    data = b"\x01\x00\x00\x00\x0e\xe2\x96|\xaa\x1c\xfb4(\xff\xff"
    assert parse_go_time(data) == pytest.approx(1795458474.486225, abs=1e-3)


@patient
@given(st.binary(max_size=20))
def test_any_bytes_are_a_time_or_none(data: bytes) -> None:
    found = parse_go_time(data)
    assert found is None or 0 < found < 1 << 40


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("io.containerd.runc.v2", "runc"),
        ("io.containerd.kata.v2", "kata"),
        ("/usr/bin/crun", "/usr/bin/crun"),
        ("", ""),
    ],
)
def test_runtime_names(name: str, short: str) -> None:
    assert runtime_name(name) == short


def test_the_images_of_containers_that_are_gone_are_forgotten(host: EngineHost) -> None:
    reader = InstallationReader()
    installation = Installation(state=STATE, root=ROOT)
    list(reader.read(host.context(*RUNNING), installation))
    assert reader._images
    host.at(f"{ROOT}/io.containerd.metadata.v1.bolt/meta.db").unlink()
    list(reader.read(host.context(*RUNNING), installation))
    assert not reader._images


def test_a_bundle_that_vanishes_does_not_end_the_list(
    host: EngineHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Dir.subdirectories

    def with_more(self: Dir, relative: str = ".") -> list[str]:
        return ["vanished", *listed(self, relative)]

    monkeypatch.setattr(Dir, "subdirectories", with_more)
    found = seen(host, *RUNNING)
    assert {found["ctr-running"].state, found["web"].state} == {State.RUNNING}


def test_a_bundle_without_a_pid_file_is_not_made_yet(host: EngineHost) -> None:
    host.at(f"{STATE}/{TASKS}/default/ctr-running/init.pid").unlink()
    assert seen(host, *RUNNING)["ctr-running"].state is State.CREATED


def test_a_database_in_the_middle_of_a_change_is_as_it_was_before(host: EngineHost) -> None:
    collector = ContainerdCollector()
    before = by_name(collector.collect(host.context(*RUNNING)))
    host.write(f"{ROOT}/io.containerd.metadata.v1.bolt/meta.db", b"half of a page")
    after = by_name(collector.collect(host.context(*RUNNING)))
    assert set(after) == set(before)


def user(pid: int, *words: str) -> Process:
    return process(pid, exe="/home/eve/containerd", argv=("containerd", *words), uid=1000)


def give(host: EngineHost, uid: int, *paths: str) -> None:
    for path in paths:
        os.chown(host.at(path), uid, uid)


@AS_ROOT
def test_a_users_containerd_is_read_where_its_directories_are_his(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    furnish(host, "/home/eve/state", "/home/eve/root")
    give(host, 1000, "/home/eve/state", "/home/eve/root")
    users = user(50, "--state", "/home/eve/state", "--root", "/home/eve/root")
    found = seen(host, users)
    assert found["web"].instance == "1000:/home/eve/state/default"
    assert found["web"].image == "docker.io/library/busybox:lab"


@AS_ROOT
def test_a_users_containerd_is_not_believed_of_what_is_not_his(host: EngineHost) -> None:
    """Neither may he name the directories of root, nor take the place of root's containerd."""
    roots = process(51, exe="/usr/bin/containerd", argv=("containerd", "--state", "/srv/state"))
    furnish(host, "/srv/state", ROOT)
    furnish(host, "/home/eve/root", "/home/eve/root")
    give(host, 1000, "/home/eve/root")
    evil = (
        user(48, "--state", "/srv/state", "--root", "/home/eve/root"),
        user(49, "--state", STATE, "--root", ROOT),
        user(50, "--state", "/home/eve/root", "--root", ROOT),
    )
    instances = {s.instance for s in ContainerdCollector().collect(host.context(*evil, roots))}
    assert {"/srv/state/default", f"{STATE}/default"} <= instances
    of_users = {i for i in instances if i.startswith("1000:")}
    assert of_users == {"1000:/home/eve/root/default", "1000:/home/eve/root/k8s.io"}
    of_roots_database = [
        s
        for s in ContainerdCollector().collect(host.context(*evil, roots))
        if s.instance.startswith("1000:") and s.created is not None
    ]
    assert not of_roots_database


def test_each_containerd_has_files_of_its_own(host: EngineHost) -> None:
    """What one has does not push out what is kept of another, and a broken one costs itself."""
    host.write("/srv/root/io.containerd.metadata.v1.bolt/meta.db", b"no database")
    other = process(51, exe="/usr/bin/containerd", argv=("containerd", "--root", "/srv/root"))
    other = dataclasses.replace(other, argv=(*other.argv, "--state", "/srv/state"))
    collector = ContainerdCollector()
    for _ in range(2):
        found = by_name(collector.collect(host.context(*RUNNING, other)))
        assert found["web"].image == "docker.io/library/busybox:lab"
    assert host.context().host.tally.malformed.total() == 0


def test_a_mere_directory_is_no_container(host: EngineHost) -> None:
    host.at(f"{STATE}/{TASKS}/default/empty").mkdir()
    assert "empty" not in seen(host, *RUNNING)


def test_whether_the_hosts_own_daemons_run(host: EngineHost) -> None:
    def told(*processes: Process) -> dict[tuple[str, str], bool]:
        ctx = host.context(*processes)
        ContainerdCollector().collect(ctx)
        return ctx.daemons

    engine = process(3000, exe="/usr/bin/containerd", argv=("containerd",))
    assert told(engine, *RUNNING) == {("containerd", STATE): True}
    assert told(*RUNNING) == {("containerd", STATE): False}
    publishes = process(3001, exe="/usr/bin/containerd", argv=("containerd", "publish"), ppid=3300)
    assert told(publishes, *RUNNING) == {("containerd", STATE): False}
    assert told(dataclasses.replace(engine, uid=1000), *RUNNING) == {("containerd", STATE): False}
