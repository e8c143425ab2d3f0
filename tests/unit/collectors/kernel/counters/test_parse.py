from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.kernel.counters import parse


@given(st.integers(0, 10**25), st.integers(1, 12))
def test_a_shifted_number_is_exactly_that_number_divided(number: int, digits: int) -> None:
    shifted = parse.shifted(b"%d" % number, digits).decode()
    assert Decimal(shifted) == Decimal(number).scaleb(-digits)
    assert not shifted.startswith(".")


NET_DEV = b"""Inter-|   Receive   |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:   12       3    0    0    0  0  0  0       12       3    0    0    0     0       0  0
  eth0:  200       2    7    5    0  0  0  0      300       4    8    6    0     0       0  0
veth12a4b6c:  200       2    7    5    0  0  0  0      300       4    8    6    0     0       0  0
 tunl0:    0       0    0    0    0  0  0  0        0       0    0    0    0     0       0  0
host0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
"""


def test_net_dev_has_bytes_packets_dropped_and_errors_of_each_way() -> None:
    assert parse.net_dev(NET_DEV) == (
        (("eth0",), (b"200", b"2", b"5", b"7", b"300", b"4", b"6", b"8")),
        (("host0",), (b"1", b"2", b"4", b"3", b"9", b"10", b"12", b"11")),
    )


LINE = " {} 2 3 4 5 6 7 8 {} 10 11 12 13 14 15 16\n"


def net_dev(**bytes_of: int) -> bytes:
    lines = (f"{name}:{LINE.format(moved, moved)}" for name, moved in bytes_of.items())
    return f"h1\nh2\n{''.join(lines)}".encode()


def names(rows: parse.Rows) -> list[str]:
    return [key[0] for key, _ in rows]


@pytest.mark.parametrize(
    "name", ["local0", "lowpan0", "veth0", "veth-lan", "vethernet0", "docker5"]
)
def test_an_interface_that_merely_begins_like_an_ignored_one_is_shown(name: str) -> None:
    assert names(parse.net_dev(net_dev(**{name: 1, "eth0": 1}))) == [name, "eth0"]


@pytest.mark.parametrize(
    "name", ["lo", "docker0", "veth1a2b3c4", "veth1a2b3c4d", "veth101i0", "veth1000_Ab3d"]
)
def test_loopback_and_the_links_to_inner_containers_are_not_shown(name: str) -> None:
    assert names(parse.net_dev(net_dev(**{name: 1, "eth0": 1}))) == ["eth0"]


def test_of_too_many_interfaces_the_busiest_are_shown_in_their_order() -> None:
    rows = parse.net_dev(net_dev(**{f"dummy{n}": 0 for n in range(1000)}, eth0=5, eth1=7))
    assert names(parse.busiest_interfaces(rows, (), 3)) == ["dummy0", "eth0", "eth1"]
    assert len(parse.busiest_interfaces(rows, ())) == parse.MOST_INTERFACES


def test_of_equally_quiet_interfaces_those_stay_that_were_shown() -> None:
    rows = parse.net_dev(net_dev(a=1, b=1, c=1))
    before = parse.net_dev(net_dev(c=1))
    assert names(parse.busiest_interfaces(rows, before, 1)) == ["c"]
    assert names(parse.busiest_interfaces(rows, (), 1)) == ["a"]


def test_of_too_many_devices_those_with_the_most_traffic_are_shown() -> None:
    quiet = "".join(f"7:{n} rbytes=0 wbytes=0\n" for n in range(30))
    numbers = parse.io_stat(f"{quiet}254:0 rbytes=5 wbytes=0\n".encode())
    devices = [number for number, _ in parse.busiest_devices(numbers)]
    assert len(devices) == parse.MAX_ROWS
    assert devices[-1] == "254:0"
