from __future__ import annotations

import os
import resource
import shutil

import pytest

from agent.metrics import DEFAULT_GROUPS
from collectors.facts import CgroupLayout, CgroupMode
from collectors.kernel.counters import CounterReader, Scalar, Table, calls
from collectors.kernel.counters import reader as reader_module
from tests.support.counter_tree import CPU, GONE_IS_ENODEV, V2, CounterTree, scalar, target


def test_reads_each_container_in_the_order_in_which_they_were_named(
    tree: CounterTree, reader: CounterReader
) -> None:
    for name, use in (("b", 2_000_000), ("a", 1_000_000)):
        tree.cgroup(name, **{"cpu.stat": CPU.format(use)})
    reader.update([target("b"), target("a"), target("never")])
    b, a, never = reader.read()
    assert scalar(b, Scalar.CPU_USAGE) == b"2.000000"
    assert scalar(a, Scalar.CPU_USAGE) == b"1.000000"
    assert never is None


def test_a_container_that_is_gone_costs_nobody_else(tree: CounterTree) -> None:
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


def test_beyond_the_budget_files_are_opened_and_closed_and_values_are_the_same(
    tree: CounterTree, monkeypatch: pytest.MonkeyPatch
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


def hybrid(tree: CounterTree) -> CounterReader:
    """Return a reader of a host where two hierarchies tell the CPU time of /a."""
    for hierarchy, file, text in (
        ("unified", "cpu.stat", CPU.format(9_000_000)),
        ("cpuacct", "cpuacct.usage", "8000000000"),
    ):
        path = tree.root / "sys/fs/cgroup" / hierarchy / "a"
        path.mkdir(parents=True)
        tree.write(path, **{file: text})
    where = {"": "fs/cgroup/unified", "cpuacct": "fs/cgroup/cpuacct"}
    layout = CgroupLayout(mode=CgroupMode.HYBRID, hierarchies=where)
    return CounterReader(tree.host, layout, DEFAULT_GROUPS)


BOTH = {"": "/a", "cpuacct": "/a"}


@pytest.mark.parametrize(
    ("first", "value"),
    [
        pytest.param({"": "/a", "cpuacct": "/a"}, b"9.000000", id="unified"),
        pytest.param({"cpuacct": "/a"}, b"8.000000000", id="cpuacct"),
    ],
)
@pytest.mark.parametrize("then", [{"cpuacct": "/a"}, {"": "/a"}, BOTH, {}])
def test_the_cpu_time_is_read_in_one_hierarchy_for_the_life_of_a_container(
    tree: CounterTree, first: dict[str, str], value: bytes, then: dict[str, str]
) -> None:
    tree.process(7)
    reader = hybrid(tree)
    for cgroups in (first, then, BOTH):
        reader.update([target("a", 7, cgroups=cgroups)])
        (counters,) = reader.read()
        assert scalar(counters, Scalar.CPU_USAGE) == value
    reader.close()


def test_a_new_life_is_read_where_it_is_best(tree: CounterTree) -> None:
    tree.process(7)
    tree.process(8)
    reader = hybrid(tree)
    for pid, cgroups in ((7, {"cpuacct": "/a"}), (8, BOTH)):
        reader.update([target("a", pid, cgroups=cgroups)])
        (counters,) = reader.read()
    assert scalar(counters, Scalar.CPU_USAGE) == b"9.000000"
    reader.close()


def test_many_containers_share_the_descriptors(tree: CounterTree, reader: CounterReader) -> None:
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


def test_containers_that_left_leave_no_descriptor(tree: CounterTree) -> None:
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
    tree: CounterTree, reader: CounterReader
) -> None:
    for n in range(5):
        tree.cgroup(str(n))
    reader.update([target(str(n)) for n in range(5)])
    assert reader.warm(3)
    assert not reader.warm(3)
    assert reader.kept > 0


@pytest.mark.parametrize(("waits", "expected"), [(10, "holds"), (0, "releases")])
def test_a_reader_that_had_to_wait_keeps_the_interpreter(
    tree: CounterTree, waits: int, expected: str
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


def test_huge_pages_are_read_where_the_host_has_any(tree: CounterTree) -> None:
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
