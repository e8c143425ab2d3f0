"""The labels of a container's series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.exposition import Options
from tests.support.page_host import FULL_ID, Host, running

if TYPE_CHECKING:
    from pathlib import Path


def test_exactly_one_info_series_per_container(host: Host) -> None:
    page = host.show(running(), running(id="/lxc/a", engine="lxc", cgroups={}, init=None))
    ids = [dict(labels)["id"] for labels in page["tallyman_container_info"]]
    assert sorted(ids) == [FULL_ID, "/lxc/a"]


def test_kubernetes_labels_are_on_its_containers_alone(host: Host) -> None:
    pod = running(id="/kubepods/x", container_name="app", pod="p-1", namespace="shop")
    page = host.show(running(), pod)
    by_id = {dict(k)["id"]: dict(k) for k in page["container_memory_usage_bytes"]}
    assert by_id["/kubepods/x"]["namespace"] == "shop"
    assert by_id["/kubepods/x"]["pod"] == "p-1"
    assert by_id["/kubepods/x"]["container"] == "app"
    assert "pod" not in by_id[FULL_ID]


def test_labels_by_allow_list(tmp_path: Path) -> None:
    host = Host(tmp_path, Options(container_labels=("com.docker.compose.project",)))
    labels = {"com.docker.compose.project": "shop", "secret": "x"}
    page = host.show(running(labels=labels))
    ((key, _),) = [(k, v) for k, v in page["container_memory_usage_bytes"].items() if len(k) > 3]
    assert dict(key)["container_label_com_docker_compose_project"] == "shop"
    assert "secret" not in str(page)
    info = dict(next(iter(page["tallyman_container_info"])))
    assert info["compose_project"] == "shop"


def test_two_ids_that_look_alike_once_they_are_harmless_stay_two(host: Host) -> None:
    ids = ("/lxc/a\x1b", "/lxc/a\\x1b", "/lxc/" + "x" * 600 + "1", "/lxc/" + "x" * 600 + "2")
    page = host.show(*(running(id=i, engine="lxc") for i in ids))
    assert len({dict(k)["id"] for k in page["tallyman_container_info"]}) == 4
