from __future__ import annotations

from decimal import Decimal

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
veth12:  200       2    7    5    0  0  0  0      300       4    8    6    0     0       0  0
 tunl0:    0       0    0    0    0  0  0  0        0       0    0    0    0     0       0  0
host0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
"""


def test_net_dev_has_bytes_packets_dropped_and_errors_of_each_way() -> None:
    assert parse.net_dev(NET_DEV) == (
        (("eth0",), (b"200", b"2", b"5", b"7", b"300", b"4", b"6", b"8")),
        (("host0",), (b"1", b"2", b"4", b"3", b"9", b"10", b"12", b"11")),
    )


def test_whoever_is_inside_may_make_any_number_of_interfaces() -> None:
    line = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    raw = "h1\nh2\n" + "".join(f"dummy{n}:{line}" for n in range(1000))
    assert len(parse.net_dev(raw.encode())) == parse.MAX_ROWS
