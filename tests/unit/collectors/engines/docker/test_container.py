from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.docker.container import (
    CgroupRule,
    Described,
    describe,
    describe_image,
    describe_listed,
    fingerprint,
)
from collectors.facts import Publish, State
from collectors.formats.documents import JsonObject
from tests.support.engine_host import fixture, patient
from tests.support.fake_docker import DONE, IMAGE, NEW, WEB

CGROUPFS = CgroupRule()


def captured(name: str) -> JsonObject:
    return JsonObject(json.loads(fixture(f"docker/{name}.json")))


def inspected(name: str, rule: CgroupRule = CGROUPFS) -> Described:
    document = captured(f"inspect-{name}")
    found = describe(document, document.object("HostConfig"), rule)
    assert found is not None
    return found


def on_disk(name: str) -> Described:
    found = describe(
        captured(f"disk/{name}/config.v2"), captured(f"disk/{name}/hostconfig"), CGROUPFS
    )
    assert found is not None
    return found


def test_a_running_container() -> None:
    found = inspected("web")
    seen = found.sighting
    assert seen.engine_id == WEB
    assert seen.name == "web"
    assert seen.state is State.RUNNING
    assert found.pid == 5046
    assert found.image_id == IMAGE
    assert found.log_path.endswith("-json.log")
    assert seen.image == "busybox:lab"
    assert seen.cgroup == f"/docker/{WEB}"
    assert seen.hostname == WEB[:12]
    assert seen.created == pytest.approx(1795461768.404376)
    assert seen.started == pytest.approx(1795461769.170625)
    assert seen.finished is None
    assert seen.exit_code is None
    assert seen.oom_killed is False
    assert seen.restarts == 0
    assert seen.health == "healthy"
    assert seen.labels == {"team": "a"}
    assert seen.runtime == "runc"
    assert seen.command == ("sleep", "100000")
    assert seen.publishes == (Publish("127.0.0.1", 8099, 80, "tcp"),)
    assert seen.network_mode == "bridge"
    assert seen.restart_policy == "on-failure"
    assert seen.mounts == ("/srv",)
    assert seen.rootfs.startswith("/var/lib/docker/overlay2/")
    assert (seen.privileged, seen.tty, seen.auto_remove) == (False, False, False)


def test_an_ended_container() -> None:
    found = inspected("done")
    assert found.sighting.engine_id == DONE
    assert found.sighting.state is State.EXITED
    assert found.sighting.exit_code == 3
    assert found.sighting.finished is not None
    assert found.sighting.network_mode == "host"
    assert found.sighting.health is None
    assert found.pid is None


def test_a_container_that_was_never_started() -> None:
    found = inspected("new").sighting
    assert found.engine_id == NEW
    assert found.state is State.CREATED
    assert found.started is found.finished is found.exit_code is None
    assert found.tty is True
    assert found.cgroup == f"/custom/{NEW}"


@pytest.mark.parametrize("name", ["web", "done", "new"])
def test_disk_and_api_say_the_same(name: str) -> None:
    api, disk = inspected(name), on_disk(name)
    assert disk.pid == api.pid
    assert disk.image_id == api.image_id
    for field in ("engine_id", "name", "state", "image", "cgroup", "created", "started", "finished",
                  "exit_code", "health", "labels", "command", "publishes", "network_mode",
                  "restart_policy", "mounts", "tty", "hostname", "runtime"):  # fmt: skip
        assert getattr(disk.sighting, field) == getattr(api.sighting, field), field


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Status": "paused"}, State.PAUSED),
        ({"Status": "something new"}, State.UNKNOWN),
        ({"Running": True, "Paused": True}, State.PAUSED),
        ({"Running": True, "Restarting": True}, State.RESTARTING),
        ({"RemovalInProgress": True}, State.REMOVING),
        ({"Dead": True}, State.DEAD),
        ({"StartedAt": "2026-01-01T00:00:00Z"}, State.EXITED),
        ({"StartedAt": "0001-01-01T00:00:00Z"}, State.CREATED),
        ({}, State.CREATED),
    ],
)
def test_states(state: dict[str, Any], expected: State) -> None:
    found = describe(JsonObject({"Id": "x", "State": state}), JsonObject(), CGROUPFS)
    assert found is not None
    assert found.sighting.state is expected


@pytest.mark.parametrize(("shares", "expected"), [(512, 512), (0, None)])
def test_cpu_shares_are_those_that_were_given(shares: int, expected: int | None) -> None:
    found = describe(JsonObject({"Id": WEB}), JsonObject({"CpuShares": shares}), CgroupRule())
    assert found is not None
    assert found.sighting.cpu_shares == expected


