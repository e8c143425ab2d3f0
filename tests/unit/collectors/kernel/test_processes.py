from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from collectors.facts import ProcessId
from collectors.hostfs import HostFS
from collectors.kernel.cgroups import parse_cgroup
from collectors.kernel.processes import (
    ProcessReader,
    parse_mountinfo,
    parse_stat,
    parse_status,
    read_pulse,
)

if TYPE_CHECKING:
    from pathlib import Path

MOUNT = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
"""The example of proc_pid_mountinfo(5)."""

STAT = "{pid} ({comm}) {state} {ppid} 7 7 0 -1 {flags}" + " 0" * 12 + " {start} 0 0"
KERNEL_THREAD = 0x00200000


class Table:
    """A host of plain files in which processes begin and end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("proc", "sys"):
            (root / name).mkdir()
        self.host = HostFS(*(str(root / name) for name in ("proc", "sys", ".")))

    def process(
        self,
        pid: int,
        comm: str = "sh",
        state: str = "S",
        flags: int = 0,
        start: int = 50,
        *,
        ppid: int = 0,
    ) -> Path:
        path = self.root / "proc" / str(pid)
        (path / "ns").mkdir(parents=True, exist_ok=True)
        (path / "stat").write_text(
            STAT.format(pid=pid, comm=comm, state=state, flags=flags, start=start, ppid=ppid)
        )
        (path / "cgroup").write_text("0::/x\n")
        (path / "status").write_text("Name:\tsh\n")
        (path / "cmdline").write_bytes(b"sh\0-c\0true\0")
        return path


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_a_name_may_contain_parentheses_and_blanks() -> None:
    stat = parse_stat(
        STAT.format(pid=7, ppid=1, comm="a) S (b", state="R", flags=0, start=9).encode()
    )
    assert stat is not None
    assert (stat.comm, stat.state, stat.ppid, stat.start_ticks) == ("a) S (b", "R", 1, 9)


@pytest.mark.parametrize("data", [b"", b"7 sh S 1", b"7 (sh) S 1", b"7 (sh) S one" + b" 0" * 30])
def test_a_malformed_stat_is_none(data: bytes) -> None:
    assert parse_stat(data) is None


def test_the_first_of_two_fields_of_one_name_counts() -> None:
    status = parse_status(b"Name:\tsh\nUid:\t0\t1\nUid:\t5\nodd\n")
    assert status == {"Name": "sh", "Uid": "0\t1"}


@pytest.mark.parametrize("device", [b"9" * 20 + b":0", b"98:" + b"9" * 5000, "²:0".encode(), b"98"])
def test_a_line_with_no_device_number_costs_itself_alone(device: bytes) -> None:
    (mount,) = parse_mountinfo(MOUNT.replace(b"98:0", device) + MOUNT)
    assert (mount.device.device, mount.root, mount.target) == (
        os.makedev(98, 0),
        "/mnt1",
        "/mnt2",
    )


def test_blanks_in_paths_are_escaped() -> None:
    (mount,) = parse_mountinfo(MOUNT.replace(b"/mnt2", rb"/with\040a\011tab"))
    assert mount.target == "/with a\ttab"


def test_kernel_threads_are_left_out_and_zombies_are_not(table: Table) -> None:
    table.process(2, "kthreadd", flags=KERNEL_THREAD)
    table.process(8, "done", state="Z")
    (zombie,) = ProcessReader(table.host).read()
    assert (zombie.comm, zombie.state, zombie.argv) == ("done", "Z", ())
    assert zombie.cgroups == {"": "/x"}


def test_what_proc_shows_of_a_process(table: Table) -> None:
    path = table.process(7)
    (path / "status").write_text(
        "Name:\tsh\nUid:\t1000\t1001\t1000\t1000\nNSpid:\t7\t1\nCapEff:\t00000000a80425fb\n"
        "CapBnd:\tnonsense\nSeccomp:\t2\nNoNewPrivs:\t1\n"
    )
    for kind, number in (("mnt", 11), ("net", 12)):
        (path / "ns" / kind).symlink_to(f"{kind}:[{number}]")
    (process,) = ProcessReader(table.host).read()
    assert process.id == ProcessId(7, 50)
    assert process.argv == ("sh", "-c", "true")
    assert (process.uid, process.inner_pid) == (1001, 1)
    assert (process.capabilities, process.bounding) == (0xA80425FB, None)
    assert (process.seccomp, process.no_new_privs) == (2, True)
    assert (process.namespaces.mnt, process.namespaces.net) == (11, 12)
    assert process.namespaces.user is None


def test_an_openvz_kernel_writes_the_inner_pid_its_own_way(table: Table) -> None:
    path = table.process(7)
    (path / "status").write_text("envID:\t101\nVPid:\t1\n")
    (process,) = ProcessReader(table.host).read()
    assert (process.ns_pids, process.inner_pid, process.envid) == ((7, 1), 1, "101")


def test_a_process_without_a_mount_namespace_has_none_of_the_others_read(table: Table) -> None:
    (table.process(7) / "ns/net").symlink_to("net:[12]")
    (process,) = ProcessReader(table.host).read()
    assert process.namespaces.net is None


def test_a_light_pass_reads_only_what_is_new(table: Table) -> None:
    table.process(7, "old")
    reader = ProcessReader(table.host)
    reader.read()
    table.process(7, "changed")
    table.process(9, "new")
    light = reader.read(full=False)
    assert {p.pid: p.comm for p in light} == {7: "old", 9: "new"}
    assert [p.pid for p in reader.appeared] == [9]
    assert reader.young
    assert {p.pid: p.comm for p in reader.read()} == {7: "changed", 9: "new"}


def test_a_young_process_is_read_again_until_it_is_not_young(table: Table) -> None:
    reader = ProcessReader(table.host)
    reader.read()
    for n in range(reader.YOUNG_PASSES + 2):
        table.process(7, f"name{n}")
        (process,) = reader.read(full=False)
    assert process.comm == f"name{reader.YOUNG_PASSES}"
    assert not reader.young


def test_what_is_forgotten_is_read_again(table: Table) -> None:
    table.process(7, "old")
    reader = ProcessReader(table.host)
    reader.read()
    table.process(7, "changed")
    reader.forget([7, 8])
    (process,) = reader.read(full=False)
    assert process.comm == "changed"


def test_a_light_pass_reads_again_what_has_lost_its_parent(table: Table) -> None:
    parent = table.process(7)
    for pid, ppid in ((1, 0), (8, 7), (9, 1)):
        table.process(pid, ppid=ppid)
    reader = ProcessReader(table.host)
    reader.read()
    shutil.rmtree(parent)
    table.process(8, ppid=1)
    assert {p.pid: p.ppid for p in reader.read(full=False)} == {1: 0, 8: 1, 9: 1}
    assert [p.pid for p in reader.appeared] == [8]
    assert [p.pid for p in reader.vanished] == [7]


def test_one_that_became_a_zombie_or_another_has_ended(table: Table) -> None:
    for pid in (6, 7, 8, 9):
        table.process(pid, state="Z" if pid == 6 else "S")
    reader = ProcessReader(table.host)
    reader.read()
    table.process(7, state="Z")
    table.process(8, start=60)
    assert reader.ended([5, 6, 7, 8, 9]) == [7, 8]


def test_a_pid_that_is_reused_has_vanished_and_appeared(table: Table) -> None:
    table.process(7, start=50)
    reader = ProcessReader(table.host)
    reader.read()
    table.process(7, start=60)
    reader.read()
    assert [p.id for p in reader.vanished] == [ProcessId(7, 50)]
    assert [p.id for p in reader.appeared] == [ProcessId(7, 60)]
    reader.read()
    assert (reader.vanished, reader.appeared) == ((), ())


def test_a_process_that_hung_before_is_read_only_where_that_cannot_block(table: Table) -> None:
    table.process(7)
    table.process(8)
    touched: list[ProcessId] = []
    skip = frozenset({ProcessId(7, 50)})
    processes = ProcessReader(table.host, skip=skip, touch=touched.append).read()
    assert {p.pid: p.argv for p in processes} == {7: (), 8: ("sh", "-c", "true")}
    assert touched == [ProcessId(8, 50)]


def test_the_pulse_is_tasks_started_and_tasks_there(table: Table) -> None:
    assert read_pulse(table.host) is None
    (table.root / "proc/stat").write_text("cpu 1 2\nctxt 5\nprocesses 1234\nprocs_running 1\n")
    (table.root / "proc/loadavg").write_text("0.20 0.18 0.12 1/80 11206\n")
    assert read_pulse(table.host) == (1234, 80)
    (table.root / "proc/loadavg").write_text("0.20\n")
    assert read_pulse(table.host) is None


def test_what_was_parsed_of_cgroups_that_are_gone_is_forgotten(table: Table) -> None:
    for number in range(500):
        parse_cgroup(b"0::/job-%d\n" % number)
    ProcessReader(table.host).read()
    assert parse_cgroup.cache_info().currsize < 200
