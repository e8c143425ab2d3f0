"""Counts the firewall rules of another network namespace: nftables and legacy iptables.

/proc does not show them. nftables answers over netlink, linux/netfilter/nf_tables.h, the legacy
tables to getsockopt(2), linux/netfilter_ipv4/ip_tables.h and its IPv6 counterpart. Both are asked
only where the kernel has them already, as the question would load the module.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from collectors.hostfs import HostReadError
from collectors.kernel.sock_diag import socket_inside
from collectors.syscalls import getsockopt

if TYPE_CHECKING:
    from collectors.hostfs import HostFS

_NETLINK_NETFILTER = 12
_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_NEW_RULE, _GET_RULE = _NFTABLES | 6, _NFTABLES | 7
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ANSWERS_READ = 256

_GET_INFO = 64  # IPT_SO_GET_INFO, IP6T_SO_GET_INFO
_INFO = struct.Struct("=32sI5I5III")  # struct ipt_getinfo, struct ip6t_getinfo
_TABLES_KEPT = 8


class _Legacy(NamedTuple):
    """Where the legacy tables of one protocol are."""

    names: str
    family: int
    level: int


_LEGACY = (
    _Legacy("ip_tables_names", socket.AF_INET, socket.SOL_IP),
    _Legacy("ip6_tables_names", socket.AF_INET6, socket.IPPROTO_IPV6),
)


def count_rules(host: HostFS, pid: int) -> int | None:
    """Count the firewall rules in the network namespace of a process.

    None where they cannot be counted: no permission, or a kernel without netfilter.
    """
    legacy = [_count_legacy(host, pid, version) for version in _LEGACY]
    try:
        modern = _count_nftables(host, pid) if _has_nftables(host) else 0
    except (OSError, HostReadError):
        modern = None
    counted = [count for count in (*legacy, modern) if count is not None]
    return sum(counted) if counted else None


def _has_nftables(host: HostFS) -> bool:
    """Return whether the kernel can be asked without loading a module for it."""
    if host.sys.exists("module/nf_tables"):
        return True
    if not host.proc.exists("sys/kernel/modprobe"):
        return True  # a kernel without loadable modules loads none
    release = host.proc.read_head("sys/kernel/osrelease", 256).decode("ascii", "replace").strip()
    built_in = host.root.read(f"lib/modules/{release}/modules.builtin", 1 << 20)
    return b"/nf_tables.ko" in built_in


def _count_nftables(host: HostFS, pid: int) -> int:
    with socket_inside(host, pid, socket.AF_NETLINK, _NETLINK_NETFILTER) as netlink:
        every_family = bytes(4)  # struct nfgenmsg
        size = _HEADER.size + len(every_family)
        netlink.send(_HEADER.pack(size, _GET_RULE, _REQUEST_DUMP, 1, 0) + every_family)
        count = 0
        for _ in range(_ANSWERS_READ):
            kinds = list(message_kinds(netlink.recv(65536)))
            count += kinds.count(_NEW_RULE)
            if _ERROR in kinds:
                raise OSError("nftables returned an error")
            if _DONE in kinds or not kinds:
                break
        return count


def message_kinds(data: bytes) -> list[int]:
    """Return the types of the netlink messages in an answer, netlink(7)."""
    kinds = []
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            break
        kinds.append(kind)
        data = data[(length + 3) & ~3 :]
    return kinds


def _count_legacy(host: HostFS, pid: int, version: _Legacy) -> int | None:
    try:
        names = host.proc.read_head(f"{pid}/net/{version.names}", 4096)
        tables = names.split()[:_TABLES_KEPT]
        if not tables:
            return 0
        with socket_inside(host, pid, version.family, socket.IPPROTO_RAW) as raw:
            return sum(_rules_of(raw, version.level, table) for table in tables)
    except (OSError, HostReadError):
        return None


def _rules_of(raw: socket.socket, level: int, table: bytes) -> int:
    question = _INFO.pack(table[:31], *[0] * 13)
    answer = getsockopt(raw.fileno(), level, _GET_INFO, question)
    fields: tuple[int, ...] = _INFO.unpack(answer)[1:]
    hooks, entries = fields[0], fields[-2]
    # Each chain that the kernel calls ends with its policy, and the table with an error entry.
    return max(0, entries - hooks.bit_count() - 1)