def test_the_containerd_image_store_has_no_graph_driver() -> None:
    document = {**captured("inspect-web").raw, "GraphDriver": None, "Storage": {"RootFS": {}}}
    found = describe(JsonObject(document), JsonObject(), CGROUPFS)
    assert found is not None
    assert found.sighting.name == "web"
    assert found.sighting.rootfs == ""


@pytest.mark.parametrize(
    ("rule", "parent", "cgroup"),
    [
        (CgroupRule(), "", "/docker/x"),
        (CgroupRule(), "/custom/", "/custom/x"),
        (CgroupRule(parent="/all"), "", "/all/x"),
        (CgroupRule(systemd=True), "", "/system.slice/docker-x.scope"),
        (CgroupRule(systemd=True), "a-b.slice", "/a.slice/a-b.slice/docker-x.scope"),
        (CgroupRule(systemd=True, parent="all.slice"), "", "/all.slice/docker-x.scope"),
    ],
)
def test_cgroups(rule: CgroupRule, parent: str, cgroup: str) -> None:
    assert rule.path("x", parent) == cgroup


def test_a_kubelets_container() -> None:
    labels = {
        "io.kubernetes.pod.name": "p",
        "io.kubernetes.pod.namespace": "n",
        "io.kubernetes.container.name": "POD",
    }
    document = {"Id": "x", "Name": "/k8s_POD_p_n_7_0", "Config": {"Labels": labels}}
    found = describe(JsonObject(document), JsonObject(), CGROUPFS)
    assert found is not None
    assert found.sighting.role == "infra"
    assert (found.sighting.namespace, found.sighting.pod) == ("n", "p")


def test_ports_that_make_no_sense_are_left_out() -> None:
    ports: dict[str, Any] = {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostPort": "x"}, 7],
        "9/udp": None,
        "9" * 5000: [{"HostPort": "1"}],
        "": [{"HostPort": "1"}],
    }
    document = JsonObject({"Id": "x", "NetworkSettings": {"Ports": ports}})
    found = describe(document, JsonObject(), CGROUPFS)
    assert found is not None
    assert found.sighting.publishes == (Publish("", 8080, 80, "tcp"),)


def test_the_list_alone() -> None:
    listed = [JsonObject(c) for c in json.loads(fixture("docker/containers.json"))]
    found = {s.name: s for s in map(describe_listed, listed) if s is not None}
    assert found["web"].state is State.RUNNING
    assert found["web"].labels == {"team": "a"}
    assert found["done"].state is State.EXITED
    assert describe_listed(JsonObject({"Names": ["/x"]})) is None


def test_a_link_from_elsewhere_is_no_name() -> None:
    found = describe_listed(JsonObject({"Id": "x", "Names": ["/other/alias", "/own"]}))
    assert found is not None
    assert found.name == "own"


def test_a_fingerprint_does_not_change_with_the_time() -> None:
    entry = {"Names": ["/web"], "State": "running", "Status": "Up 3 minutes (healthy)"}
    later = {**entry, "Status": "Up 4 minutes (healthy)"}
    sick = {**entry, "Status": "Up 4 minutes (unhealthy)"}
    assert fingerprint(JsonObject(entry)) == fingerprint(JsonObject(later))
    assert fingerprint(JsonObject(entry)) != fingerprint(JsonObject(sick))


def test_the_image() -> None:
    found = describe_image(captured("image"))
    assert found.id == IMAGE
    assert found.size_bytes == 1982380
    assert found.digests == ()
    assert found.created is not None


def test_a_digest_of_containerds_store_is_a_registrys_only_where_the_daemon_says_so() -> None:
    """There every image has one, also what was built or imported on the host (Docker 28)."""
    stored = {**captured("image").raw, "Id": IMAGE, "RepoDigests": [f"lab/web@{IMAGE}"]}
    pulled = {**stored, "Identity": {"Pull": [{"Repository": "docker.io/lab/web"}]}}
    other = {**stored, "RepoDigests": [f"lab/web@sha256:{'0' * 64}"]}
    digests = [describe_image(JsonObject(d)).digests for d in (stored, pulled, other)]
    assert digests == [(), (f"lab/web@{IMAGE}",), (f"lab/web@sha256:{'0' * 64}",)]


@patient
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_value_anywhere_is_survived(value: object) -> None:
    for key in captured("inspect-web").raw:
        document = JsonObject({**captured("inspect-web").raw, key: value})
        describe(document, document.object("HostConfig"), CGROUPFS)
        describe_listed(document)
        describe_image(document)
        fingerprint(document)
