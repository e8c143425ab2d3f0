from __future__ import annotations

import errno
import os
import resource
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.metrics import DEFAULT_GROUPS
from collectors.facts import CgroupLayout, CgroupMode, ProcessId
from collectors.hostfs import HostFS
from collectors.kernel.counters import CounterReader, HostCounters, Scalar, Table, Target, calls
from collectors.kernel.counters import reader as reader_module
from collectors.kernel.counters.files import RECHECK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collectors.kernel.counters import Counters

V2 = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"})
CPU = "usage_usec {}\nuser_usec 1\nsystem_usec 1\n"
NET_DEV = "head\nhead\n  eth0: {} 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
STAT = "{} (sh (x) S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 {} 0 0 0 0 0 0 0 0 0 0 0 0"


class Tree:
    """A host of plain files, in which containers come, go and count."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("proc", "sys"):
            (root / name).mkdir()
        self.host = HostFS(str(root / "proc"), str(root / "sys"), str(root))

    def cgroup(self, name: str, **files: str) -> Path:
        path = self.root / "sys/fs/cgroup" / name
        path.mkdir(parents=True)
        self.write(
            path,
            **{
                "cpu.stat": CPU.format(1),
                "memory.current": "1000\n",
                "memory.stat": "anon 1\ninactive_file 100\n",
                "pids.current": "1\n",
                "cgroup.procs": "7\n",
            }
            | files,
        )
        return path

    @staticmethod
    def write(path: Path, **files: str) -> None:
        for file, text in files.items():
            (path / file).write_text(text)

    def process(self, pid: int, start_ticks: int = 50, received: int = 1) -> Path:
        path = self.root / "proc" / str(pid)
        (path / "net").mkdir(parents=True)
        (path / "stat").write_text(STAT.format(pid, start_ticks))
        (path / "net/dev").write_text(NET_DEV.format(received))
        return path

    def reader(self, first: calls.Calls = calls.RELEASES_GIL) -> CounterReader:
        return CounterReader(self.host, V2, DEFAULT_GROUPS, ways=(first, calls.HOLDS_GIL))


def _pread(fd: int) -> bytes:
    if not os.fstat(fd).st_nlink:
        raise OSError(errno.ENODEV, "No such device")
    return calls.RELEASES_GIL.pread(fd)


GONE_IS_ENODEV = calls.RELEASES_GIL._replace(pread=_pread)
"""Answers as a cgroup does that was removed while a file of it was open."""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def reader(tree: Tree) -> Iterator[CounterReader]:
    made = tree.reader()
    yield made
    made.close()


def target(name: str, pid: int | None = None, **more: object) -> Target:
    init = ProcessId(pid, 50) if pid is not None else None
    return replace(Target(id=f"/{name}", cgroups={"": f"/{name}"}, init=init), **more)  # type: ignore[arg-type]


def scalar(counters: Counters | None, which: Scalar) -> bytes | None:
    assert counters is not None
    return counters.scalars[which]


def test_reads_each_container_in_the_order_in_which_they_were_named(
    tree: Tree, reader: CounterReader
) -> None:
    for name, use in (("b", 2_000_000), ("a", 1_000_000)):
        tree.cgroup(name, **{"cpu.stat": CPU.format(use)})
    reader.update([target("b"), target("a"), target("never")])
    b, a, never = reader.read()
    assert scalar(b, Scalar.CPU_USAGE) == b"2.000000"
    assert scalar(a, Scalar.CPU_USAGE) == b"1.000000"
    assert never is None


def test_what_the_kernel_does_not_offer_is_unknown(tree: Tree, reader: CounterReader) -> None:
    tree.cgroup("a")
    reader.update([target("a")])
    (counters,) = reader.read()
    assert scalar(counters, Scalar.MEMORY_MAX_USAGE) is None
    assert scalar(counters, Scalar.PRESSURE_CPU_SOME) is None
    assert scalar(counters, Scalar.MEMORY_WORKING_SET) == b"900"


def test_descriptors_stay_open_and_show_what_is_new(tree: Tree, reader: CounterReader) -> None:
    path = tree.cgroup("a")
    reader.update([target("a")])
    reader.read()
    kept = reader.kept
    assert 0 < kept <= reader_module.MOST_KEPT
    before = set(os.listdir("/proc/self/fd"))
    tree.write(path, **{"memory.current": "5000\n"})
    (counters,) = reader.read()
    assert scalar(counters, Scalar.MEMORY_USAGE) == b"5000"
    assert scalar(counters, Scalar.MEMORY_WORKING_SET) == b"4900"
    assert reader.kept == kept
    assert set(os.listdir("/proc/self/fd")) == before


def test_an_unchanged_container_costs_no_new_objects(tree: Tree, reader: CounterReader) -> None:
    tree.cgroup("a")
    reader.update([target("a")])
    (first,) = reader.read()
    (second,) = reader.read()
    assert first is second


def test_a_reading_is_not_changed_by_the_next(tree: Tree, reader: CounterReader) -> None:
    path = tree.cgroup("a")
    reader.update([target("a")])
    (first,) = reader.read()
    tree.write(path, **{"memory.current": "5000\n"})
    reader.read()
    assert scalar(first, Scalar.MEMORY_USAGE) == b"1000"


def test_without_cpu_time_only_what_others_can_move_is_read(
    tree: Tree, reader: CounterReader
) -> None:
    path = tree.cgroup("a")
    reader.update([target("a")])
    reader.read()
    tree.write(path, **{"pids.current": "9\n", "memory.current": "2000\n"})
    (counters,) = reader.read()
    assert scalar(counters, Scalar.THREADS) == b"1"
    assert scalar(counters, Scalar.MEMORY_USAGE) == b"2000"
    tree.write(path, **{"cpu.stat": CPU.format(2)})
    (counters,) = reader.read()
    assert scalar(counters, Scalar.THREADS) == b"9"


def test_now_and_then_everything_is_read_all_the_same(tree: Tree, reader: CounterReader) -> None:
    path = tree.cgroup("a")
    reader.update([target("a")])
    reader.read()
    tree.write(path, **{"pids.current": "9\n"})
    seen = [scalar(reader.read()[0], Scalar.THREADS) for _ in range(RECHECK)]
    assert seen[-1] == b"9"


def test_a_container_that_is_gone_costs_nobody_else(tree: Tree) -> None:
    reader = tree.reader(GONE_IS_ENODEV)
    gone = tree.cgroup("a")
    tree.cgroup("b")
    reader.update([target("a"), target("b")])
    reader.read()
    shutil.rmtree(gone)
    a, b = reader.read()
    reader.close()
    assert a is None
    assert scalar(b, Scalar.MEMORY_USAGE) == b"1000"


def test_a_restarted_container_is_read_in_the_same_scrape(tree: Tree) -> None:
    reader = tree.reader(GONE_IS_ENODEV)
    path = tree.cgroup("a")
    reader.update([target("a")])
    reader.read()
    shutil.rmtree(path)
    tree.cgroup("a", **{"cpu.stat": CPU.format(77), "memory.current": "3000\n"})
    (counters,) = reader.read()
    reader.close()
    assert scalar(counters, Scalar.CPU_USAGE) == b"0.000077"
    assert scalar(counters, Scalar.MEMORY_USAGE) == b"3000"


def test_a_container_that_comes_back_is_read_at_once(tree: Tree, reader: CounterReader) -> None:
    reader.update([target("a")])
    assert reader.read() == [None]
    tree.cgroup("a")
    (counters,) = reader.read()
    assert scalar(counters, Scalar.MEMORY_USAGE) == b"1000"


def test_a_value_whose_file_is_lost_is_unknown_and_not_what_it_was(tree: Tree) -> None:
    reader = tree.reader(GONE_IS_ENODEV)
    path = tree.cgroup("a")
    reader.update([target("a")])
    reader.read()
    (path / "memory.stat").unlink()
    (counters,) = reader.read()
    reader.close()
    assert scalar(counters, Scalar.MEMORY_RSS) is None
    assert scalar(counters, Scalar.MEMORY_WORKING_SET) is None
    assert scalar(counters, Scalar.MEMORY_USAGE) == b"1000"


def test_a_denied_file_is_counted_and_the_others_are_read(tree: Tree) -> None:
    tree.cgroup("a")

    def refuse(path: str, directory: int) -> int:
        if path.endswith("memory.stat"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return calls.RELEASES_GIL.open(path, directory)

    reader = tree.reader(calls.RELEASES_GIL._replace(open=refuse))
    reader.update([target("a")])
    (counters,) = reader.read()
    reader.close()
    assert scalar(counters, Scalar.MEMORY_USAGE) == b"1000"
    assert tree.host.tally.denied.total() == 1


def test_network_by_the_first_process(tree: Tree, reader: CounterReader) -> None:
    tree.cgroup("a")
    process = tree.process(7)
    reader.update([target("a", 7)])
    (counters,) = reader.read()
    assert counters is not None
    ((key, values),) = counters.tables[Table.NETWORK]
    assert (key, values[0]) == (("eth0",), b"1")
    (process / "net/dev").write_text(NET_DEV.format(12345))
    (counters,) = reader.read()
    assert counters is not None
    assert counters.tables[Table.NETWORK][0][1][0] == b"12345"


def test_a_network_that_is_not_its_own_is_not_shown(tree: Tree, reader: CounterReader) -> None:
    tree.cgroup("a")
    tree.process(7)
    reader.update([target("a", 7, own_network=False)])
    (counters,) = reader.read()
    assert counters is not None
    assert Table.NETWORK not in counters.tables


def test_a_process_of_the_same_number_that_started_later_is_another(
    tree: Tree, reader: CounterReader
) -> None:
    tree.cgroup("a")
    tree.process(7, start_ticks=51)
    reader.update([target("a", 7)])
    (counters,) = reader.read()
    assert counters is not None
    assert Table.NETWORK not in counters.tables


def test_nothing_below_a_process_stays_open(tree: Tree, reader: CounterReader) -> None:
    tree.cgroup("a")
    process = tree.process(7)
    reader.update([target("a", 7)])
    reader.read()
    reader.read()
    open_now = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{fd}")]  # fmt: skip
    below = [path for path in open_now if path.startswith(str(process))]
    assert below == [str(process)]


def test_network_goes_away_with_the_process(tree: Tree, reader: CounterReader) -> None:
    tree.cgroup("a")
    process = tree.process(7)
    reader.update([target("a", 7)])
    reader.read()
    shutil.rmtree(process)
    (counters,) = reader.read()
    assert counters is not None
    assert Table.NETWORK not in counters.tables


def test_a_container_without_a_cgroup_is_there_while_its_process_is(
    tree: Tree, reader: CounterReader
) -> None:
    process = tree.process(7)
    reader.update([target("a", 7, cgroups={})])
    (counters,) = reader.read()
    assert scalar(counters, Scalar.CPU_USAGE) is None
    shutil.rmtree(process)
    assert reader.read() == [None]


def test_processes_of_inner_cgroups_count(tree: Tree, reader: CounterReader) -> None:
    path = tree.cgroup("a", **{"cgroup.procs": "1\n2\n", "pids.current": "9\n"})
    for name, procs in (("a/x", "3\n"), ("a/x/y", "4\n5\n"), ("a/z", "")):
        tree.cgroup(name, **{"cgroup.procs": procs})
    reader.update([target("a")])
    (counters,) = reader.read()
    assert scalar(counters, Scalar.PROCESSES) == b"5"
    assert scalar(counters, Scalar.THREADS) == b"9"
    assert path.is_dir()


def test_beyond_the_budget_files_are_opened_and_closed_and_values_are_the_same(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        tree.cgroup(name)
    tree.process(7)
    targets = [target("a", 7), target("b")]
    generous = tree.reader()
    generous.update(targets)
    plenty = generous.read()
    monkeypatch.setattr(reader_module, "raise_descriptor_limit", lambda: 6)
    poor = tree.reader()
    poor.update(targets)
    for _ in range(3):
        assert [c.scalars for c in poor.read() if c] == [c.scalars for c in plenty if c]
    assert poor.descriptor_limit == 3
    assert poor.kept <= 3
    for made in (generous, poor):
        made.close()
        assert made.kept == 0


def test_many_containers_share_the_descriptors(tree: Tree, reader: CounterReader) -> None:
    for n in range(4):
        tree.cgroup(str(n))
    reader.descriptor_limit = 8
    reader.update([target("0")])
    reader.read()
    assert reader.kept == 4
    reader.update([target(str(n)) for n in range(4)])
    assert reader.kept <= 2
    reader.read()
    assert reader.kept <= 8


def test_containers_that_left_leave_no_descriptor(tree: Tree) -> None:
    for n in range(5):
        tree.cgroup(str(n))
        tree.process(n + 10)
    reader = tree.reader()
    before = len(os.listdir("/proc/self/fd"))
    reader.update([target(str(n), n + 10) for n in range(5)])
    reader.read()
    reader.update([target("0", 10)])
    reader.read()
    reader.update([])
    assert reader.read() == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_new_containers_can_be_read_ahead_a_few_at_a_time(
    tree: Tree, reader: CounterReader
) -> None:
    for n in range(5):
        tree.cgroup(str(n))
    reader.update([target(str(n)) for n in range(5)])
    assert reader.warm(3)
    assert not reader.warm(3)
    assert reader.kept > 0


@pytest.mark.parametrize(("waits", "expected"), [(10, "holds"), (0, "releases")])
def test_a_reader_that_had_to_wait_keeps_the_interpreter(
    tree: Tree, waits: int, expected: str
) -> None:
    used: list[str] = []

    def spy(name: str, way: calls.Calls) -> calls.Calls:
        def pread(fd: int) -> bytes:
            used.append(name)
            return way.pread(fd)

        return way._replace(pread=pread)

    for n in range(3):
        tree.cgroup(str(n))
    # The second container takes a second: by waiting for other threads, or because the machine
    # had something else to do.
    times = iter([0.0, 0.0, 0.0001, 1.0, 2.0, 3.0, 3.0001, 0.0])
    waited = iter([0, waits])
    reader = CounterReader(
        tree.host,
        V2,
        DEFAULT_GROUPS,
        ways=(spy("releases", calls.RELEASES_GIL), spy("holds", calls.HOLDS_GIL)),
        clock=lambda: next(times),
        waits=lambda: next(waited),
    )
    reader.update([target(str(n)) for n in range(3)])
    reader.read()
    reader.close()
    assert used[0] == "releases"
    assert used[len(used) // 2] == "releases"
    assert used[-1] == expected


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        assert reader_module.raise_descriptor_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_huge_pages_are_read_where_the_host_has_any(tree: Tree) -> None:
    size = tree.root / "sys/kernel/mm/hugepages/hugepages-2048kB"
    size.mkdir(parents=True)
    tree.write(size, nr_hugepages="0\n", nr_overcommit_hugepages="0\n")
    tree.cgroup("a", **{"hugetlb.2MB.current": "4194304\n"})
    now = [0.0]
    reader = CounterReader(tree.host, V2, DEFAULT_GROUPS, clock=lambda: now[0])
    same = target("a")
    reader.update([same])
    (counters,) = reader.read()
    assert counters is not None
    assert Table.HUGETLB not in counters.tables
    tree.write(size, nr_hugepages="5\n")
    now[0] = 61.0
    reader.update([same])
    (counters,) = reader.read()
    assert counters is not None
    assert counters.tables[Table.HUGETLB] == ((("2MB",), (b"4194304", None)),)
    reader.close()


def test_the_host_is_read_from_proc(tree: Tree) -> None:
    proc = tree.root / "proc"
    tree.process(1, received=99)
    tree.write(
        proc,
        stat="cpu  100 0 0 0 0 0 0 0\n",
        meminfo="MemTotal: 10 kB\nMemFree: 4 kB\n",
        vmstat="pgfault 5\noom_kill 2\n",
        loadavg="0.2 0.1 0.1 1/80 11206\n",
    )
    counters = HostCounters(tree.host, DEFAULT_GROUPS).read()
    assert counters.scalars[Scalar.CPU_USAGE] == b"1.00"
    assert counters.scalars[Scalar.MEMORY_USAGE] == b"6144"
    assert counters.scalars[Scalar.OOM_KILLS] == b"2"
    assert counters.scalars[Scalar.THREADS] == b"80"
    assert counters.tables[Table.NETWORK][0][1][0] == b"99"
    assert counters.scalars[Scalar.PRESSURE_CPU_SOME] is None
