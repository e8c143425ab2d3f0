from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collectors.contract import CollectorError, Options
from collectors.engines.incus import collector as incus
from collectors.engines.incus.collector import IncusCollector
from collectors.facts import Process, State
from tests.support.processes import HOST, inner, process, table
from tests.support.system_host import by_id, captured, context, fixture

LXD_FILES: dict[str, str | bytes] = {
    "proc/8204/environ": b"PATH=/bin\0LXD_DIR=/var/lib/lxd\0",
    "root/var/lib/lxd/storage/one/backup.yaml": fixture("lxd-backup.yaml"),
    "root/var/lib/lxd/containers/one": "->/var/lib/lxd/storage/one",
    "root/var/lib/lxd/containers/off": "->/var/lib/lxd/storage/off",
    "root/var/lib/lxd/containers/lxc-monitord.log": "not a link",
}
CREATED = 1795459619.1032


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The API does not answer, unless a test says otherwise; the paths that were asked."""
    paths: list[str] = []

    def silent(path: str, _timeout: float) -> Any:
        paths.append(path)
        raise CollectorError(f"{path}: no answer in time")

    monkeypatch.setattr(incus, "list_instances", silent)
    return paths


def answer(monkeypatch: pytest.MonkeyPatch, instances: list[Mapping[str, Any]]) -> list[str]:
    paths: list[str] = []

    def speak(path: str, _timeout: float) -> list[Mapping[str, Any]]:
        paths.append(path)
        return instances

    monkeypatch.setattr(incus, "list_instances", speak)
    return paths


def daemon(pid: int = 5, **more: Any) -> Process:
    return process(pid, exe="/usr/bin/incusd", argv=("incusd", "--group", "incus-admin"), **more)


def test_a_real_lxd_that_must_not_be_asked(tmp_path: Path, asked: list[str]) -> None:
    facts, processes = captured("lxd.json")
    ctx = context(tmp_path, facts, processes, LXD_FILES)
    ctx = dataclasses.replace(ctx, options=Options(engine_sockets=False))
    assert set(by_id(IncusCollector().collect(ctx))) == {"one", "frozen", "team-a_two", "off"}
    assert asked == []
    assert ctx.host.tally.malformed == {}


def test_a_real_lxd_whose_api_is_silent(tmp_path: Path, asked: list[str]) -> None:
    facts, processes = captured("lxd.json")
    ctx = context(tmp_path, facts, processes, LXD_FILES)
    sightings = by_id(IncusCollector().collect(ctx))
    assert set(sightings) == {"one", "frozen", "team-a_two", "off"}
    assert {s.engine for s in sightings.values()} == {"lxd"}
    assert {s.instance for s in sightings.values()} == {"/var/lib/lxd"}
    assert len(asked) == 1
    assert asked[0].endswith("/var/lib/lxd/unix.socket")
    assert ctx.host.tally.malformed["/var/lib/lxd/unix.socket"] == 1
    one = sightings["one"]
    assert one.state is State.RUNNING
    assert one.cgroup == "/lxc.payload.one"
    assert one.image == "busybox/lab"
    assert one.image_facts is not None
    assert one.image_facts.id.startswith("84c07e23e8df")
    assert one.created == pytest.approx(CREATED)
    assert one.boots is True
    init = next(p for p in processes if p.id == one.init)
    assert init.exe == "/bin/busybox"
    assert init.inner_pid == 1
    two = sightings["team-a_two"]
    assert two.name == "two"
    assert two.labels == {"lxd.project": "team-a"}
    assert sightings["off"].state is State.EXITED
    assert sightings["off"].boots is None


def test_the_api_adds_what_the_disk_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, processes = captured("lxd.json")
    instances = json.loads(fixture("lxd-instances.json"))["metadata"]
    instances.append({"name": "vm", "type": "virtual-machine", "project": "default"})
    answer(monkeypatch, instances)
    ctx = context(tmp_path, facts, processes, LXD_FILES)
    sightings = by_id(IncusCollector().collect(ctx))
    assert set(sightings) == {"one", "frozen", "team-a_two", "off"}
    assert sightings["team-a_two"].labels == {"user.owner": "me", "lxd.project": "team-a"}
    assert sightings["off"].image == "busybox/lab"
    assert sightings["off"].created is not None
    assert sightings["off"].cgroup == "/lxc.payload.off"
    assert not ctx.host.tally.malformed


def test_the_api_is_asked_again_only_when_a_container_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = answer(monkeypatch, [{"name": "a", "type": "container", "project": "default"}])
    collector = IncusCollector()
    files = {"root/var/lib/incus/containers/a": "->/x"}

    def names(*processes: Process, full: bool, more: Mapping[str, str] | None = None) -> set[str]:
        ctx = context(tmp_path, HOST, processes, more, full=full)
        return set(by_id(collector.collect(ctx)))

    assert names(daemon(), full=True, more=files) == {"a"}
    assert names(daemon(), full=False) == {"a"}
    assert len(paths) == 1
    assert names(daemon(), full=True) == {"a"}
    assert len(paths) == 2
    new = {"root/var/lib/incus/containers/b": "->/y"}
    assert names(daemon(), full=False, more=new) == {"a", "b"}
    assert len(paths) == 3
    assert names(full=True) == {"a", "b"}  # without the daemon it is not asked
    assert len(paths) == 3


def test_a_container_that_is_gone_from_its_directory_is_asked_about_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped one has neither processes nor cgroups that could tell."""
    instances: list[Mapping[str, Any]] = [
        {"name": n, "type": "container", "project": "default"} for n in "ab"
    ]
    answer(monkeypatch, instances)
    collector, watched = IncusCollector(), set()
    files = {f"root/var/lib/incus/containers/{n}": "->/x" for n in "ab"}

    def names(*, full: bool, files: Mapping[str, str]) -> set[str]:
        ctx = context(tmp_path, HOST, [daemon()], files, full=full)

        def watch(path: str, *, files: bool = False) -> None:
            watched.add((path, files))

        return set(by_id(collector.collect(dataclasses.replace(ctx, watch=watch))))

    assert names(full=True, files=files) == {"a", "b"}
    assert ("/var/lib/incus/containers", True) in watched
    (tmp_path / "root/var/lib/incus/containers/b").unlink()
    assert names(full=False, files={}) == {"a"}
    assert names(full=True, files={}) == {"a"}, "the daemon goes on naming it for a while"
    del instances[1]
    assert names(full=True, files={}) == {"a"}
    instances.append({"name": "b", "type": "container", "project": "default"})
    assert names(full=True, files={"root/var/lib/incus/containers/b": "->/x"}) == {"a", "b"}


