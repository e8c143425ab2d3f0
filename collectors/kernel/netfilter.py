"""Counts the firewall rules of another network namespace: nftables and legacy iptables.

What container engines write there for their own ends is not counted: the NAT rules of Docker's
name server in each user-defined network, the chains of an engine inside of the container.

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
    from collections.abc import Iterator

    from collectors.hostfs import HostFS

_NETLINK_NETFILTER = 12
_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_NEW_RULE, _GET_RULE = _NFTABLES | 6, _NFTABLES | 7
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ANSWERS_READ = 256

_TABLE, _CHAIN, _EXPRESSIONS = 1, 2, 4  # NFTA_RULE_TABLE, …
_EXPRESSION_DATA = 2  # NFTA_EXPR_DATA
_IMMEDIATE_DATA = 2  # NFTA_IMMEDIATE_DATA
_VERDICT, _VERDICT_CHAIN = 2, 2  # NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_KIND = 0x3FFF  # NLA_TYPE_MASK

_ENGINE_TABLES = (b"docker-", b"netavark")
_ENGINE_CHAINS = (b"DOCKER", b"NETAVARK", b"CNI-", b"KUBE-", b"FLANNEL", b"CALI-", b"cali-")
"""How the names begin of what engines and their network plugins make: libnetwork's
resolver_unix.go, netavark's firewall/varktables, CNI's portmap."""

_GET_INFO = 64  # IPT_SO_GET_INFO, IP6T_SO_GET_INFO
_INFO = struct.Struct("=32sI5I5III")  # struct ipt_getinfo, struct ip6t_getinfo
_TABLES_KEPT = 8

_GET_ENTRIES = 65  # IPT_SO_GET_ENTRIES, IP6T_SO_GET_ENTRIES
_QUESTION = struct.Struct("=32sI4x")  # struct ipt_get_entries, aligned for what follows
_LARGEST = 1 << 20
"""A legacy table of more bytes has rules that no engine wrote: it is not read, but counted."""
_OFFSETS = struct.Struct("=HH")  # target_offset, next_offset
_TARGET = struct.Struct("=H29sB")  # struct xt_entry_target: its size, name and revision
_JUMP = struct.Struct("=i")  # struct xt_standard_target: its verdict


class _Legacy(NamedTuple):
    """Where the legacy tables of one protocol are."""

    names: str
    family: int
    level: int
    offsets: int
    """Where ``_OFFSETS`` are in a struct ipt_entry or ip6t_entry."""


_LEGACY = (
    _Legacy("ip_tables_names", socket.AF_INET, socket.SOL_IP, 88),
    _Legacy("ip6_tables_names", socket.AF_INET6, socket.IPPROTO_IPV6, 140),
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
            messages = split_messages(netlink.recv(65536))
            kinds = [kind for kind, _ in messages]
            count += sum(kind == _NEW_RULE and not is_engines(body) for kind, body in messages)
            if _ERROR in kinds:
                raise OSError("nftables returned an error")
            if _DONE in kinds or not kinds:
                break
        return count


def split_messages(data: bytes) -> list[tuple[int, bytes]]:
    """Return the types and bodies of the netlink messages in an answer, netlink(7)."""
    messages = []
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            break
        messages.append((kind, data[_HEADER.size : length]))
        data = data[(length + 3) & ~3 :]
    return messages


def is_engines(rule: bytes) -> bool:
    """Return whether a rule of nftables is an engine's own: by its table, its chain or its jump."""
    attributes = dict(_attributes(rule[4:]))  # after struct nfgenmsg
    if attributes.get(_TABLE, b"").startswith(_ENGINE_TABLES):
        return True
    if attributes.get(_CHAIN, b"").startswith(_ENGINE_CHAINS):
        return True
    for _, expression in _attributes(attributes.get(_EXPRESSIONS, b"")):
        jump = dict(_attributes(expression))
        for kind in (_EXPRESSION_DATA, _IMMEDIATE_DATA, _VERDICT):
            jump = dict(_attributes(jump.get(kind, b"")))
        if jump.get(_VERDICT_CHAIN, b"").startswith(_ENGINE_CHAINS):
            return True
    return False


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _KIND, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _count_legacy(host: HostFS, pid: int, version: _Legacy) -> int | None:
    try:
        names = host.proc.read_head(f"{pid}/net/{version.names}", 4096)
        tables = names.split()[:_TABLES_KEPT]
        if not tables:
            return 0
        with socket_inside(host, pid, version.family, socket.IPPROTO_RAW) as raw:
            return sum(_rules_of(raw, version, table) for table in tables)
    except (OSError, HostReadError):
        return None


def _rules_of(raw: socket.socket, version: _Legacy, table: bytes) -> int:
    question = _INFO.pack(table[:31], *[0] * 13)
    answer = getsockopt(raw.fileno(), version.level, _GET_INFO, question)
    fields: tuple[int, ...] = _INFO.unpack(answer)[1:]
    hooks, entries, size = fields[0], fields[-2], fields[-1]
    # Each chain that the kernel calls ends with its policy, and the table with an error entry.
    rules = max(0, entries - hooks.bit_count() - 1)
    if not rules or size > _LARGEST:
        return rules
    question = _QUESTION.pack(table[:31], size) + bytes(size)
    answer = getsockopt(raw.fileno(), version.level, _GET_ENTRIES, question)
    return max(0, count_legacy_rules(answer[_QUESTION.size :], version.offsets) - hooks.bit_count())


def count_legacy_rules(table: bytes, offsets: int) -> int:
    """Count the rules of a legacy table, policies included, without an engine's own.

    A chain that a user made is an error entry with its name, its rules, and an entry that returns.
    ``offsets`` is where ``_OFFSETS`` are in an entry.
    """
    entries = list(_entries(table, offsets))
    chains = {end: name for end, name, _ in entries if name is not None}
    count = last = 0
    chain: bytes | None = None
    for _, name, jump in entries:
        if name is not None:
            count -= last if chain is not None else 0  # what it ended with is no rule
            chain, last = name, 0
        else:
            of_engine = (chain or b"", chains.get(jump, b""))
            last = int(not any(name.startswith(_ENGINE_CHAINS) for name in of_engine))
            count += last
    return count


def _entries(table: bytes, offsets: int) -> Iterator[tuple[int, bytes | None, int]]:
    """Return where each entry ends, the name if it begins a chain, and where it jumps to, or -1."""
    at = 0
    while at + offsets + _OFFSETS.size <= len(table):
        target_offset, next_offset = _OFFSETS.unpack_from(table, at + offsets)
        target, end = at + target_offset, at + next_offset
        data = table[target + _TARGET.size : end]
        if next_offset <= target_offset or len(data) < _JUMP.size:
            return
        _, kind, _ = _TARGET.unpack_from(table, target)
        match kind.partition(b"\0")[0]:
            case b"ERROR":
                yield end, data.partition(b"\0")[0], -1
            case b"":
                yield end, None, _JUMP.unpack_from(data)[0]
            case _:
                yield end, None, -1
        at = end
