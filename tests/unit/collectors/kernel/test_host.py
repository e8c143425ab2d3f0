from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import CgroupMode
from collectors.hostfs import HostFS
from collectors.kernel.host import parse_cpu_list, parse_meminfo, read_host_facts

if TYPE_CHECKING:
    from pathlib import Path

STAT = "{pid} ({comm}) S 0 0 0 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 31 0 0 0 0 0 0 0 0 0 0 0 0\n"
KTHREAD = 0x00200000
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


class Tree:
    """A host of plain files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("proc", "sys", "etc"):
            (root / name).mkdir()

    def write(self, **files: str) -> None:
        for path, text in files.items():
            file = self.root / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def process(
        self, pid: str, namespaces: int | None, *, flags: int = 0, uts: int | None = None
    ) -> None:
        directory = self.root / "proc" / pid
        (directory / "ns").mkdir(parents=True)
        (directory / "stat").write_text(STAT.format(pid=pid, comm="x", flags=flags))
        if namespaces is not None:
            for kind in KINDS:
                number = uts if kind == "uts" and uts is not None else namespaces
                (directory / "ns" / kind).symlink_to(f"{kind}:[{number}]")

    def door(self) -> HostFS:
        return HostFS(str(self.root / "proc"), str(self.root / "sys"), str(self.root))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_what_the_machine_is(tree: Tree) -> None:
    tree.process("1", 4026531832)
    tree.write(
        proc__sys__kernel__hostname="node-1\n",
        proc__sys__kernel__osrelease="6.1.0-30-amd64\n",
        proc__sys__kernel__random__boot_id="aaaa-bbbb\n",
        proc__meminfo="MemTotal:       24684092 kB\nSwapTotal:        1024 kB\n",
        proc__stat="cpu  1 2\ncpu0 1 2\nbtime 1795456751\n",
        sys__devices__system__cpu__online="0-3,8\n",
        sys__class__dmi__id__product_uuid="4C4C4544-0042\n",
    )
    (tree.root / "etc/machine-id").write_text("3d1219c7\n")
    (tree.root / "sys/fs/cgroup").mkdir(parents=True)
    (tree.root / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory\n")
    facts = read_host_facts(tree.door())
    assert facts.nodename == "node-1"
    assert facts.kernel == "6.1.0-30-amd64"
    assert facts.boot_id == "aaaa-bbbb"
    assert facts.machine_id == "3d1219c7"
    assert facts.system_uuid == "4c4c4544-0042"
    assert facts.boot_time == 1795456751
    assert facts.cpus == 5
    assert facts.memory_bytes == 24684092 << 10
    assert facts.swap_bytes == 1 << 20
    assert facts.cgroups.mode is CgroupMode.V2
    assert facts.namespaces.mnt == 4026531832


def test_a_host_of_which_nothing_can_be_read(tree: Tree) -> None:
    facts = read_host_facts(tree.door())
    assert facts.nodename == ""
    assert facts.memory_bytes is None
    assert facts.cpus == 1
    assert facts.namespaces.mnt is None
    assert facts.root is not None


def test_kthreadd_stands_in_where_pid_1_cannot_be_read(tree: Tree) -> None:
    tree.process("1", None)
    tree.process("2", 4026531832, flags=KTHREAD)
    tree.process("self", 7)
    assert read_host_facts(tree.door()).namespaces.mnt == 4026531832


def test_a_pid_2_that_is_no_kernel_thread_says_nothing_of_the_host(tree: Tree) -> None:
    tree.process("1", None)
    tree.process("2", 999)
    tree.process("self", 7)
    assert read_host_facts(tree.door()).namespaces.mnt == 7


def test_an_agent_in_a_container_tells_the_hosts_name(tree: Tree) -> None:
    tree.process("1", 1)
    tree.process("self", 1, uts=2)
    tree.write(proc__sys__kernel__hostname="3f2a9c\n")
    (tree.root / "etc/hostname").write_text("node-1\n")
    assert read_host_facts(tree.door()).nodename == "node-1"


def test_without_sysfs_the_cpus_of_stat_count(tree: Tree) -> None:
    tree.write(proc__stat="cpu  1\ncpu0 1\ncpu1 1\ncpufreq 1\nintr 5\n")
    assert read_host_facts(tree.door()).cpus == 2


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 1), ("0-1", 2), ("0-3,8", 5), ("", 0), ("x", 0), ("0-", 0), ("-1", 0), ("٣", 0)],
)
def test_lists_of_cpus(text: str, count: int) -> None:
    assert parse_cpu_list(text) == count


@given(st.binary(max_size=200))
def test_any_meminfo_gives_sizes_or_nothing(raw: bytes) -> None:
    assert all(size >= 0 for size in parse_meminfo(raw).values())


def test_meminfo_knows_pages_from_kilobytes() -> None:
    found = parse_meminfo(b"MemTotal: 2 kB\nHugePages_Total: 3\nodd line\nMemFree: x kB\n")
    assert found == {"MemTotal": 2048, "HugePages_Total": 3}


@pytest.mark.parametrize(("procs", "all_there"), [("1\n10\n", True), ("1\n0\n0\n", False)])
def test_processes_that_are_hidden_have_no_number(
    tmp_path: Path, procs: str, *, all_there: bool
) -> None:
    tree = Tree(tmp_path)
    tree.write(sys__fs__cgroup__cgroup_controllers="")
    top = tmp_path / "sys/fs/cgroup"
    (top / "cgroup_controllers").rename(top / "cgroup.controllers")
    (top / "cgroup.procs").write_text(procs)
    host = HostFS(str(tmp_path / "proc"), str(tmp_path / "sys"), str(tmp_path))
    assert read_host_facts(host).all_processes is all_there
