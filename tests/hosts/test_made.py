"""Engines that cannot run where the tests do: made trees, from what they keep to ``tallyman ls``.

Where the formats are from is said beside the files, in tests/fixtures/*/README.md; a snap is what
snap-confine's mounts are, an apptainer instance what its starter's title and environment are. The
processes are put beside those of the captured host v2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engines.harness.agent import TALLYMAN
from tests.engines.harness.programs import run
from tests.hosts.archive import load
from tests.hosts.conftest import HERE
from tests.support.system_host import fixture
from tests.unit.collectors.engines.crio.test_collector import APP, OLD, SANDBOX, SLICE, STORE

OCI = Path(__file__).parents[1] / "fixtures/oci"
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


class MadeHost:
    """The captured host with more on it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        load((HERE / "v2.txt").read_text()).unpack(place)

    def write(self, where: str, content: str | bytes) -> None:
        path = self.place / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def process(
        self,
        pid: int,
        exe: str,
        *argv: str,
        ppid: int = 1,
        cgroup: str = "/system.slice/x.service",
        own: tuple[str, ...] = (),
        mountinfo: str = "1 0 7:1 / / rw - ext4 /dev/loop1 rw\n",
        environ: str = "",
    ) -> None:
        """Add a process; ``own`` are the kinds of namespaces that it does not share with pid 1.

        With mounts of its own it has a root of its own.
        """
        directory = self.place / "proc" / str(pid)
        (directory / "ns").mkdir(parents=True)
        for kind in KINDS:
            link = f"{kind}:[{pid * 100 + KINDS.index(kind)}]"
            host = (self.place / "proc/1/ns" / kind).readlink()
            (directory / "ns" / kind).symlink_to(link if kind in own else host)
        root = self.place / f"root-of-{pid}" if "mnt" in own else self.place / "root"
        root.mkdir(exist_ok=True)
        (directory / "root").symlink_to(root)
        (directory / "exe").symlink_to(f"{root}{exe}")
        name = Path(exe).name
        numbers = (
            f"{ppid} {pid} {pid} 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {pid + 100} 1000000 100 "
        )
        inner = f"{pid}\t1" if "pid" in own else str(pid)
        for what, text in {
            "stat": f"{pid} ({name}) S {numbers}" + "0 " * 28,
            "status": f"Name:\t{name}\nUid:\t0\t0\t0\t0\nNSpid:\t{inner}\nCapEff:\t0\n",
            "cmdline": "".join(f"{word}\0" for word in argv or (exe,)),
            "cgroup": f"0::{cgroup}\n",
            "mountinfo": mountinfo,
            "environ": environ,
        }.items():
            (directory / what).write_text(text)

    def ls(self) -> list[dict[str, Any]]:
        """Return what is shown as containers of those that were added."""
        paths = ("procfs=proc", "sysfs=sys", "rootfs=root")
        flags = [f"--path.{p.replace('=', f'={self.place}/')}" for p in paths]
        rows: list[dict[str, Any]] = json.loads(run(TALLYMAN, "ls", "--all", "--json", *flags))
        return [row for row in rows if not row.get("reason")]


@pytest.fixture
def host(tmp_path: Path) -> MadeHost:
    return MadeHost(tmp_path)


def test_crio(host: MadeHost) -> None:
    store = f"root{STORE}"
    crio = OCI / "crio"
    host.write(
        f"{store}/overlay-containers/containers.json", (crio / "containers.json").read_bytes()
    )
    for path in crio.glob("*/*"):
        below = f"overlay-containers/{path.parent.name}/userdata/{path.name}"
        host.write(f"{store}/{below}", path.read_bytes())
    for pid, engine_id in ((4000, SANDBOX), (4001, APP)):
        bundle = f"/run/containers/storage/overlay-containers/{engine_id}/userdata"
        words = ("conmon", "-b", bundle, "-c", engine_id, "--exit-dir", "/var/run/crio/exits")
        host.process(pid, "/usr/libexec/crio/conmon", *words)
        own = ("mnt", "pid", "net", "ipc", "uts")
        cgroup = f"{SLICE}/crio-{engine_id}.scope"
        host.process(pid + 100, "/app", ppid=pid, cgroup=cgroup, own=own)

    found = {r["name"]: r for r in host.ls() if r["engine"] == "cri-o"}

    assert {n: (r["state"], r["role"], r["pid"]) for n, r in found.items()} == {
        "shop/web-0": ("running", "infra", 4100),
        "shop/web-0/app": ("running", "", 4101),
        "shop/web-0/migrate": ("exited", "", None),
    }
    assert found["shop/web-0/app"]["id"] == f"{SLICE}/crio-{APP}.scope"
    assert OLD in found["shop/web-0/migrate"]["id"]


def test_proxmox(host: MadeHost) -> None:
    host.write("root/etc/pve/lxc/101.conf", fixture("proxmox-101.conf"))
    host.write("root/etc/pve/lxc/102.conf", "hostname: idle\nostype: alpine\n")
    host.write(
        "root/var/lib/lxc/101/config",
        "lxc.cgroup.dir.monitor = lxc.monitor/101\nlxc.cgroup.dir.container = lxc/101\n"
        "lxc.uts.name = web01\nlxc.rootfs.path = /var/lib/lxc/101/rootfs\n",
    )
    words = ("/usr/bin/lxc-start", "-F", "-n", "101")
    host.process(4000, "/usr/bin/lxc-start", *words, cgroup="/lxc.monitor/101")
    own = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
    init = "/usr/lib/systemd/systemd"
    host.process(4001, init, "/sbin/init", ppid=4000, cgroup="/lxc/101/ns/init.scope", own=own)

    found = {r["name"]: r for r in host.ls() if r["name"] in ("web01", "idle")}

    assert {n: (r["id"], r["state"], r["pid"]) for n, r in found.items()} == {
        "web01": ("/lxc/101", "running", 4001),
        "idle": ("/lxc/102", "exited", None),
    }
    assert [r["id"] for r in host.ls() if "101" in r["id"]] == ["/lxc/101"]


def test_snap(host: MadeHost) -> None:
    mounts = (
        "1 0 7:1 / / ro - squashfs /dev/loop1 ro\n"
        "2 1 8:1 / /var/lib/snapd/hostfs rw - ext4 /dev/sda rw\n"
    )
    scope = "/user.slice/app.slice/snap.hello-world.env-5a2f3c1e-0000-4000-8000-0123456789ab.scope"
    host.process(4000, "/bin/env", cgroup=scope, own=("mnt",), mountinfo=mounts)

    (found,) = [r for r in host.ls() if r["pid"] == 4000]

    assert (found["engine"], found["name"], found["image"]) == (
        "snap",
        "hello-world.env",
        "hello-world",
    )


def test_apptainer(host: MadeHost) -> None:
    title = "Apptainer instance: me [web]"
    host.process(4000, "/usr/libexec/apptainer/bin/starter-suid", title)
    environ = "HOME=/home/me\0APPTAINER_CONTAINER=/home/me/nginx.sif\0"
    host.process(4001, "/bin/nginx", ppid=4000, own=("mnt", "pid"), environ=environ)

    (found,) = [r for r in host.ls() if r["pid"] in (4000, 4001)]

    assert (found["pid"], found["engine"], found["name"], found["image"]) == (
        4001,
        "apptainer",
        "web",
        "/home/me/nginx.sif",
    )
