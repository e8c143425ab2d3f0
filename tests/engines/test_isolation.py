"""The agent reports a container's isolation as the kernel has it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness import bare, oci, roots, systems
from tests.engines.harness.agent import tallyman
from tests.engines.harness.dockerd import FREE
from tests.engines.harness.need import need

if TYPE_CHECKING:
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

SLEEP = ("/bin/sleep", "86400")
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def truth(pid: int) -> dict[str, Any]:
    """Read it directly, without the agent's readers."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    return {
        "shared_namespaces": [k for k in KINDS if _namespace(pid, k) == _namespace(os.getpid(), k)],
        "capabilities": status["CapEff"],
        "seccomp": ("off", "strict", "filter")[int(status["Seccomp"])],
        "no_new_privs": status["NoNewPrivs"] == "1",
        "user_mapped": Path(f"/proc/{pid}/uid_map").read_text().split()[1] != "0",
    }


def _namespace(pid: int, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def test_isolation_is_as_the_kernel_has_it(docker: Docker) -> None:
    need("lxc-start", "newuidmap")
    image = docker.busybox()

    def start(*options: str) -> str:
        return docker.run(image, *SLEEP, options=options).name

    owner = start()
    of_host = start("--network=host", "--pid=host", "--ipc=host", "--uts=host", "--cgroupns=host")
    guest = start(f"--network=container:{owner}", f"--pid=container:{owner}")
    harmless = start("--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=1000")
    dear = start(*FREE, f"--volume={docker.socket}:/odd/place.sock")
    with systems.lxc(*SLEEP, unprivileged=True) as mapped:
        found = json.loads(tallyman("ls", "--json", f"--collector.docker.host={docker.endpoint}"))
        rows = {row["name"]: row for row in found}
        for name in (owner, of_host, guest, harmless, dear, mapped.name):
            said = rows[name]["isolation"]
            right = truth(rows[name]["pid"])
            assert {key: said[key] for key in right} == right, name

    whose = {n: [rows[n]["isolation"][k] for k in ("network", "pid_namespace")] for n in rows}
    assert whose[owner] == ["own", "own"]
    assert whose[of_host] == ["host", "host"]
    assert whose[guest] == [f"container:{rows[owner]['id']}"] * 2
    assert [n for n in (owner, harmless, dear) if rows[n]["isolation"]["privileged"]] == [dear]
    assert rows[dear]["isolation"]["engine_sockets"] == ["/odd/place.sock"]
    assert rows[owner]["isolation"]["engine_sockets"] == []


def _is_privileged(made: Made) -> bool:
    """Return whether the agent finds a container to be privileged."""
    found = json.loads(tallyman("explain", str(made.pid), "--json"))
    return "privileged" in {finding["name"] for finding in found["findings"]}


def test_only_who_has_the_hosts_capabilities_is_privileged(tmp_path: Path) -> None:
    need("bwrap", "unshare", "runc", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    inside = ("--bind", root, "/", "--proc", "/proc", "--dev", "/dev")
    # Root's bubblewrap may get every capability (its bounding set), and keeps none.
    with bare.sleeping_in("bubblewrap", "bwrap", *inside, "--unshare-all") as made:
        assert not _is_privileged(made)
    # All capabilities, in a user namespace of its own.
    own = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", f"--root={root}")
    with bare.sleeping_in("unshare", *own) as made:
        assert not _is_privileged(made)
    with bare.sleeping_in("unshare", "unshare", *own[3:]) as made:
        assert _is_privileged(made)
    # Until it is started, the runtime waits in it with all that it has itself.
    with oci.runc(*SLEEP, action="create") as made:
        assert not _is_privileged(made)
