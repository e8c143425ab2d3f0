from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.hostfs import HostFS
from collectors.kernel.counters import Scalar, Table, parse, processes
from collectors.kernel.counters.devices import Devices
from collectors.kernel.counters.host import cpu, disks, memory
from collectors.kernel.counters.model import Draft
from collectors.kernel.counters.sources import Source, sources, working_set

V1 = ("cpu", "cpuacct", "memory", "blkio", "pids", "hugetlb", "name=systemd")


ALL_GROUPS = (
    "cpu", "memory", "memory_detail", "pressure", "io", "blkio_device", "process", "hugetlb"
)  # fmt: skip


def every_source() -> list[Source]:
    return [
        *sources(V1, ALL_GROUPS, quota=True, hugepages=("2MB",)),
        *sources(V1, ALL_GROUPS, quota=True, bfq=True),
        *sources(("", *V1), ALL_GROUPS, quota=True),
        *sources(("",), ALL_GROUPS, quota=True, hugepages=("2MB", "1GB")),
    ]


@pytest.fixture(scope="module")
def devices() -> Devices:
    return Devices(HostFS().sys)


def read(file: str, raw: bytes, controllers: tuple[str, ...] = ("",)) -> Draft:
    draft = Draft()
    for source in sources(controllers, ALL_GROUPS, quota=True, hugepages=("2MB",)):
        if source.file == file:
            source.parse(raw, draft.scalars, draft.tables, Devices(HostFS().sys))
    return draft


def test_cpu_stat_of_v2_is_in_seconds() -> None:
    draft = read(
        "cpu.stat",
        b"usage_usec 76165298\nuser_usec 46315951\nsystem_usec 98\nnice_usec 0\n"
        b"nr_periods 12\nnr_throttled 3\nthrottled_usec 1500000\nnr_bursts 0\nburst_usec 0\n",
    )
    assert draft.scalars[Scalar.CPU_USAGE] == b"76.165298"
    assert draft.scalars[Scalar.CPU_USER] == b"46.315951"
    assert draft.scalars[Scalar.CPU_SYSTEM] == b"0.000098"
    assert draft.scalars[Scalar.CFS_PERIODS] == b"12"
    assert draft.scalars[Scalar.CFS_THROTTLED_PERIODS] == b"3"
    assert draft.scalars[Scalar.CFS_THROTTLED] == b"1.500000"


def test_cpu_of_v1_is_in_seconds() -> None:
    assert read("cpuacct.usage", b"46357493\n", V1).scalars[Scalar.CPU_USAGE] == b"0.046357493"
    draft = read("cpuacct.stat", b"user 1234\nsystem 5\n", V1)
    assert draft.scalars[Scalar.CPU_USER] == b"12.34"
    assert draft.scalars[Scalar.CPU_SYSTEM] == b"0.05"
    draft = read("cpu.stat", b"nr_periods 1\nnr_throttled 1\nthrottled_time 2000000001\n", V1)
    assert draft.scalars[Scalar.CFS_THROTTLED] == b"2.000000001"


MEMORY_STAT_V1 = b"""cache 1
rss 2
mapped_file 3
pgfault 4
inactive_file 5
hierarchical_memory_limit 9223372036854771712
total_cache 1982464
total_rss 53248
total_mapped_file 1417216
total_swap 7
total_pgfault 1037
total_pgmajfault 1
total_inactive_file 1679360
total_active_file 303104
"""


def test_memory_stat_of_v1_is_that_of_the_whole_tree() -> None:
    draft = read("memory.stat", MEMORY_STAT_V1, V1)
    assert draft.scalars[Scalar.MEMORY_CACHE] == b"1982464"
    assert draft.scalars[Scalar.MEMORY_RSS] == b"53248"
    assert draft.scalars[Scalar.MEMORY_MAPPED_FILE] == b"1417216"
    assert draft.scalars[Scalar.MEMORY_SWAP] == b"7"
    assert draft.scalars[Scalar.PAGE_FAULTS] == b"1037"
    assert draft.scalars[Scalar.MAJOR_PAGE_FAULTS] == b"1"
    assert draft.scalars[Scalar.MEMORY_ACTIVE_FILE] == b"303104"