def test_a_daemon_that_is_late_is_read_from_disk_until_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(incus, "_PATIENCE", 0.01)
    release = threading.Event()

    def late(_path: str, _timeout: float) -> Any:
        release.wait(60.0)
        return json.loads(fixture("lxd-instances.json"))["metadata"]

    monkeypatch.setattr(incus, "list_instances", late)
    facts, processes = captured("lxd.json")
    ctx = context(tmp_path, facts, processes, LXD_FILES)
    woken = threading.Event()
    ctx = dataclasses.replace(ctx, wake=woken.set)
    collector = IncusCollector()
    for _ in range(2):
        sightings = by_id(collector.collect(ctx))
        assert set(sightings) == {"one", "frozen", "team-a_two", "off"}
        assert sightings["off"].boots is None
    assert [r.message for r in caplog.records if "late" in r.message] == [
        "/var/lib/lxd/unix.socket answers late; its files are read meanwhile"
    ]
    release.set()
    assert woken.wait(60.0)
    assert by_id(collector.collect(ctx))["off"].boots is True


def test_a_daemon_that_does_not_run_is_not_woken(tmp_path: Path, asked: list[str]) -> None:
    helper = process(6, exe="/usr/bin/incusd", argv=("incusd", "forkproxy", "x"))
    users = process(7, exe="/home/eve/incusd", argv=("incusd",), uid=1000)
    contained = process(8, exe="/usr/bin/incusd", argv=("incusd",), ns={"mnt": 20, "pid": 21})
    named = process(9, exe="/usr/bin/vim", argv=("incusd",))
    files = {"root/var/lib/incus/containers/a": "->/x"}
    ctx = context(tmp_path, HOST, [helper, users, contained, named], files)
    assert set(by_id(IncusCollector().collect(ctx))) == {"a"}
    assert asked == []


