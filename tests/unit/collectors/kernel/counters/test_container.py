from __future__ import annotations

import os
import shutil

from collectors.kernel.counters import CounterReader, Scalar, Table
from tests.support.counter_tree import CPU, NET_DEV, CounterTree, scalar, target


def test_a_reading_is_not_changed_by_the_next(tree: CounterTree, reader: CounterReader) -> None:
    path = tree.cgroup("a")
    reader.update([target("a")])
    (first,) = reader.read()
    tree.write(path, **{"memory.current": "5000\n"})
    reader.read()
    assert scalar(first, Scalar.MEMORY_USAGE) == b"1000"


def test_network_by_the_first_process(tree: CounterTree, reader: CounterReader) -> None:
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


def test_a_network_that_is_not_its_own_is_not_shown(
    tree: CounterTree, reader: CounterReader
) -> None:
    tree.cgroup("a")
    tree.process(7)
    reader.update([target("a", 7, own_network=False)])
    (counters,) = reader.read()
    assert counters is not None
    assert Table.NETWORK not in counters.tables


def test_a_process_of_the_same_number_that_started_later_is_another(
    tree: CounterTree, reader: CounterReader
) -> None:
    tree.cgroup("a")
    tree.process(7, start_ticks=51)
    reader.update([target("a", 7)])
    (counters,) = reader.read()
    assert counters is not None
    assert Table.NETWORK not in counters.tables


def test_nothing_below_a_process_stays_open(tree: CounterTree, reader: CounterReader) -> None:
    tree.cgroup("a")
    process = tree.process(7)
    reader.update([target("a", 7)])
    reader.read()
    reader.read()
    open_now = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{fd}")]  # fmt: skip
    below = [path for path in open_now if path.startswith(str(process))]
    assert below == [str(process)]


def test_network_goes_away_with_the_process(tree: CounterTree, reader: CounterReader) -> None:
    tree.cgroup("a")
    process = tree.process(7)
    reader.update([target("a", 7)])
    reader.read()
    shutil.rmtree(process)
    (counters,) = reader.read()
    assert counters is not None
    assert Table.NETWORK not in counters.tables


def test_a_container_without_a_cgroup_is_there_while_its_process_is(
    tree: CounterTree, reader: CounterReader
) -> None:
    process = tree.process(7)
    reader.update([target("a", 7, cgroups={})])
    (counters,) = reader.read()
    assert scalar(counters, Scalar.CPU_USAGE) is None
    shutil.rmtree(process)
    assert reader.read() == [None]


def test_zombies_are_told_from_threads(tree: CounterTree, reader: CounterReader) -> None:
    """A process of three threads that does not reap: cgroup.procs does not list zombies."""
    path = tree.cgroup("a", **{"pids.current": "43\n", "cgroup.threads": "7\n8\n9\n"})
    reader.update([target("a")])
    (counters,) = reader.read()
    assert scalar(counters, Scalar.PROCESSES) == b"1"
    assert scalar(counters, Scalar.THREADS) == b"3"
    assert scalar(counters, Scalar.ZOMBIES) == b"40"
    tree.write(path, **{"pids.current": "3\n", "cpu.stat": CPU.format(2)})
    (counters,) = reader.read()
    assert scalar(counters, Scalar.THREADS) == b"3"
    assert scalar(counters, Scalar.ZOMBIES) is None


def test_processes_of_inner_cgroups_count(tree: CounterTree, reader: CounterReader) -> None:
    path = tree.cgroup("a", **{"cgroup.procs": "1\n2\n", "pids.current": "9\n"})
    for name, procs in (("a/x", "3\n"), ("a/x/y", "4\n5\n"), ("a/z", "")):
        tree.cgroup(name, **{"cgroup.procs": procs})
    reader.update([target("a")])
    (counters,) = reader.read()
    assert scalar(counters, Scalar.PROCESSES) == b"5"
    assert scalar(counters, Scalar.THREADS) == b"9"
    assert path.is_dir()