def test_memory_stat_of_v2_takes_whole_names_and_the_first_line() -> None:
    draft = read(
        "memory.stat",
        b"anon 10\nfile 20\nkernel 30\nkernel_stack 31\nfile_mapped 40\ninactive_file 5\n"
        b"active_file 6\npgfault 70\npgmajfault 8\nworkingset_refault_file 9\n",
    )
    assert draft.scalars[Scalar.MEMORY_RSS] == b"10"
    assert draft.scalars[Scalar.MEMORY_CACHE] == b"20"
    assert draft.scalars[Scalar.MEMORY_KERNEL] == b"30"
    assert draft.scalars[Scalar.MEMORY_MAPPED_FILE] == b"40"
    assert draft.scalars[Scalar.PAGE_FAULTS] == b"70"
    assert draft.scalars[Scalar.MEMORY_PGSCAN] is None


@pytest.mark.parametrize(
    ("usage", "inactive", "expected"),
    [(b"100", b"30", b"70"), (b"30", b"100", b"0"), (None, b"1", None), (b"1", None, None)],
)
def test_the_working_set_is_usage_less_inactive_file(
    usage: bytes | None, inactive: bytes | None, expected: bytes | None
) -> None:
    values = Draft().scalars
    values[Scalar.MEMORY_USAGE], values[Scalar.MEMORY_INACTIVE_FILE] = usage, inactive
    working_set(values)
    assert values[Scalar.MEMORY_WORKING_SET] == expected


def test_oom_kills_of_both_versions() -> None:
    v1 = read("memory.oom_control", b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", V1)
    assert v1.scalars[Scalar.OOM_KILLS] == b"3"
    v2 = read("memory.events", b"low 0\nhigh 1\nmax 22\noom 5\noom_kill 4\noom_group_kill 9\n")
    assert v2.scalars[Scalar.OOM_KILLS] == b"4"
    assert v2.scalars[Scalar.MEMORY_EVENTS_MAX] == b"22"


def test_pressure_in_seconds() -> None:
    draft = read(
        "io.pressure",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=9607\n"
        b"full avg10=0.00 avg60=0.00 avg300=0.00 total=12001887\n",
    )
    assert draft.scalars[Scalar.PRESSURE_IO_SOME] == b"0.009607"
    assert draft.scalars[Scalar.PRESSURE_IO_FULL] == b"12.001887"


def test_cpu_pressure_of_old_kernels_has_no_full() -> None:
    draft = read("cpu.pressure", b"some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n")
    assert draft.scalars[Scalar.PRESSURE_CPU_SOME] == b"0.000005"
    assert draft.scalars[Scalar.PRESSURE_CPU_FULL] is None


def test_blkio_by_device_and_operation() -> None:
    raw = b"254:0 Read 0\n254:0 Write 33558528\n254:0 Sync 67112960\n254:0 Total 9\nTotal 9\n"
    draft = read("blkio.throttle.io_service_bytes_recursive", raw, V1)
    ((key, values),) = draft.tables[Table.IO_BYTES]
    assert key[0].endswith(("254:0", "vda"))
    assert values == (b"0", b"33558528")
    assert [key[1:] for key, _ in draft.tables[Table.IO_BY_OPERATION]] == [
        ("254", "0", "Read"),
        ("254", "0", "Write"),
        ("254", "0", "Sync"),
        ("254", "0", "Total"),
    ]


def test_blkio_without_a_device_says_nothing() -> None:
    draft = read("blkio.throttle.io_serviced_recursive", b"Total 0\n", V1)
    assert draft.tables[Table.IO_OPERATIONS] == ()


def test_io_stat_of_v2() -> None:
    raw = b"999:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:0 \n"
    draft = read("io.stat", raw)
    assert draft.tables[Table.IO_BYTES] == ((("999:0",), (b"1", b"2")),)
    assert draft.tables[Table.IO_OPERATIONS] == ((("999:0",), (b"3", b"4")),)


def test_huge_pages_only_of_those_who_used_them() -> None:
    files = {"hugetlb.2MB.usage_in_bytes": b"0\n", "hugetlb.2MB.max_usage_in_bytes": b"0\n"}
    draft = Draft()
    for source in sources(V1, ALL_GROUPS, quota=False, hugepages=("2MB",)):
        if source.file in files:
            source.parse(files[source.file], draft.scalars, draft.tables, Devices(HostFS().sys))
    assert draft.tables[Table.HUGETLB] == ()
    for source in sources(V1, ALL_GROUPS, quota=False, hugepages=("2MB",)):
        if source.file == "hugetlb.2MB.max_usage_in_bytes":
            source.parse(b"4194304\n", draft.scalars, draft.tables, Devices(HostFS().sys))
    assert draft.tables[Table.HUGETLB] == ((("2MB",), (None, b"4194304")),)


@settings(deadline=None)
@given(raw=st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode)))
def test_any_bytes_give_numbers_or_nothing(devices: Devices, raw: bytes) -> None:
    draft = Draft()
    for source in every_source():
        source.parse(raw, draft.scalars, draft.tables, devices)
    cpu(raw, draft)
    memory(raw, draft)
    disks(raw, draft, lambda _: True)
    draft.tables[Table.NETWORK] = parse.net_dev(raw)
    processes.pids(raw)
    cells = [v for rows in draft.tables.values() for _, values in rows for v in values]
    for value in [*draft.scalars, *cells]:
        assert value is None or float(value) >= 0


