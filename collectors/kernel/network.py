"""A network namespace as seen from inside: /proc/<pid>/net, proc_pid_net(5).

Listening TCP sockets come from sock_diag(7) where possible, at a hundredth of the cost.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import TYPE_CHECKING

from collectors.facts import Listener, NetworkFacts
from collectors.hostfs import or_none
from collectors.kernel.netfilter import count_rules
from collectors.kernel.sock_diag import read_tcp_listeners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.hostfs import Dir, HostFS

_LIMIT = 1 << 20
_TCP_LISTEN = 0x0A  # include/net/tcp_states.h
_UDP_OPEN = 0x07  # TCP_CLOSE: an UDP socket that is not connected
_ACCEPTING = 0x10000  # SO_ACCEPTCON, unix(7)
_LISTENERS_KEPT = 256


def read_network(host: HostFS, pid: int) -> NetworkFacts:
    """Read the network namespace of a process. Raises ``HostReadError`` when it is not readable."""
    with host.process(pid) as process:
        listeners = [
            *_inet_listeners(host, process, pid),
            *parse_unix(_optional(process, "net/unix")),
        ]
        routes = parse_routes(_optional(process, "net/route"))
        local = parse_fib_trie(_optional(process, "net/fib_trie"))
        return NetworkFacts(
            addresses=(
                *(_with_prefix(address, routes) for address in local),
                *parse_if_inet6(_optional(process, "net/if_inet6")),
            ),
            default_route=any(r.prefixlen == 0 for r in routes),
            firewall_rules=count_rules(host, pid),
            listeners=tuple(listeners[:_LISTENERS_KEPT]),
        )


def read_listeners(host: HostFS, pid: int) -> tuple[Listener, ...]:
    """Read the sockets of TCP and UDP in the network namespace of a process, and nothing else.

    Raises ``HostReadError`` when it is not readable.
    """
    with host.process(pid) as process:
        return tuple(_inet_listeners(host, process, pid))


def _inet_listeners(host: HostFS, process: Dir, pid: int) -> list[Listener]:
    return [
        *_tcp_listeners(host, process, pid),
        *parse_inet(_optional(process, "net/udp"), "udp", _UDP_OPEN),
        *parse_inet(_optional(process, "net/udp6"), "udp6", _UDP_OPEN),
    ]


def _tcp_listeners(host: HostFS, process: Dir, pid: int) -> list[Listener]:
    try:
        return read_tcp_listeners(host, pid)
    except OSError:
        # The kernel lists listening sockets before connected ones: the head of the file is enough.
        return [
            *parse_inet(process.read_head("net/tcp", _LIMIT), "tcp", _TCP_LISTEN),
            *parse_inet(_optional(process, "net/tcp6"), "tcp6", _TCP_LISTEN),
        ]


def _optional(process: Dir, path: str) -> bytes:
    """Read the head of a file that a kernel may lack (no IPv6); empty where it does."""
    return or_none(process.read_head, path, _LIMIT) or b""


def parse_inet(data: bytes, protocol: str, state: int) -> Iterator[Listener]:
    """Parse /proc/net/{tcp,udp}* for sockets in one state; malformed lines are left out."""
    for line in data.decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != f"{state:02X}":
            continue
        address, _, port = fields[1].partition(":")
        try:
            yield Listener(
                protocol=protocol,
                address=_address(address),
                port=int(port, 16),
                uid=int(fields[7]),
                inode=int(fields[9]),
            )
        except (ValueError, struct.error):
            continue


def _address(text: str) -> str:
    """Parse an address, which the kernel prints as 32-bit words in host byte order."""
    raw = bytes.fromhex(text)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    packed = struct.pack(f">{len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def parse_unix(data: bytes) -> Iterator[Listener]:
    """Parse /proc/net/unix for the sockets that accept connections and have a name."""
    for line in data.decode("utf-8", "replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) < 8 or not fields[6].isdigit():
            continue
        try:
            accepting = int(fields[3], 16) & _ACCEPTING
        except ValueError:
            continue
        if accepting:
            inode = int(fields[6])
            yield Listener(protocol="unix", address=fields[7], port=0, inode=inode)


def parse_routes(data: bytes) -> list[ipaddress.IPv4Network]:
    """Parse /proc/net/route for the destinations."""
    routes = []
    for line in data.decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        try:
            destination, mask = int(fields[1], 16), int(fields[7], 16)
            prefix = (socket.htonl(destination), mask.bit_count())
            routes.append(ipaddress.IPv4Network(prefix, strict=False))
        except (IndexError, ValueError, OverflowError):
            continue
    return routes


def parse_fib_trie(data: bytes) -> list[ipaddress.IPv4Address]:
    """Parse /proc/net/fib_trie for the addresses of this namespace that are not the loopback's."""
    addresses: dict[ipaddress.IPv4Address, None] = {}
    last = ""
    for line in data.decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "|--":
            last = words[1]
        elif words[:2] == ["/32", "host"] and words[-1] == "LOCAL":
            try:
                address = ipaddress.IPv4Address(last)
            except ValueError:
                continue
            if not address.is_loopback:
                addresses[address] = None
    return list(addresses)


def _with_prefix(address: ipaddress.IPv4Address, routes: list[ipaddress.IPv4Network]) -> str:
    lengths = [net.prefixlen for net in routes if address in net and net.prefixlen]
    return f"{address}/{max(lengths, default=32)}"


def parse_if_inet6(data: bytes) -> Iterator[str]:
    """Parse /proc/net/if_inet6 for the addresses of global scope."""
    for line in data.decode("ascii", "replace").splitlines():
        fields = line.split()
        if len(fields) < 6 or fields[3] != "00":
            continue
        try:
            address = ipaddress.IPv6Address(bytes.fromhex(fields[0]))
            yield f"{address}/{int(fields[2], 16)}"
        except ValueError:
            continue
