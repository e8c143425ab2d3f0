from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import CgroupLayout, CgroupMode, Limits
from collectors.hostfs import HostFS
from collectors.kernel.limits import read_limits, shares_of_weight

if TYPE_CHECKING:
    from pathlib import Path

V1 = CgroupLayout(
    mode=CgroupMode.HYBRID,
    hierarchies={
        "cpu": "fs/cgroup/cpu,cpuacct",
        "memory": "fs/cgroup/memory",
        "pids": "fs/cgroup/pids",
        "": "fs/cgroup/unified",
    },
)
V2 = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"})


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


V1_PATHS = dict.fromkeys(("cpu", "memory", "pids"), "/docker/x")


def test_reads_the_limits_of_cgroup_v1(tmp_path: Path) -> None:
    assert read_limits(host(tmp_path, v1_files()), V1, V1_PATHS) == Limits(
        memory_bytes=64 << 20,
        memory_swap_bytes=128 << 20,
        cpu_quota_us=50000,
        cpu_period_us=100000,
        cpu_shares=1024,
        pids=50,
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
        f"{where}/memory.min": "1048576\n",
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
        cpu_shares=2597,
        seen=frozenset({"memory", "swap", "cpu", "pids"}),
    )


def test_nothing_reserved_on_v2_is_no_reservation(tmp_path: Path) -> None:
    tree = host(tmp_path, {"fs/cgroup/x/memory.min": "0\n"})
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


@given(st.integers(1, 10_000))
def test_weights_become_shares_as_cadvisor_converts_them(weight: int) -> None:
    assert 2 <= shares_of_weight(weight) <= 262_144


def test_the_default_weight_becomes_what_cadvisor_shows() -> None:
    assert (shares_of_weight(1), shares_of_weight(100), shares_of_weight(10_000)) == (
        2,
        2597,
        262144,
    )
