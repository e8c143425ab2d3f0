from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.hostfs import HostFS
from collectors.kernel.counters import Scalar, Table, processes
from collectors.kernel.counters.model import Draft

if TYPE_CHECKING:
    from pathlib import Path

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 98101 1
   1: 0100007F:1538 0100007F:0016 01 00000000:00000000 00:00000000 00000000    33        0 98102 1
   2: 0100007F:1539 0100007F:0016 01 00000000:00000000 00:00000000 00000000    33        0 98103 1
   3: 0100007F:1539 0100007F:0016 FF 00000000:00000000 00:00000000 00000000    33        0 98103 1
"""
UDP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
    7: 00000000:0035 00000000:0000 07 00000010:00000A00 00:00000000 00000000 0 0 1 2 0 5
    8: 0100007F:0035 0100007F:0036 01 00000001:00000000 00:00000000 00000000 0 0 1 2 0 2
"""


@pytest.fixture
def host(tmp_path: Path) -> HostFS:
    for name in ("proc/7/net", "proc/7/fd", "sys/x"):
        (tmp_path / name).mkdir(parents=True)
    return HostFS(*(str(tmp_path / name) for name in ("proc", "sys", ".")))


def test_a_process_of_another_pid_namespace_counts() -> None:
    assert processes.pids(b"1\n0\n0\nodd\n") == [1, 0, 0]


def test_inner_cgroups_are_counted_down_to_the_last(host: HostFS, tmp_path: Path) -> None:
    for name, pids in (("a", "1\n"), ("a/b", "2\n3\n"), ("c", "")):
        (tmp_path / "sys/x" / name).mkdir(parents=True)
        (tmp_path / "sys/x" / name / "cgroup.procs").write_text(pids)
    inner = processes.inner_cgroups(host.sys, "x")
    assert sorted(inner or ()) == ["x/a", "x/a/b", "x/c"]
    assert sorted(processes.processes_in(host.sys, [*(inner or ()), "x/ended"])) == [1, 2, 3]
    assert processes.inner_cgroups(host.sys, "gone") == []


def test_too_many_inner_cgroups_are_not_counted(
    host: HostFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MOST_CGROUPS", 2)
    for n in range(3):
        (tmp_path / f"sys/x/{n}").mkdir()
    assert processes.inner_cgroups(host.sys, "x") is None
    assert processes.count_threads(host.sys, "x", "tasks") is None


def test_threads_are_counted_down_to_the_last_cgroup(host: HostFS, tmp_path: Path) -> None:
    assert processes.count_threads(host.sys, "x", "tasks") is None, "an old kernel"
    (tmp_path / "sys/x/tasks").write_text("1\n2\n")
    (tmp_path / "sys/x/inner").mkdir()
    (tmp_path / "sys/x/inner/tasks").write_text("3\n")
    (tmp_path / "sys/x/ended").mkdir()
    assert processes.count_threads(host.sys, "x", "tasks") == 3


def test_descriptors_and_which_of_them_are_sockets(host: HostFS, tmp_path: Path) -> None:
    for fd, link in enumerate(("socket:[1]", "/dev/null", "socket:[2]")):
        (tmp_path / f"proc/7/fd/{fd}").symlink_to(link)
    draft = Draft()
    processes.count_descriptors(host.proc, [7, 8], draft)  # 8 has ended
    assert (draft.scalars[Scalar.DESCRIPTORS], draft.scalars[Scalar.SOCKETS]) == (b"3", b"2")


def test_descriptors_of_a_process_that_cannot_be_seen_are_unknown(host: HostFS) -> None:
    draft = Draft()
    processes.count_descriptors(host.proc, [7, 0], draft)
    assert draft.scalars[Scalar.DESCRIPTORS] is None


def test_tcp_sockets_by_state(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "proc/7/net/tcp6").write_text(TCP)
    draft = Draft()
    with host.process(7) as process:
        processes.count_tcp(process, "6", draft)
    counts = {key[0]: values[0] for key, values in draft.tables[Table.TCP6]}
    assert (counts["established"], counts["listen"], counts["close"]) == (b"2", b"1", b"0")
    assert len(counts) == 11


def test_udp_sockets_and_what_waits_in_them(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "proc/7/net/udp").write_text(UDP)
    draft = Draft()
    with host.process(7) as process:
        processes.count_udp(process, "", draft)
    assert draft.tables[Table.UDP] == (
        (("listen",), (b"1",)),
        (("dropped",), (b"7",)),
        (("rxqueued",), (b"2560",)),
        (("txqueued",), (b"17",)),
    )
