"""The files of the OpenVZ kernel, on the nodes of 4.11.1 and 7.0.254 and from nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.openvz.cgroups import ContainerCgroups, parent_cgroup
from collectors.engines.openvz.discovery import is_node
from collectors.engines.openvz.inits import find_inits, starts_a_system
from collectors.engines.openvz.kernel import (
    VeInfo,
    VeStat,
    cpu_times,
    parse_fairsched,
    parse_veinfo,
    parse_version,
    parse_vestat,
    parse_vzquota,
    read_kernel,
)
from collectors.facts import Beancounter, ProcessTable
from collectors.hostfs import HostFS
from collectors.kernel.beancounters import parse_beancounters
from collectors.kernel.processes import ProcessReader
from tests.support.openvz_node import context, make_node
from tests.support.processes import process, table

PAGE = 4096
WEB = "3d32522a-80af-4773-b9fa-ea4915dee4b3"
PAUSED = "b1c2d3e4-f5a6-4789-90ab-cdef01234567"
STOPPED = "e6a7f1c2-1111-4222-8333-944455556666"


def host_of(node: Path) -> HostFS:
    return HostFS(str(node / "proc"), str(node / "sys"), str(node))


def counters_of(found: dict[str, tuple[Beancounter, ...]], ctid: str) -> dict[str, Beancounter]:
    return {b.resource: b for b in found[ctid]}


class TestNode4:
    @pytest.fixture
    def host(self, tmp_path: Path) -> HostFS:
        return host_of(make_node(tmp_path, 4))

    def test_what_runs(self, host: HostFS) -> None:
        kernel = read_kernel(host)
        assert kernel.version == 6
        assert kernel.running is not None
        assert set(kernel.running) == {"101", "102", "777", "999", "1000000001"}
        assert kernel.running["101"] == VeInfo(23, ("192.0.2.11", "192.0.2.111", "2001:db8::11"))

    def test_beancounters(self, host: HostFS) -> None:
        found = read_kernel(host).beancounters
        assert set(found) == {"0", "101", "102", "777", "999", "1000000001"}
        mail = counters_of(dict(found), "102")
        assert len(mail) == 21
        assert mail["privvmpages"].failures == 1405
        assert mail["privvmpages"].limit == 69632 * PAGE
        assert mail["swappages"].limit is None

    def test_shares(self, host: HostFS) -> None:
        shares = read_kernel(host).shares
        assert shares["101"] == (1000, None)
        assert shares["102"] == (2000, 0.5)
        assert shares["1000000001"] == (1000, 1.0)

    def test_quota(self, host: HostFS) -> None:
        quota = read_kernel(host).quotas["101"]
        assert quota.path == "/vz/private/101"
        assert (quota.used_bytes, quota.inodes) == (921344 * 1024, 31211)
        assert (quota.soft_bytes, quota.inodes_hard) == (2097152 * 1024, 144179)

    def test_cpu_time_is_in_the_kernels_jiffies(self, host: HostFS) -> None:
        kernel = read_kernel(host)
        times = cpu_times(kernel.stats["101"], kernel.version, 1843203.25)
        assert (times.total, times.user, times.system) == (180.5, 120.5, 60.0)

    def test_inits(self, host: HostFS) -> None:
        inits = find_inits(ProcessReader(host).read())
        assert {ctid: init.pid for ctid, init in inits.items()} == {
            "101": 4000,
            "102": 4100,
            "777": 4200,
            "999": 4300,
            "1000000001": 4400,
        }
        assert starts_a_system(inits["101"])
        assert not starts_a_system(inits["777"])

    def test_where_containers_are_put(self, host: HostFS) -> None:
        inits = find_inits(ProcessReader(host).read())
        assert parent_cgroup(inits.values(), 6) == ""

    def test_it_is_a_node(self, host: HostFS, tmp_path: Path) -> None:
        assert is_node(host)
        (tmp_path / "proc" / "bc").rename(tmp_path / "bc")
        assert is_node(host)  # row 0 is there
        (tmp_path / "proc" / "vz" / "veinfo").write_text("       101     0    23      192.0.2.1\n")
        assert not is_node(host)


class TestNode7:
    @pytest.fixture
    def node(self, tmp_path: Path) -> Path:
        return make_node(tmp_path, 7)

    def test_uuids_shift_the_columns(self, node: Path) -> None:
        kernel = read_kernel(host_of(node))
        assert kernel.version == 7
        assert kernel.running is not None
        assert kernel.running[WEB] == VeInfo(31, ("2001:db8::11", "192.0.2.11"))
        assert counters_of(dict(kernel.beancounters), WEB)["numproc"].maxheld == 77

    def test_cpu_time_is_what_was_used(self, node: Path) -> None:
        kernel = read_kernel(host_of(node))
        times = cpu_times(kernel.stats[WEB], kernel.version, None)
        assert times.total == pytest.approx(180.500000777)
        assert (times.user, times.system) == (120.5, 60.0)

    def test_cgroups(self, node: Path) -> None:
        ctx = context(node)
        groups = ContainerCgroups(ctx.host, ctx.facts.cgroups.hierarchies)
        assert STOPPED in groups.ctids()
        web = groups.view(WEB)
        assert (web.path, web.frozen, web.running) == (f"/machine.slice/{WEB}", False, True)
        assert (web.facts.cpu_limit_ratio, web.facts.cpus, web.facts.cpu_units) == (2.0, 2, 1000)
        assert web.facts.load == (0.08, 0.10, 0.05)
        assert web.facts.io_limit_bytes_per_second == 10485760
        assert web.facts.io_limit_operations_per_second == 500
        assert groups.view(PAUSED).frozen is True
        assert groups.view(STOPPED).running is False

    def test_cgroups_where_no_hierarchy_was_found(self, node: Path) -> None:
        groups = ContainerCgroups(host_of(node), {})
        assert groups.view(WEB).facts.cpu_limit_ratio == 2.0
        assert groups.view("424242").path == ""

    def test_cgroups_of_the_first_releases_are_at_the_top(self, node: Path) -> None:
        top = node / "sys/fs/cgroup/cpu,cpuacct"
        (top / "machine.slice" / WEB).rename(top / WEB)
        assert ContainerCgroups(host_of(node), {}).view(WEB).path == f"/{WEB}"

    def test_inits_are_not_those_of_containers_inside(self, node: Path) -> None:
        host = host_of(node)
        inits = find_inits(ProcessReader(host).read())
        assert inits[WEB].pid == 5100
        assert starts_a_system(inits[WEB])
        assert parent_cgroup(inits.values(), 7) == "/machine.slice"


class TestInits:
    def test_with_the_numbers_of_newer_kernels(self) -> None:
        entered = process(50, envid="101", ns_pids=(50, 9))
        init = process(60, envid="101", ns_pids=(60, 1))
        nested = process(70, 60, envid="101", ns_pids=(70, 30, 1))
        found = find_inits(table(entered, init, nested))
        assert found == {"101": init}

    def test_without_any_inner_number_the_first_one_is_it(self) -> None:
        entered = process(70, envid="101", ns_pids=())
        init = process(60, envid="101", ns_pids=())
        assert find_inits(table(entered, init)) == {"101": init}

    @pytest.mark.parametrize("envid", ["0", "", None, "../x", "-5", "1e3"])
    def test_what_is_no_container_is_left_out(self, envid: str | None) -> None:
        assert find_inits(table(process(60, envid=envid))) == {}

    def test_no_processes(self) -> None:
        assert find_inits(ProcessTable(by_pid={})) == {}


@pytest.mark.parametrize(
    ("text", "version"),
    [("stab145.3\n", 6), ("042stab120.1", 6), ("7.0.0\n", 7), ("9.0.1", 9), ("", 0), ("x", 0)],
)
def test_version(text: str, version: int) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("jiffies", "uptime", "hertz"),
    [(100_000, 1000.0, 100), (250_400, 1000.0, 250), (999_000, 1000.0, 1000), (5, 1000.0, 100)],
)
def test_the_length_of_a_jiffy_is_measured(jiffies: int, uptime: float, hertz: int) -> None:
    stat = VeStat(user=hertz, nice=0, system=hertz, uptime_jiffies=jiffies, uptime=0, used=0)
    assert cpu_times(stat, 6, uptime) == (2.0, 1.0, 1.0)


@pytest.mark.parametrize("uptime", [None, 0.0, 0.5])
def test_a_jiffy_that_cannot_be_measured_is_a_millisecond(uptime: float | None) -> None:
    stat = VeStat(user=1000, nice=0, system=0, uptime_jiffies=10, uptime=0, used=0)
    assert cpu_times(stat, 6, uptime).total == 1.0


def test_resources_of_one_container_have_no_owner() -> None:
    found = parse_beancounters(b"            numproc 3 9 10 20 1\n            dummy 0 0 0 0 0\n")
    assert found == {
        "": (Beancounter(resource="numproc", held=3, maxheld=9, barrier=10, limit=20, failures=1),)
    }


def test_rows_that_make_no_sense_cost_themselves() -> None:
    data = b"101: numproc 3 9 10 20 1\n numfile 1 2 x 4 5\n numpty 1 2 3 4\n shmpages 1 2 3 4 5\n"
    assert [b.resource for b in parse_beancounters(data)["101"]] == ["numproc", "shmpages"]


def test_veinfo_rows_that_make_no_sense_cost_themselves() -> None:
    data = b"x 0 1\n101 0\n102 0 x\n103 0 2 nonsense 10.0.0.1 999.1.1.1\n"
    assert parse_veinfo(data) == {"103": VeInfo(2, ("10.0.0.1",))}


WORDS = st.sampled_from(
    [
        "101:",
        "101",
        "0:",
        "0",
        "numproc",
        "dummy",
        "1k-blocks",
        "inodes",
        "9223372036854775807",
        "-1",
        "x",
        "VEID",
        "Version:",
        "/",
        "::1",
    ]
) | st.text(max_size=6)
ROWS = st.lists(st.lists(WORDS, max_size=14).map(" ".join), max_size=12).map("\n".join)


@given(st.binary(max_size=500) | ROWS.map(str.encode))
def test_anything_is_parsed(data: bytes) -> None:
    for parse in (parse_veinfo, parse_vestat, parse_beancounters, parse_fairsched, parse_vzquota):
        assert isinstance(parse(data), dict)
    parse_version(data.decode("utf-8", "replace"))
