"""Reading a network namespace from the files of the kernel."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import Listener
from collectors.hostfs import Gone, HostFS
from collectors.kernel import network
from collectors.kernel.network import (
    parse_fib_trie,
    parse_if_inet6,
    parse_inet,
    parse_routes,
    parse_unix,
    read_network,
)

if TYPE_CHECKING:
    from pathlib import Path

TCP = b"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 98101 1
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 98102 1
   2: 0100007F:1539 0100007F:1538 01 00000000:00000000 00:00000000 00000000     0        0 98103 1
"""
TCP6 = b"""\
  sl  local_address remote_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A \
00000000:00000000 00:00000000 00000000     0        0 100383 1
   1: 0000000000000000FFFF00000100007F:0016 00000000000000000000000000000000:0000 0A \
00000000:00000000 00:00000000 00000000     0        0 100384 1
"""
UNIX = b"""\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 99639 public/a b
0000000000000000: 00000002 00000000 00000000 0002 01 99640 /dev/log
0000000000000000: 00000002 00000000 00010000 0001 01 99641
"""
DEV = b"""\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes
    lo:       0       0    0    0    0     0          0         0        0
  eth0:    1086      13    0    0    0     0          0         0        0
"""
ROUTE = b"""\
Iface Destination Gateway  Flags RefCnt Use Metric Mask     MTU Window IRTT
eth0  00000000    010011AC 0003  0      0   0      00000000 0   0      0
eth0  000011AC    00000000 0001  0      0   0      0000FFFF 0   0      0
"""
FIB = b"""\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 172.17.0.0/16 2 0 2
           |-- 172.17.0.3
              /32 host LOCAL
           |-- 172.17.255.255
              /32 link BROADCAST
Local:
           |-- 172.17.0.3
              /32 host LOCAL
"""
INET6 = b"""\
00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000000421afffe000002 07 40 20 80     eth0
20010db8000000000000000000000001 07 40 00 80     eth0
"""


def test_a_whole_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sock_diag(_host: HostFS, _pid: int) -> list[Listener]:
        raise PermissionError

    monkeypatch.setattr(network, "read_tcp_listeners", no_sock_diag)
    monkeypatch.setattr(network, "count_rules", lambda _host, _pid: 3)
    net = tmp_path / "4711" / "net"
    net.mkdir(parents=True)
    for name, data in {
        "tcp": TCP, "tcp6": TCP6, "unix": UNIX, "dev": DEV, "route": ROUTE, "fib_trie": FIB,
        "if_inet6": INET6,
    }.items():  # fmt: skip
        (net / name).write_bytes(data)
    facts = read_network(HostFS(procfs=str(tmp_path)), 4711)
    assert facts.addresses == ("172.17.0.3/16", "2001:db8::1/64")
    assert (facts.default_route, facts.firewall_rules) == (True, 3)
    assert [(s.protocol, s.address, s.port) for s in facts.listeners] == [
        ("tcp", "0.0.0.0", 80),
        ("tcp", "127.0.0.1", 5432),
        ("tcp6", "::", 22),
        ("tcp6", "::ffff:127.0.0.1", 22),
        ("unix", "public/a b", 0),
    ]
    assert facts.listeners[0].uid == 33


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Gone):
        read_network(HostFS(procfs=str(tmp_path)), 4711)


def test_connections_do_not_listen() -> None:
    assert [s.port for s in parse_inet(TCP, "tcp", 0x0A)] == [80, 5432]


def test_sockets_without_a_name_or_an_ear_are_left_out() -> None:
    (listener,) = parse_unix(UNIX)
    assert listener == Listener(protocol="unix", address="public/a b", port=0, inode=99639)


def test_routes_and_addresses() -> None:
    assert parse_routes(ROUTE) == [
        ipaddress.IPv4Network("0.0.0.0/0"),
        ipaddress.IPv4Network("172.17.0.0/16"),
    ]
    assert parse_fib_trie(FIB) == [ipaddress.IPv4Address("172.17.0.3")]
    assert list(parse_if_inet6(INET6)) == ["2001:db8::1/64"]


@given(st.one_of(st.binary(max_size=500), st.sampled_from([TCP, TCP6, UNIX, ROUTE, FIB, INET6])))
def test_any_bytes_give_an_answer(data: bytes) -> None:
    for cut in (data, data[: len(data) // 2]):
        list(parse_inet(cut, "tcp", 0x0A))
        list(parse_unix(cut))
        parse_routes(cut)
        parse_fib_trie(cut)
        list(parse_if_inet6(cut))
