from __future__ import annotations

import pytest

from agent.inventory.cgroup_names import (
    component_engine,
    container_engine,
    cut,
    engine_cgroup,
    is_helper,
    path_engine,
    strip_inner,
)
from collectors.kernel.cgroups import SYSTEMD
from tests.support.inventory import DOCKER, ID
from tests.support.processes import sighting


@pytest.mark.parametrize(
    ("component", "engine"),
    [
        (f"docker-{ID}.scope", "docker"),
        (f"libpod-{ID}.scope", "podman"),
        (f"libpod-{ID}", "podman"),
        (f"crio-{ID}.scope", "cri-o"),
        (f"cri-containerd-{ID}.scope", "containerd"),
        (f"nerdctl-{ID}.scope", "containerd"),
        ("lxc.payload.web", "lxc"),  # Incus and LXD have the same
        ("machine-web.scope", "nspawn"),
        ("systemd-nspawn@web.service", "nspawn"),
        (ID, ""),
        ("docker-web.scope", None),
        ("nginx.service", None),
    ],
)
def test_the_engine_of_a_cgroups_name(component: str, engine: str | None) -> None:
    assert component_engine(component) == engine


@pytest.mark.parametrize(
    ("path", "any_cgroup", "of_container"),
    [
        ("/lxc/101", "lxc", "lxc"),
        ("/lxc.payload/web", "lxc", "lxc"),
        (f"/docker/{ID}", "", "docker"),
        ("/docker/buildx", None, "docker"),
        ("/system.slice/buildkit/m8kv2qcq", None, "buildkit"),
        ("/user.slice", None, ""),
        ("", None, ""),
    ],
)
def test_the_engine_of_a_path(path: str, any_cgroup: str | None, of_container: str) -> None:
    assert path_engine(path) == any_cgroup
    assert container_engine(path) == of_container


@pytest.mark.parametrize(
    "component", [f"libpod-conmon-{ID}.scope", f"crio-conmon-{ID}.scope", "lxc.monitor.web"]
)
def test_an_engines_own_helper_is_none_of_its_containers(component: str) -> None:
    assert is_helper(component)
    assert component_engine(component) is None


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("/machine.slice/machine-x.scope/payload/init.scope", "/machine.slice/machine-x.scope"),
        ("/lxc/101/ns/init.scope", "/lxc/101"),
        ("/payload", "/payload"),
        ("/a/payload/b", "/a/payload/b"),
    ],
)
def test_cgroups_inside_the_containers_own_are_left_out(path: str, container: str) -> None:
    assert strip_inner(path) == container


def test_the_deepest_name_of_an_engine_counts() -> None:
    inner = f"{DOCKER}/docker-{'b' * 64}.scope"
    assert engine_cgroup({"": f"{inner}/init.scope"}, ()) == inner


def test_a_sighting_says_which_of_the_names_in_a_path_is_meant() -> None:
    path = f"{DOCKER}/lxc.payload.web"
    assert engine_cgroup({"": path}, [sighting(engine_id=ID)]) == DOCKER


def test_another_engines_name_is_not_that_of_the_container() -> None:
    path = f"{DOCKER}/lxc.payload.web"
    assert engine_cgroup({"": path}, [sighting(engine="podman", engine_id="web")]) == ""
    assert engine_cgroup({"": path}, [sighting(engine="incus", engine_id="web")]) == path


def test_the_cgroup_that_its_engine_names_counts_whatever_it_is_called() -> None:
    known = sighting(engine="lxc", engine_id="web", cgroup="/mine/web")
    assert engine_cgroup({"": "/mine/web/init.scope"}, [known]) == "/mine/web"


def test_systemds_hierarchy_comes_first() -> None:
    cgroups = {"cpu": "/lxc.payload.web", SYSTEMD: "/lxc.payload.db"}
    assert engine_cgroup(cgroups, ()) == "/lxc.payload.db"


def test_what_the_same_engine_runs_inside_a_container_is_not_the_container() -> None:
    """Docker in Docker: the inner one's scope has a name that fits, the outer one's the id."""
    outer = f"/system.slice/docker-{ID}.scope"
    path = f"{outer}/system.slice/docker-{'f' * 64}.scope"
    seen = sighting(engine="docker", engine_id=ID, cgroup=None)
    assert cut(path, [seen]) == outer
    inner = sighting(engine="docker", engine_id="f" * 64, cgroup=None)
    assert cut(path, [inner]) == path
