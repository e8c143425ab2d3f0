"""Our readers against the libraries that everybody trusts, on this very machine."""

from __future__ import annotations

import os
import socket

import psutil
import pytest
from pyroute2 import DiagSocket, IPRoute

from collectors.hostfs import HostFS
from collectors.kernel.host import read_host_facts
from collectors.kernel.network import read_network
from collectors.kernel.processes import ProcessReader


def test_host_facts_are_psutils() -> None:
    facts = read_host_facts(HostFS())
    assert facts.cpus == psutil.cpu_count()
    assert facts.memory_bytes == psutil.virtual_memory().total
    assert facts.swap_bytes == psutil.swap_memory().total
    assert facts.boot_time == pytest.approx(psutil.boot_time(), abs=1)


def test_a_process_is_psutils() -> None:
    ours = ProcessReader(HostFS()).read().get(os.getpid())
    theirs = psutil.Process()
    assert ours is not None
    assert ours.ppid == theirs.ppid()
    assert ours.exe == theirs.exe()
    assert list(ours.argv) == theirs.cmdline()[: len(ours.argv)]
    assert ours.uid == theirs.uids().effective
    assert ours.threads == theirs.num_threads()


def test_addresses_and_listeners_are_netlinks() -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        facts = read_network(HostFS(), os.getpid())
        with DiagSocket() as diag:
            diag.bind()
            found = diag.get_sock_stats(family=socket.AF_INET, states=1 << 10)
            theirs = {s["idiag_sport"] for s in found}
    ours = {s.port for s in facts.listeners if s.protocol == "tcp"}
    assert port in ours
    assert ours == theirs
    with IPRoute() as route:
        wanted = {
            f"{dict(a['attrs'])['IFA_ADDRESS']}/{a['prefixlen']}"
            for a in route.get_addr(family=socket.AF_INET, scope=0)
        }
        assert set(facts.interfaces) >= {
            dict(link["attrs"])["IFLA_IFNAME"] for link in route.get_links()
        } - {"lo"}
    assert {a for a in facts.addresses if ":" not in a} == wanted
