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
from collectors.kernel.netfilter import count_rules, message_kinds

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


def test_a_process_that_is_gone_has_none_that_could_be_counted() -> None:
    assert count_rules(HostFS(), 1 << 22) is None


def test_the_kinds_of_messages() -> None:
    data = HEADER.pack(20, 2566, 0, 1, 0) + bytes(4) + HEADER.pack(16, 3, 0, 1, 0)
    assert message_kinds(data) == [2566, 3]


@given(st.binary(max_size=200))
def test_any_answer_ends(data: bytes) -> None:
    assert len(message_kinds(data)) <= len(data) // HEADER.size
