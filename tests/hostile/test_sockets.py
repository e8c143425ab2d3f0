"""Sockets that would activate an engine that is not running: the agent must not start it."""

from __future__ import annotations

import json
import sys

import pytest

from tests.engines.harness.agent import TALLYMAN
from tests.engines.harness.need import need
from tests.engines.harness.programs import run

pytestmark = pytest.mark.engine

SOCKETS = (
    "docker.sock",
    "podman/podman.sock",
    "user/0/podman/podman.sock",
    "containerd/containerd.sock",
    "crio/crio.sock",
    "incus/unix.socket",
    "lxd.socket",
    "systemd/machine/io.systemd.Machine",
)

LISTEN = """
import json, os, socket, subprocess, sys
listening = []
for name in sys.argv[2:]:
    path = "/run/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    one = socket.socket(socket.AF_UNIX)
    one.bind(path)
    one.listen()
    one.setblocking(False)
    listening.append(one)
subprocess.run([sys.argv[1], "ls", "--all"], check=True, stdout=subprocess.DEVNULL)
woken = []
for name, one in zip(sys.argv[2:], listening):
    try:
        one.accept()
    except BlockingIOError:
        continue
    woken.append(name)
print(json.dumps(woken))
"""


def test_no_engine_is_started_by_asking() -> None:
    """In a mount namespace where /run contains only such sockets."""
    need("unshare")
    script = 'mount -t tmpfs none /run && exec "$@"'
    words = ("unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", LISTEN)
    assert json.loads(run(*words, TALLYMAN, *SOCKETS)) == []