WORDS = st.sampled_from(
    [b"usage_usec", b"total_rss", b"254:0", b"Read", b"rbytes=", b"some", b"total=", b"eth0:",
     b"cpu", b"12", b"-3", b"9" * 30, b"\n", b" ", b"\t", b"\xff", "٣".encode()]
)  # fmt: skip


@settings(deadline=None)
@given(raw=st.lists(WORDS, max_size=60).map(b" ".join))
def test_words_of_the_formats_in_any_order_give_numbers_or_nothing(
    devices: Devices, raw: bytes
) -> None:
    draft = Draft()
    for source in every_source():
        source.parse(raw, draft.scalars, draft.tables, devices)
    cpu(raw, draft)
    memory(raw, draft)
    disks(raw, draft, lambda _: True)
    for value in draft.scalars:
        assert value is None or float(value) >= 0


def test_no_quota_no_throttling() -> None:
    for controllers in (V1, ("",), ("", *V1)):
        without = sources(controllers, ALL_GROUPS, quota=False)
        assert not any(Scalar.CFS_PERIODS in source.scalars for source in without)
        with_quota = sources(controllers, ALL_GROUPS, quota=True)
        assert sum(Scalar.CFS_PERIODS in source.scalars for source in with_quota) == 1


def test_cpu_time_is_read_first_and_what_only_moves_with_it_last() -> None:
    for controllers in (V1, ("",), ("", *V1)):
        chosen = sources(controllers, ALL_GROUPS, quota=True)
        assert Scalar.CPU_USAGE in chosen[0].scalars
        order = [source.moves_when_idle for source in chosen]
        assert order == sorted(order, reverse=True)


def test_a_hybrid_host_has_pressure_from_its_unified_tree_and_memory_from_v1() -> None:
    files = {source.file for source in sources(("", *V1), ALL_GROUPS, quota=False)}
    assert {"cpu.pressure", "memory.usage_in_bytes", "memory.failcnt"} <= files
    assert "memory.current" not in files


def test_v1_alone_has_no_pressure_and_v2_no_failcnt() -> None:
    v1 = {source.file for source in sources(V1, ALL_GROUPS, quota=False)}
    v2 = {source.file for source in sources(("",), ALL_GROUPS, quota=False)}
    assert not any("pressure" in file for file in v1)
    assert "memory.failcnt" not in v2


def test_a_group_that_is_off_is_not_read() -> None:
    assert {s.file for s in sources(V1, ("cpu",), quota=False)} == {"cpuacct.usage", "cpuacct.stat"}
