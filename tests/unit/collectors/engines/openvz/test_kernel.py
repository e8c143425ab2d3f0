"""The files of the OpenVZ kernel, on the nodes of 4.11.1 and 7.0.254 and made up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from collectors.kernel.beancounters import parse_beancounters
from tests.support.openvz_node import WEB, host_of, make_node

if TYPE_CHECKING:
    from collectors.facts import Beancounter
    from collectors.hostfs import HostFS

PAGE = 4096


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