def test_a_daemon_out_of_a_snap_is_one_of_the_host(tmp_path: Path) -> None:
    directory = "/var/snap/lxd/common/lxd"
    snap: dict[str, Any] = {"exe": "/snap/lxd/1/bin/lxd", "ns": {"mnt": 40}, "root": 9}
    lxd = process(5, argv=("lxd", "--logfile", "x"), **snap)
    monitor = process(6, argv=(f"[lxc monitor] {directory}/containers web",), **snap)
    init = process(7, 6, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc.payload.web")
    backup = fixture("lxd-backup.yaml").replace("name: one", "name: web")
    files: dict[str, str | bytes] = {
        "proc/5/environ": f"LXD_DIR={directory}\0".encode(),
        f"proc/5/root{directory}/containers/web": "->../pool/web",
        f"proc/5/root{directory}/pool/web/backup.yaml": backup,
    }
    ctx = context(tmp_path, HOST, [lxd, monitor, init], files)
    (web,) = IncusCollector().collect(ctx)
    assert web.instance == directory
    assert web.image == "busybox/lab"
    assert web.init == init.id


def test_a_daemon_in_a_container_is_another_instance(tmp_path: Path, asked: list[str]) -> None:
    outer = process(10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/c")
    title = ("[lxc monitor] /var/lib/incus/containers deep",)
    monitor = inner(outer, 11, 10, exe="/usr/bin/incusd", argv=title)
    init = process(
        12, 11, ns={"mnt": 30, "pid": 31}, root=2, ns_pids=(12, 5, 1), cgroup="/c/lxc.payload.deep"
    )
    files = {
        "root/var/lib/incus/containers/mine": "->/x",
        "proc/11/root/var/lib/incus/containers/deep": "->/x",
        "proc/11/root/var/lib/incus/containers/idle": "->/y",
        "proc/11/mountinfo": "",
    }
    ctx = context(tmp_path, HOST, [daemon(), outer, monitor, init], files)
    sightings = by_id(IncusCollector().collect(ctx))
    assert sightings["mine"].instance == "/var/lib/incus"
    assert sightings["deep"].instance == "/c:/var/lib/incus"
    assert sightings["deep"].cgroup == "/c/lxc.payload.deep"
    assert sightings["idle"].instance == "/c:/var/lib/incus"
    assert len(asked) == 1


def test_a_directory_in_which_nothing_is_left_is_forgotten(tmp_path: Path) -> None:
    collector = IncusCollector()
    here = tmp_path / "root/srv/incus/containers/box"
    monitor = process(
        5, exe="/usr/bin/incusd", argv=("[lxc monitor] /srv/incus/containers box",), root=None
    )
    init = process(7, 5, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc.payload.box")
    here.parent.mkdir(parents=True)
    here.symlink_to("/storage/box")
    collector.collect(context(tmp_path, HOST, [monitor, init]))
    assert "/srv/incus" in collector._directories
    collector.collect(context(tmp_path, HOST, []))
    assert "/srv/incus" in collector._directories  # it is stopped
    here.unlink()
    collector.collect(context(tmp_path, HOST, []))
    assert "/srv/incus" not in collector._directories


def test_whether_the_hosts_own_daemons_run(tmp_path: Path) -> None:
    facts, processes = captured("lxd.json")
    ctx = context(tmp_path, facts, processes, LXD_FILES)
    IncusCollector().collect(ctx)
    assert ctx.daemons == {("lxd", "/var/lib/lxd"): True}
    left = [p for p in processes if not (p.exe or "").endswith("/lxd")]
    dead = dataclasses.replace(ctx, processes=table(*left), daemons={})
    IncusCollector().collect(dead)
    assert dead.daemons == {("lxd", "/var/lib/lxd"): False}
