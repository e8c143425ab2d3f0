from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from collectors.hostfs import Gone, HostFS
from collectors.kernel.sock_diag import read_tcp_listeners

LISTEN = """
import socket, sys
families = {7001: socket.AF_INET, 7002: socket.AF_INET6}
sockets = [socket.create_server(("", port), family=f) for port, f in families.items()]
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="entering a network namespace takes root")
def test_listeners_of_another_namespace_and_of_that_alone() -> None:
    ours = os.readlink("/proc/thread-self/ns/net")
    with (
        socket.create_server(("127.0.0.1", 0)) as here,
        subprocess.Popen(
            ["unshare", "-n", sys.executable, "-c", LISTEN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == "listening\n"
        found = {(s.protocol, s.port) for s in read_tcp_listeners(HostFS(), child.pid)}
        child.kill()
        assert ("tcp", here.getsockname()[1]) not in found
    assert found == {("tcp", 7001), ("tcp6", 7002)}
    assert os.readlink("/proc/thread-self/ns/net") == ours


def test_a_process_that_is_gone_is_gone() -> None:
    with pytest.raises(Gone):
        read_tcp_listeners(HostFS(), 1 << 22)
