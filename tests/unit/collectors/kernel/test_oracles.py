"""Our readers against the libraries that everybody trusts, on this very machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

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


TWO_THREADS = """
import sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
print("both are there", flush=True)
sys.stdin.read()
"""


def test_a_process_is_psutils() -> None:
    # Not this one: threads of other tests may be about to end.
    with subprocess.Popen(
        [sys.executable, "-c", TWO_THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"both are there\n"
        ours = ProcessReader(HostFS()).read().get(child.pid)
        theirs = psutil.Process(child.pid)
        assert ours is not None
        assert ours.ppid == theirs.ppid()
        assert ours.exe == theirs.exe()
        assert list(ours.argv) == theirs.cmdline()[: len(ours.argv)]
        assert ours.uid == theirs.uids().effective
        child.kill()


def netlinks() -> tuple[set[int], set[str]]:
    """Return the ports that are listened on, and the addresses."""
    with DiagSocket() as diag:
        diag.bind()
        found = diag.get_sock_stats(family=socket.AF_INET, states=1 << 10)
        ports = {s["idiag_sport"] for s in found}
    with IPRoute() as route:
        addresses = {
            f"{dict(a['attrs'])['IFA_ADDRESS']}/{a['prefixlen']}"
            for a in route.get_addr(family=socket.AF_INET, scope=0)
        }
    return ports, addresses


def test_addresses_and_listeners_are_netlinks() -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        # Whatever else runs on this machine may begin or cease to listen in between.
        while True:
            before = netlinks()
            facts = read_network(HostFS(), os.getpid())
            if netlinks() == before:
                break
    ports, addresses = before
    ours = {s.port for s in facts.listeners if s.protocol == "tcp"}
    assert port in ours
    assert ours == ports
    assert {a for a in facts.addresses if ":" not in a} == addresses
