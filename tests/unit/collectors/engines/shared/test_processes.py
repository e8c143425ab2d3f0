from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.shared.processes import (
    alive,
    cgroup_of,
    cgroup_prefix,
    exe_name,
    host_numbers,
    is_first_of,
    is_named_after,
    on_host,
    option,
    options,
    place_of,
    root_of,
    shortest,
)
from tests.support.engine_host import FACTS, EngineHost, contained
from tests.support.processes import process

ID = "5ad0c2f4d5a4e1c0b9f1d8e7c6b5a49382716051423324150697887766554433"


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def test_a_program_is_known_by_its_binary_even_after_an_upgrade() -> None:
    assert exe_name(process(7, exe="/usr/bin/dockerd (deleted)", comm="x")) == "dockerd"
    assert exe_name(process(7, exe=None, comm="dockerd")) == "dockerd"


@pytest.mark.parametrize(
    "argv",
    [
        ("dockerd", "-H", "unix:///a", "--host=unix:///b"),
        ("dockerd", "-H=unix:///a", "--debug", "--host", "unix:///b"),
    ],
)
def test_options_in_all_their_spellings(argv: tuple[str, ...]) -> None:
    assert options(argv, "-H", "--host") == ["unix:///a", "unix:///b"]
    assert option(argv, "-H", "--host") == "unix:///a"
    assert option(argv, "--data-root") == ""


def test_an_option_without_a_value_is_none() -> None:
    assert options(("dockerd", "-H"), "-H") == []
    assert option((), "-H") == ""


def test_var_run_is_run() -> None:
    assert shortest("/var/run/docker.sock") == "/run/docker.sock"
    assert shortest("/var/running/x") == "/var/running/x"


def test_rootless_engines_are_on_the_host_and_nested_ones_are_not(host: EngineHost) -> None:
    rootless = process(7, ns={"mnt": 900, "user": 901})
    nested = contained(8, "/docker/outer")
    context = host.context(rootless, nested)
    assert on_host(context, rootless)
    assert place_of(context, rootless) == ""
    assert not on_host(context, nested)
    assert place_of(context, nested) == "/docker/outer:"


def test_a_container_without_a_cgroup_is_named_after_its_mounts(host: EngineHost) -> None:
    nested = contained(8, "/")
    assert place_of(host.context(nested), nested) == f"mnt {nested.namespaces.mnt}:"


def test_paths_of_a_nested_engine_lead_into_its_container_only(host: EngineHost) -> None:
    nested = contained(8, "/docker/outer")
    host.write("/etc/secret", "the host's")
    host.write("/inside/etc/own", "its own")
    host.link("/inside/etc/trap", "/etc/secret")
    host.enter(8, "root", "/inside")
    context = host.context(nested)
    with root_of(context, nested) as root:
        assert root.read_text("/etc/own") == "its own"
        assert not root.exists("/etc/trap")
    with root_of(context, None) as root:
        assert root.read_text("/etc/secret") == "the host's"


def test_a_zombie_does_not_run(host: EngineHost) -> None:
    context = host.context(process(7, state="Z"), process(8))
    assert alive(context, 7) is None
    assert alive(context, 8) is not None
    assert alive(context, 9) is None
    assert alive(context, None) is None


def test_a_first_process_is_known_by_its_cgroup_or_its_parent(host: EngineHost) -> None:
    shim = process(5, argv=("containerd-shim-runc-v2", "-id", ID))
    by_cgroup = contained(7, f"/x/docker-{ID}.scope")
    by_parent = contained(8, "/elsewhere", ppid=5)
    stranger = contained(9, "/elsewhere")
    context = host.context(shim, by_cgroup, by_parent, stranger)
    assert is_first_of(context, by_cgroup, ID)
    assert is_first_of(context, by_parent, ID)
    assert not is_first_of(context, stranger, ID)


def test_a_number_that_was_used_again_is_younger_than_the_file_that_names_it(
    host: EngineHost,
) -> None:
    found = contained(9, "/elsewhere")
    context = host.context(found)
    started = FACTS.boot_time + found.id.start_ticks / 100
    assert is_first_of(context, found, ID, started + 1)
    assert not is_first_of(context, found, ID, started - 10)


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


def test_a_nested_engines_numbers_mean_its_own_processes_only(host: EngineHost) -> None:
    engine = process(50, ns={"pid": 77, "mnt": 78}, root=1, ns_pids=(50, 10))
    shim = process(51, 50, ns={"pid": 77, "mnt": 78}, root=1, ns_pids=(51, 20))
    init = process(52, 51, ns={"pid": 79, "mnt": 80}, root=2, ns_pids=(52, 21, 1))
    neighbour = process(60, 1, ns={"pid": 81, "mnt": 82}, root=3, ns_pids=(60, 21))
    context = host.context(engine, shim, init, neighbour)
    numbers = host_numbers(context, engine)
    assert {number: p.pid for number, p in numbers.items()} == {10: 50, 20: 51, 21: 52}


def test_an_engine_with_the_hosts_pid_namespace_counts_as_the_host_does(host: EngineHost) -> None:
    engine = process(50, ns={"mnt": 78}, ns_pids=(50,))
    context = host.context(engine)
    assert set(host_numbers(context, engine)) == {1, 50}


def test_a_loop_of_parents_ends(host: EngineHost) -> None:
    engine = process(50, ns={"pid": 77}, ns_pids=(50, 10))
    one = process(60, 61, ns={"pid": 90}, ns_pids=(60, 5))
    other = process(61, 60, ns={"pid": 90}, ns_pids=(61, 6))
    assert set(host_numbers(host.context(engine, one, other), engine)) == {10}


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


def test_what_a_nested_engine_sees_as_the_top_of_the_cgroups(host: EngineHost) -> None:
    nested = contained(8, "/docker/outer/dockerd")
    lines = (
        "30 1 0:30 /docker/outer /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
        "31 1 0:31 /docker/outer /sys/fs/cgroup/systemd ro - cgroup cgroup rw,name=systemd",
    )
    host.write("proc:8/mountinfo", "\n".join(lines))
    context = host.context(nested, process(9))
    assert cgroup_prefix(context, nested) == "/docker/outer"
    assert cgroup_prefix(context, process(9)) == ""
