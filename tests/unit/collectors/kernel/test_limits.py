from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.facts import CgroupLayout, CgroupMode, HigherLimit, HostFacts, Limits
from collectors.hostfs import HostFS
from collectors.kernel.limits import read_limits

if TYPE_CHECKING:
    from pathlib import Path

V1 = HostFacts(
    cpus=4,
    cgroups=CgroupLayout(
        mode=CgroupMode.HYBRID,
        hierarchies={
            "cpu": "fs/cgroup/cpu,cpuacct",
            "memory": "fs/cgroup/memory",
            "pids": "fs/cgroup/pids",
            "cpuset": "fs/cgroup/cpuset",
            "": "fs/cgroup/unified",
        },
    ),
)
V2 = HostFacts(cpus=4, cgroups=CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"}))


def host(root: Path, files: dict[str, str]) -> HostFS:
    for name in ("proc", "sys"):
        (root / name).mkdir()
    for path, text in files.items():
        file = root / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return HostFS(str(root / "proc"), str(root / "sys"), str(root))


def v1_files(**changed: str) -> dict[str, str]:
    files = {
        "fs/cgroup/memory/docker/x/memory.limit_in_bytes": "67108864\n",
        "fs/cgroup/memory/docker/x/memory.memsw.limit_in_bytes": "134217728\n",
        "fs/cgroup/memory/docker/x/memory.soft_limit_in_bytes": "9223372036854771712\n",
        "fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "50000\n",
        "fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
        "fs/cgroup/cpu,cpuacct/docker/x/cpu.shares": "1024\n",
        "fs/cgroup/pids/docker/x/pids.max": "50\n",
    }
    for path in list(files):
        name = path.rpartition("/")[2].replace(".", "_")
        if name in changed:
            files[path] = changed[name]
    return files


V1_PATHS = dict.fromkeys(("cpu", "memory", "pids", "cpuset"), "/docker/x")


def test_reads_the_limits_of_cgroup_v1(tmp_path: Path) -> None:
    assert read_limits(host(tmp_path, v1_files()), V1, V1_PATHS) == Limits(
        memory_bytes=64 << 20,
        memory_swap_bytes=128 << 20,
        cpu_quota_us=50000,
        cpu_period_us=100000,
        cpu_shares=1024,
        pids=50,
        own_quota=True,
        seen=frozenset({"memory", "swap", "cpu", "pids"}),
    )


def test_no_limit_on_v1_is_none_and_seen(tmp_path: Path) -> None:
    files = v1_files(
        memory_limit_in_bytes="9223372036854771712\n",
        memory_memsw_limit_in_bytes="9223372036854771712\n",
        cpu_cfs_quota_us="-1\n",
        pids_max="max\n",
    )
    limits = read_limits(host(tmp_path, files), V1, V1_PATHS)
    assert (limits.memory_bytes, limits.memory_swap_bytes, limits.pids) == (None, None, None)
    assert (limits.cpu_quota_us, limits.cpu_period_us) == (None, None)
    assert limits.seen == {"memory", "swap", "cpu", "pids"}


def test_reads_the_limits_of_cgroup_v2(tmp_path: Path) -> None:
    where = "fs/cgroup/system.slice/docker-x.scope"
    files = {
        f"{where}/memory.max": "67108864\n",
        f"{where}/memory.swap.max": "max\n",
        f"{where}/memory.low": "1048576\n",
        f"{where}/memory.min": "4096\n",
        f"{where}/cpu.max": "150000 100000\n",
        f"{where}/cpu.weight": "100\n",
        f"{where}/pids.max": "max\n",
    }
    limits = read_limits(host(tmp_path, files), V2, {"": "/system.slice/docker-x.scope"})
    assert limits == Limits(
        memory_bytes=64 << 20,
        memory_reservation_bytes=1 << 20,
        cpu_quota_us=150000,
        cpu_period_us=100000,
        cpu_shares=1024,
        cpu_weight=100,
        own_quota=True,
        seen=frozenset({"memory", "swap", "cpu", "pids"}),
    )


def test_nothing_reserved_on_v2_is_no_reservation(tmp_path: Path) -> None:
    tree = host(tmp_path, {"fs/cgroup/x/memory.low": "0\n"})
    assert read_limits(tree, V2, {"": "/x"}).memory_reservation_bytes is None


@pytest.mark.parametrize("cgroups", [{}, {"memory": "/gone"}, {"": "/gone", "cpu": "/gone"}])
def test_what_cannot_be_read_is_not_seen(tmp_path: Path, cgroups: dict[str, str]) -> None:
    assert read_limits(host(tmp_path, v1_files()), V1, cgroups) == Limits()


def test_garbage_is_no_limit_and_not_seen(tmp_path: Path) -> None:
    files = v1_files(memory_limit_in_bytes="-7 x", cpu_cfs_period_us="", pids_max="\u0663")
    limits = read_limits(host(tmp_path, files), V1, V1_PATHS)
    assert limits.memory_bytes is None
    assert limits.pids is None
    assert not {"memory", "cpu", "pids"} & limits.seen


def v2_host(root: Path, files: dict[str, str]) -> HostFS:
    return host(root, {f"fs/cgroup/{path}": text for path, text in files.items()})


def test_memory_min_is_no_reservation(tmp_path: Path) -> None:
    tree = v2_host(tmp_path, {"x/memory.low": "0\n", "x/memory.min": "1048576\n"})
    assert read_limits(tree, V2, {"": "/x"}).memory_reservation_bytes is None


def test_no_swap_allowed_is_not_unlimited_swap(tmp_path: Path) -> None:
    tree = v2_host(tmp_path, {"x/memory.swap.max": "0\n", "y/memory.swap.max": "max\n"})
    none, unlimited = (read_limits(tree, V2, {"": path}) for path in ("/x", "/y"))
    assert (none.memory_swap_bytes, unlimited.memory_swap_bytes) == (0, None)
    assert "swap" in none.seen & unlimited.seen


@pytest.mark.parametrize(
    ("most", "high", "limit"), [("max", "4096", 4096), ("4096", "8192", 4096), ("max", "max", None)]
)
def test_memory_high_is_a_limit(tmp_path: Path, most: str, high: str, limit: int | None) -> None:
    tree = v2_host(tmp_path, {"x/memory.max": most, "x/memory.high": high})
    assert read_limits(tree, V2, {"": "/x"}).memory_bytes == limit


def test_the_least_limit_on_the_way_up_of_cgroup_v2_holds(tmp_path: Path) -> None:
    files = {
        "memory.max": "900\n",  # the root of a cgroup namespace
        "a.slice/memory.max": "500\n",
        "a.slice/memory.high": "400\n",
        "a.slice/memory.swap.max": "0\n",
        "a.slice/cpu.max": "50000 100000\n",
        "a.slice/b.service/memory.max": "max\n",
        "a.slice/b.service/memory.swap.max": "max\n",
        "a.slice/b.service/cpu.max": "max 100000\n",
        "a.slice/b.service/pids.max": "70\n",
        "a.slice/b.service/x/memory.max": "800\n",
        "a.slice/b.service/x/memory.swap.max": "max\n",
        "a.slice/b.service/x/cpu.max": "300000 200000\n",
        "a.slice/b.service/x/pids.max": "max\n",
    }
    limits = read_limits(v2_host(tmp_path, files), V2, {"": "/a.slice/b.service/x"})

    assert (limits.memory_bytes, limits.memory_swap_bytes, limits.pids) == (400, 0, 70)
    assert (limits.cpu_quota_us, limits.cpu_period_us, limits.cores) == (50000, 100000, 0.5)
    assert limits.own_quota
    assert limits.set_by("memory") == limits.set_by("cpu") == limits.set_by("swap") == "/a.slice"
    assert limits.set_by("pids") == "/a.slice/b.service"
    assert [(h.cgroup, h.value) for h in limits.higher if h.resource == "memory"] == [
        ("/a.slice", 500),
        ("/a.slice", 400),
        ("/", 900),
    ]


PODMAN_WITH_CRUN = {
    # podman 5.8, crun 1.28, systemd 262: podman run --memory=200m, so 200 MiB of swap.
    "machine.slice/memory.max": "max\n",
    "machine.slice/memory.swap.max": "max\n",
    "machine.slice/libpod-x.scope/memory.max": "209715200\n",
    "machine.slice/libpod-x.scope/memory.low": "33554432\n",
    "machine.slice/libpod-x.scope/memory.swap.max": "419430400\n",
    "machine.slice/libpod-x.scope/cpu.weight": "59\n",
    "machine.slice/libpod-x.scope/container/memory.max": "209715200\n",
    "machine.slice/libpod-x.scope/container/memory.low": "33554432\n",
    "machine.slice/libpod-x.scope/container/memory.swap.max": "209715200\n",
    "machine.slice/libpod-x.scope/container/cpu.weight": "59\n",
    "machine.slice/libpod-x.scope/container/init.scope/memory.max": "4096\n",
}


@pytest.mark.parametrize("inside", ["", "/init.scope"])
def test_what_crun_writes_below_systemds_scope_is_the_containers_own_limit(
    tmp_path: Path, inside: str
) -> None:
    scope = "/machine.slice/libpod-x.scope"
    first = {"": f"{scope}/container{inside}"}
    limits = read_limits(v2_host(tmp_path, PODMAN_WITH_CRUN), V2, {"": scope}, first)
    assert (limits.memory_bytes, limits.memory_swap_bytes) == (200 << 20, 200 << 20)
    assert (limits.memory_reservation_bytes, limits.cpu_shares) == (32 << 20, 512)
    assert limits.higher == ()


def test_a_cgroup_below_that_is_not_cruns_is_no_limit_of_the_container(tmp_path: Path) -> None:
    files = {"x/memory.max": "max\n", "x/init.scope/memory.max": "4096\n"}
    tree = v2_host(tmp_path, {**files, "x/containers/memory.max": "4096\n"})
    for below in ("/x/init.scope", "/x/containers", "/y/container"):
        assert read_limits(tree, V2, {"": "/x"}, {"": below}).memory_bytes is None


def test_its_own_limit_holds_where_it_is_the_least_or_as_small(tmp_path: Path) -> None:
    files = {"a/memory.max": "500\n", "a/x/memory.max": "500\n"}
    limits = read_limits(v2_host(tmp_path, files), V2, {"": "/a/x"})
    assert (limits.memory_bytes, limits.set_by("memory")) == (500, None)
    assert limits.higher == (HigherLimit(resource="memory", cgroup="/a", value=500),)


def test_what_its_own_cgroup_has_no_controller_for_is_limited_above(tmp_path: Path) -> None:
    files = {"a/cpu.max": "20000 100000\n", "a/x/memory.max": "max\n"}
    limits = read_limits(v2_host(tmp_path, files), V2, {"": "/a/x"})
    assert (limits.cores, limits.own_quota, limits.set_by("cpu")) == (0.2, False, "/a")
    assert limits.seen == {"memory", "cpu"}


def test_the_least_limit_on_the_way_up_of_cgroup_v1_holds(tmp_path: Path) -> None:
    files = v1_files(cpu_cfs_quota_us="-1\n", pids_max="max\n") | {
        "fs/cgroup/memory/docker/memory.limit_in_bytes": "33554432\n",
        "fs/cgroup/memory/docker/x/memory.stat": "cache 0\nhierarchical_memory_limit 33554432\n",
        "fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us": "150000\n",
        "fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us": "100000\n",
        "fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "fs/cgroup/pids/docker/pids.max": "30\n",
    }
    limits = read_limits(host(tmp_path, files), V1, V1_PATHS)
    assert (limits.memory_bytes, limits.cores, limits.pids) == (32 << 20, 1.5, 30)
    assert {limits.set_by(r) for r in ("memory", "cpu", "pids")} == {"/docker"}
    assert not limits.own_quota


def test_a_limit_above_does_not_hold_without_use_hierarchy(tmp_path: Path) -> None:
    files = v1_files() | {
        "fs/cgroup/memory/docker/memory.limit_in_bytes": "33554432\n",
        "fs/cgroup/memory/docker/x/memory.stat": "hierarchical_memory_limit 67108864\n",
    }
    limits = read_limits(host(tmp_path, files), V1, V1_PATHS)
    assert (limits.memory_bytes, limits.set_by("memory"), limits.higher) == (64 << 20, None, ())


def test_a_limit_above_all_that_is_visible_is_known_by_the_kernels_word(tmp_path: Path) -> None:
    files = v1_files() | {
        "fs/cgroup/memory/docker/x/memory.stat": "hierarchical_memory_limit 4096\n"
        "hierarchical_memsw_limit 8192\n",
    }
    limits = read_limits(host(tmp_path, files), V1, V1_PATHS)
    assert (limits.memory_bytes, limits.set_by("memory")) == (4096, "")
    assert (limits.memory_swap_bytes, limits.set_by("swap")) == (8192, "")


@pytest.mark.parametrize(("cpus", "limit"), [("0-1", 2), ("3", 1), ("0-3", None), ("", None)])
def test_a_cpuset_of_fewer_cpus_than_the_host_has_is_a_limit(
    tmp_path: Path, cpus: str, limit: int | None
) -> None:
    files = {"fs/cgroup/x/cpuset.cpus": f"{cpus}\n", "fs/cgroup/cpuset/x/cpuset.cpus": f"{cpus}\n"}
    tree = host(tmp_path, files)
    for facts, controller in ((V1, "cpuset"), (V2, "")):
        limits = read_limits(tree, facts, {controller: "/x"})
        assert (limits.cpus, limits.cores, limits.set_by("cpu")) == (limit, limit, None)


def test_a_cpuset_above_is_a_limit_and_so_is_what_two_have_in_common(tmp_path: Path) -> None:
    files = {
        "a.slice/cpuset.cpus": "0-2\n",
        "a.slice/x/cpuset.cpus": "\n",
        "a.slice/x/cpuset.cpus.effective": "0-2\n",
        "a.slice/y/cpuset.cpus": "2-3\n",
        "a.slice/y/cpuset.cpus.effective": "2\n",
    }
    tree = v2_host(tmp_path, files)
    x, y = (read_limits(tree, V2, {"": f"/a.slice/{name}"}) for name in "xy")
    assert (x.cpus, x.set_by("cpu")) == (3, "/a.slice")
    assert (y.cpus, y.set_by("cpu")) == (1, None)


def test_cores_are_the_lesser_of_quota_and_cpuset() -> None:
    assert Limits(cpu_quota_us=150, cpu_period_us=100, cpus=1).cores == 1
    assert Limits(cpu_quota_us=150, cpu_period_us=100, cpus=2).cores == 1.5
    assert Limits().cores is None


def test_a_container_without_a_cgroup_of_its_own_is_limited_with_those_beside_it(
    tmp_path: Path,
) -> None:
    files = {
        "a.slice/b.service/memory.max": "500\n",
        "a.slice/b.service/pids.max": "max\n",
        "a.slice/b.service/cpu.max": "max 100000\n",
        "a.slice/b.service/cpu.weight": "200\n",
        "a.slice/cpu.max": "50000 100000\n",
    }
    limits = read_limits(v2_host(tmp_path, files), V2, {}, {"": "/a.slice/b.service"})
    assert (limits.memory_bytes, limits.set_by("memory")) == (500, "/a.slice/b.service")
    assert (limits.cores, limits.set_by("cpu"), limits.own_quota) == (0.5, "/a.slice", False)
    assert (limits.pids, limits.cpu_shares) == (None, None)
    # That others have no limit says nothing of the container.
    assert limits.seen == {"memory", "cpu"}


def test_a_cgroup_outside_of_the_namespace_is_not_looked_for(tmp_path: Path) -> None:
    tree = v2_host(tmp_path, {"../pids.max": "9\n", "pids.max": "9\n"})
    assert read_limits(tree, V2, {"": "/../x"}) == Limits()


def test_what_cgroups_have_in_common_is_read_once(tmp_path: Path) -> None:
    tree = v2_host(tmp_path, {"a/pids.max": "9\n", "a/x/pids.max": "7\n", "a/y/pids.max": "8\n"})
    shared: dict[str, str | None] = {}
    assert read_limits(tree, V2, {"": "/a/x"}, shared=shared).pids == 7
    (tmp_path / "sys/fs/cgroup/a/pids.max").write_text("1\n")
    assert read_limits(tree, V2, {"": "/a/y"}, shared=shared).pids == 8
    assert read_limits(tree, V2, {"": "/a/y"}).pids == 1
