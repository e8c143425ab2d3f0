from __future__ import annotations

import pytest

from collectors.engines.shared.cgroup_paths import (
    cgroup_of,
    cgroup_paths,
    find_cgroup,
    is_named_after,
    prefixes,
)
from tests.support.engine_host import contained
from tests.support.processes import process

ID = "5ad0c2f4d5a4e1c0b9f1d8e7c6b5a49382716051423324150697887766554433"


def test_systemds_hierarchy_comes_first_then_the_unified_one() -> None:
    paths = {"pids": "/p", "": "/u", "memory": "/m", "name=systemd": "/s"}
    assert list(cgroup_paths(process(7, cgroups=paths))) == ["/s", "/u", "/m", "/p"]


def test_prefixes_are_the_cgroups_on_the_way() -> None:
    assert list(prefixes("/a/b")) == ["/a", "/a/b"]


def test_the_shallowest_cgroup_that_is_wanted_is_found() -> None:
    running = process(7, cgroup="/a/x/b/x")
    assert find_cgroup(running, lambda path: path.endswith("/x")) == "/a/x"
    assert find_cgroup(running, lambda path: path.endswith("/y")) is None


@pytest.mark.parametrize(
    ("part", "is_its"),
    [
        ("a", True),
        ("docker-a.scope", True),
        ("libpod-a", True),
        ("banana", False),
        ("a-b.scope", False),
        ("", False),
    ],
)
def test_short_ids_are_not_found_in_other_names(part: str, *, is_its: bool) -> None:
    assert is_named_after(part, "a") == is_its


def test_the_cgroup_is_the_shallowest_path_that_is_one() -> None:
    inner = {"name=systemd": f"/docker/{ID}/init.scope", "": f"/docker/{ID}"}
    running = contained(7, "/", cgroups=inner)
    assert cgroup_of(running, f"/docker/{ID}", ID) == f"/docker/{ID}"
    assert cgroup_of(running, None, ID) == f"/docker/{ID}"


def test_a_nested_containers_cgroup_lies_below_the_outer_one() -> None:
    running = contained(7, f"/docker/outer/docker/{ID}")
    assert cgroup_of(running, f"/docker/{ID}", ID) == f"/docker/outer/docker/{ID}"


def test_a_cgroup_that_was_asked_for_but_is_not_there_is_none() -> None:
    assert cgroup_of(contained(7, "/user.slice"), f"/docker/{ID}", ID) is None
    assert cgroup_of(contained(7, "/custom/one"), "/custom/one", "short") == "/custom/one"
    assert cgroup_of(contained(7, "/custom/oneself"), "/custom/one", "short") is None
