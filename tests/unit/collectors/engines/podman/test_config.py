from __future__ import annotations

from typing import Any

import pytest

from collectors.engines.podman.config import Configured, configured
from collectors.facts import Publish
from collectors.formats.documents import JsonObject

ID = "ab" * 32


def read(**config: Any) -> Configured:
    found = configured(JsonObject({"id": ID, **config}))
    assert found is not None
    return found


def test_without_an_id_it_is_no_container() -> None:
    assert configured(JsonObject({"name": "web"})) is None


@pytest.mark.parametrize(
    ("config", "cgroup"),
    [
        ({}, f"/libpod_parent/libpod-{ID}"),
        ({"cgroupParent": "/job"}, f"/job/libpod-{ID}"),
        ({"cgroupManager": "systemd"}, f"/machine.slice/libpod-{ID}.scope"),
        (
            {"cgroupManager": "systemd", "cgroupParent": "/machine.slice/machine-pod.slice"},
            f"/machine.slice/machine-pod.slice/libpod-{ID}.scope",
        ),
        ({"cgroupsMode": "disabled"}, None),
        ({"noCgroups": True}, None),
    ],
)
def test_the_cgroup_that_podman_will_give_it(config: dict[str, Any], cgroup: str | None) -> None:
    assert read(**config).cgroup == cgroup


def test_the_host_name_is_the_short_id_but_in_a_pod() -> None:
    assert read().sighting.hostname == ID[:12]
    assert read(utsNsCtr="cd" * 32).sighting.hostname == ""
    assert read(spec={"hostname": "web"}).sighting.hostname == "web"


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({"netNsCtr": "cd"}, "container:cd"),
        ({"networkMode": "slirp4netns"}, "slirp4netns"),
        ({"createNetNS": False}, "none"),
        ({"createNetNS": True}, ""),
    ],
)
def test_the_network(config: dict[str, Any], mode: str) -> None:
    spec = {"linux": {"namespaces": [{"type": "network"}]}}
    assert read(spec=spec, **config).sighting.network_mode == mode


def test_ports_of_new_and_old_podmans() -> None:
    new = {
        "host_ip": "127.0.0.1",
        "host_port": 80,
        "container_port": 8080,
        "range": 2,
        "protocol": "tcp,udp",
    }
    old = {"hostIP": "", "hostPort": 53, "containerPort": 53, "protocol": "udp"}
    assert read(newPortMappings=[new], portMappings=[old]).sighting.publishes == (
        Publish("127.0.0.1", 80, 8080, "tcp"),
        Publish("127.0.0.1", 80, 8080, "udp"),
        Publish("127.0.0.1", 81, 8081, "tcp"),
        Publish("127.0.0.1", 81, 8081, "udp"),
        Publish("", 53, 53, "udp"),
    )


def test_a_forged_range_of_ports_is_cut_off() -> None:
    port = {"host_port": 1, "container_port": 1, "range": 10**9}
    assert len(read(newPortMappings=[port]).sighting.publishes) == 100


def test_a_log_in_the_journal_has_no_file() -> None:
    assert read(logPath="/x/ctr.log", logDriver="k8s-file").log_path == "/x/ctr.log"
    assert read(logPath="/x/ctr.log", logDriver="journald").log_path == ""


def test_what_holds_a_pod_together_is_infrastructure() -> None:
    assert read(pause=True).sighting.role == read(isService=True).sighting.role == "infra"
    assert read().sighting.role == ""
