from __future__ import annotations

import errno
import os
import shutil

from collectors.kernel.counters import CounterReader, Scalar, calls
from collectors.kernel.counters import reader as reader_module
from collectors.kernel.counters.files import RECHECK
from tests.support.counter_tree import CPU, GONE_IS_ENODEV, CounterTree, scalar, target


def test_what_the_kernel_does_not_offer_is_unknown(
    tree: CounterTree, reader: CounterReader
) -> None:
    tree.cgroup("a")
    reader.update([target("a")])
    (counters,) = reader.read()
    assert scalar(counters, Scalar.MEMORY_MAX_USAGE) is None
    assert scalar(counters, Scalar.PRESSURE_CPU_SOME) is None
    assert scalar(counters, Scalar.MEMORY_WORKING_SET) == b"900"


def test_descriptors_stay_open_and_show_what_is_new(
    tree: CounterTree, reader: CounterReader
) -> None:
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


def test_an_unchanged_container_costs_no_new_objects(
    tree: CounterTree, reader: CounterReader
) -> None:
    tree.cgroup("a")
    reader.update([target("a")])
    (first,) = reader.read()
    (second,) = reader.read()
    assert first is second


def test_without_cpu_time_only_what_others_can_move_is_read(
    tree: CounterTree, reader: CounterReader
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


def test_now_and_then_everything_is_read_all_the_same(
    tree: CounterTree, reader: CounterReader
) -> None:
    path = tree.cgroup("a")
    reader.update([target("a")])
    reader.read()
    tree.write(path, **{"pids.current": "9\n"})
    seen = [scalar(reader.read()[0], Scalar.THREADS) for _ in range(RECHECK)]
    assert seen[-1] == b"9"


def test_a_restarted_container_is_read_in_the_same_scrape(tree: CounterTree) -> None:
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


def test_a_container_that_comes_back_is_read_at_once(
    tree: CounterTree, reader: CounterReader
) -> None:
    reader.update([target("a")])
    assert reader.read() == [None]
    tree.cgroup("a")
    (counters,) = reader.read()
    assert scalar(counters, Scalar.MEMORY_USAGE) == b"1000"


def test_a_value_whose_file_is_lost_is_unknown_and_not_what_it_was(tree: CounterTree) -> None:
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


def test_a_denied_file_is_counted_and_the_others_are_read(tree: CounterTree) -> None:
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
