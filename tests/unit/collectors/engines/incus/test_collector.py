from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import CollectorError
from collectors.engines.incus import collector as incus
from collectors.engines.incus.collector import IncusCollector
from collectors.engines.incus.instance import Instance, from_api, parse_backup, parse_time
from collectors.facts import Process, State
from tests.support.processes import HOST, inner, process
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
    """The API does not answer, unless a test says otherwise; whom it asked is noted."""
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


def test_a_real_lxd_whose_api_is_silent(tmp_path: Path, asked: list[str]) -> None:
    facts, processes = captured("lxd.json")
    ctx = context(tmp_path, facts, processes, LXD_FILES)
    found = by_id(IncusCollector().collect(ctx))
    assert set(found) == {"one", "frozen", "team-a_two", "off"}
    assert {s.engine for s in found.values()} == {"lxd"}
    assert {s.instance for s in found.values()} == {"/var/lib/lxd"}
    assert len(asked) == 1
    assert asked[0].endswith("/var/lib/lxd/unix.socket")
    assert ctx.host.tally.malformed["/var/lib/lxd/unix.socket"] == 1
    one = found["one"]
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
    two = found["team-a_two"]
    assert two.name == "two"
    assert two.labels == {"lxd.project": "team-a"}
    assert found["off"].state is State.EXITED
    assert found["off"].boots is None


def test_the_api_adds_what_the_disk_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, processes = captured("lxd.json")
    instances = json.loads(fixture("lxd-instances.json"))["metadata"]
    instances.append({"name": "vm", "type": "virtual-machine", "project": "default"})
    answer(monkeypatch, instances)
    ctx = context(tmp_path, facts, processes, LXD_FILES)
    found = by_id(IncusCollector().collect(ctx))
    assert set(found) == {"one", "frozen", "team-a_two", "off"}
    assert found["team-a_two"].labels == {"user.owner": "me", "lxd.project": "team-a"}
    assert found["off"].image == "busybox/lab"
    assert found["off"].created is not None
    assert found["off"].cgroup == "/lxc.payload.off"
    assert not ctx.host.tally.malformed


def test_the_api_is_asked_again_only_when_somebody_is_new(
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
    folder = "/var/snap/lxd/common/lxd"
    snap: dict[str, Any] = {"exe": "/snap/lxd/1/bin/lxd", "ns": {"mnt": 40}, "root": 9}
    lxd = process(5, argv=("lxd", "--logfile", "x"), **snap)
    monitor = process(6, argv=(f"[lxc monitor] {folder}/containers web",), **snap)
    init = process(7, 6, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc.payload.web")
    backup = fixture("lxd-backup.yaml").replace("name: one", "name: web")
    files: dict[str, str | bytes] = {
        "proc/5/environ": f"LXD_DIR={folder}\0".encode(),
        f"proc/5/root{folder}/containers/web": "->../pool/web",
        f"proc/5/root{folder}/pool/web/backup.yaml": backup,
    }
    ctx = context(tmp_path, HOST, [lxd, monitor, init], files)
    (web,) = IncusCollector().collect(ctx)
    assert web.instance == folder
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
    found = by_id(IncusCollector().collect(ctx))
    assert found["mine"].instance == "/var/lib/incus"
    assert found["deep"].instance == "/var/lib/incus@mnt:[20]"
    assert found["deep"].cgroup == "/c/lxc.payload.deep"
    assert found["idle"].instance == "/var/lib/incus@mnt:[20]"
    assert len(asked) == 1


def test_backup_yaml_is_read_by_indentation() -> None:
    found = parse_backup(fixture("lxd-backup.yaml"))
    assert found is not None
    assert found.image == "busybox/lab"
    assert found.created == pytest.approx(CREATED)
    assert found.boots is True
    assert found.ephemeral is False
    assert found.config["security.privileged"] == "true"
    assert "description" not in found.config


def test_what_users_write_does_not_pass_for_keys() -> None:
    found = parse_backup(
        "instance:\n"
        "  config:\n"
        "    user.user-data: |-\n"
        "      #cloud-config\n"
        '      volatile.container.oci: "true"\n'
        "    user.note: 'it''s: \"mine\"'\n"
        '    volatile.container.oci: "true"\n'
        "    image.id: docker.io/library/nginx:latest\n"
        "  ephemeral: true\n"
        "  name: web\n"
        "  type: container\n"
        "snapshots:\n"
        "- name: s1\n"
        "  config:\n"
        "    image.id: other\n"
    )  # fmt: skip
    assert found is not None
    assert found.boots is False
    assert found.ephemeral is True
    assert found.image == "docker.io/library/nginx:latest"
    assert found.labels["user.note"] == 'it\'s: "mine"'


def test_other_files_are_no_backup() -> None:
    assert parse_backup("") is None
    assert parse_backup("pool:\n  name: default\n") is None


def test_an_instance_without_anything() -> None:
    name, instance = from_api({})
    assert name == ""
    assert instance == Instance()
    assert instance.image == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T18:46:59.103200168Z", CREATED),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times(text: str, seconds: float | None) -> None:
    assert parse_time(text) == (pytest.approx(seconds) if seconds else None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=8,
)
KEYS = st.sampled_from(["name", "project", "type", "created_at", "config", "expanded_config"])


@given(st.dictionaries(KEYS, JSON))
def test_any_answer_is_read(instance: dict[str, Any]) -> None:
    name, found = from_api(instance)
    assert isinstance(name, str)
    assert all(isinstance(v, str) for v in found.config.values())
    assert isinstance(found.image, str)


@given(st.text())
def test_any_backup_is_read(text: str) -> None:
    found = parse_backup("container:\n  name: a\n  config:\n    " + text)
    assert found is not None
    assert isinstance(found.image, str)
