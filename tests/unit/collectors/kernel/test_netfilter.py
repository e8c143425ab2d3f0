"""Counting firewall rules in another network namespace."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.hostfs import HostFS
from collectors.kernel.netfilter import (
    count_legacy_rules,
    count_rules,
    is_engines,
    split_messages,
)

HEADER = struct.Struct("=IHHII")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("iptables") is None, reason="takes root and iptables"
)
@pytest.mark.parametrize(
    "program", ["iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy"]
)
def test_rules_of_another_namespace_and_of_that_alone(program: str) -> None:
    script = f"{program} -A INPUT -j ACCEPT && {program} -A INPUT -j DROP && echo ok; read _"
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        if child.stdout.readline() != "ok\n":
            child.kill()
            pytest.skip(f"the kernel has nothing for {program}")
        inside = count_rules(HostFS(), child.pid)
        child.kill()
    assert inside == 2


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("iptables") is None, reason="takes root and iptables"
)
@pytest.mark.parametrize(
    "program", ["iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy"]
)
@pytest.mark.parametrize(
    ("rules", "own"),
    [
        (("-N DOCKER_OUTPUT", "-A OUTPUT -j DOCKER_OUTPUT", "-A DOCKER_OUTPUT -j ACCEPT"), 0),
        (("-N MINE", "-A INPUT -j MINE", "-A MINE -j ACCEPT", "-N OTHER", "-N CNI-X"), 2),
        (("-N CNI-X", "-N MINE", "-A MINE -j CNI-X", "-A CNI-X -j MINE", "-A MINE -j DROP"), 1),
    ],
)
def test_what_an_engine_writes_for_its_own_ends_is_not_counted(
    program: str, rules: tuple[str, ...], own: int
) -> None:
    script = " && ".join(f"{program} {rule}" for rule in rules)
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", f"{script} && echo ok; read _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        if child.stdout.readline() != "ok\n":
            child.kill()
            pytest.skip(f"the kernel has nothing for {program}")
        inside = count_rules(HostFS(), child.pid)
        child.kill()
    assert inside == own


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def test_the_rules_of_a_table_that_is_an_engines_are_its_own() -> None:
    """As dockerd writes them where it uses nftables itself."""
    assert is_engines(bytes(4) + attribute(1, b"docker-dns\0") + attribute(2, b"output\0"))
    assert not is_engines(bytes(4) + attribute(1, b"filter\0") + attribute(2, b"INPUT\0"))


@given(st.binary(max_size=400))
def test_any_rule_and_any_table_can_be_read(data: bytes) -> None:
    is_engines(data)
    assert count_legacy_rules(data, 88) <= len(data)
    assert count_legacy_rules(data, 0) <= len(data)


def test_a_process_that_is_gone_has_none_that_could_be_counted() -> None:
    assert count_rules(HostFS(), 1 << 22) is None


def test_the_kinds_of_messages() -> None:
    data = HEADER.pack(20, 2566, 0, 1, 0) + bytes(4) + HEADER.pack(16, 3, 0, 1, 0)
    assert split_messages(data) == [(2566, bytes(4)), (3, b"")]


@given(st.binary(max_size=200))
def test_any_answer_ends(data: bytes) -> None:
    assert len(split_messages(data)) <= len(data) // HEADER.size
