"""The agent inside a real container: it reports that, and shows what it can read."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import TALLYMAN
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import CommandError, remove_cgroups, run, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

# Asks a server that it starts itself, in the container's network, which has only lo.
_SERVE = """
import json, subprocess, sys, time, urllib.request
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
address = "127.0.0.1:10060"
agent = subprocess.Popen([sys.argv[1], "serve", "--web.listen-address=" + address])
try:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://{address}/-/ready", timeout=5)
            break
        except OSError:
            time.sleep(0.1)
    print(urllib.request.urlopen(f"http://{address}/metrics", timeout=20).read().decode())
finally:
    agent.terminate()
    agent.wait(30)
"""


@contextmanager
def container_over_the_hosts_root() -> Iterator[list[str]]:
    """Return a function that runs a command in an LXC container with the host's agent in it."""
    need("lxc-start")
    name = unique("inside")
    with workplace("inside") as place:
        (place / name).mkdir()
        (place / "delta").mkdir()
        (place / name / "config").write_text(
            "\n".join(
                [
                    f"lxc.uts.name = {name}",
                    f"lxc.rootfs.path = overlayfs:/:{place}/delta",
                    "lxc.net.0.type = empty",
                    "lxc.apparmor.profile = unconfined",
                    "lxc.mount.auto = proc:mixed sys:mixed",
                    "lxc.init.cmd = /bin/sleep infinity",
                    # They may be on another disk than the root.
                    *(
                        f"lxc.mount.entry = {path} {str(path).lstrip('/')} none rbind,ro,create=dir"
                        for path in (Path(sys.base_prefix), Path(__file__).parents[2])
                    ),
                    "",
                ]
            )
        )
        where = (f"--lxcpath={place}", f"--name={name}")
        try:
            run("lxc-start", *where, f"--logfile={place}/log")
            yield ["lxc-attach", *where, "--"]
        finally:
            try:
                run("lxc-stop", *where, "--kill")
            except CommandError:
                pytest.fail(f"{name} could not be stopped")
            remove_cgroups(f"lxc.payload.{name}", f"lxc.monitor.{name}")


def test_inside_of_lxc() -> None:
    with container_over_the_hosts_root() as inside:
        listed = run(*inside, TALLYMAN, "ls")
        done = subprocess.run(
            [*inside, TALLYMAN, "check", "--json"], capture_output=True, text=True, check=False
        )
        page = run(*inside, Path(sys.executable), "-c", _SERVE, TALLYMAN)

    assert "Tallyman runs inside a container (LXC)" in listed
    (found,) = [c for c in json.loads(done.stdout) if c["name"] == "pid namespace"]
    assert (found["ok"], "runs in a container, lxc" in found["found"]) == (False, True)
    assert 'virtualization="lxc"' in page
    assert 'container_memory_usage_bytes{id="/"' in page
    # Nothing from the host: only the agent and a sleep run here.
    assert 'state="running"' not in page
