from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from collectors.contract import Options
from collectors.engines.lxc.collector import LxcCollector
from collectors.facts import State
from tests.support.as_root import AS_ROOT
from tests.support.processes import HOST, inner, process
from tests.support.system_host import by_id, captured, context, fixture

MONITOR = "[lxc monitor] /var/lib/lxc web"


def test_each_container_of_a_real_host_is_seen_once(tmp_path: Path) -> None:
    facts, processes = captured("lxc.json")
    sightings = by_id(LxcCollector().collect(context(tmp_path, facts, processes)))
    assert {(s.name, s.instance, s.cgroup) for s in sightings.values()} == {
        ("priv", "/srv/lxc", "/lxc.payload.priv"),
        ("cg", "/srv/lxc", "/custom/inner/lxc.payload.cg"),
        ("name", "/srv/lxc", "/lxc.payload.name"),
        ("fg", "/srv/lxc", "/lxc.payload.fg"),
        ("unpriv", "/srv/lxc", "/lxc.payload.unpriv"),
        ("execroot", "/srv/lxc-ex", "/lxc.payload.execroot"),
        ("exec", "/srv/lxc-ex", "/lxc.payload.exec"),
        ("execd", "/srv/lxc-ex", "/lxc.payload.execd"),
    }
    known = {p.id: p for p in processes}
    for sighting in sightings.values():
        assert sighting.engine == "lxc"
        assert sighting.state is State.RUNNING
        assert sighting.init is not None
        assert known[sighting.init].inner_pid == 1


def test_lxc_execute_keeps_a_program_and_its_init_is_inside(tmp_path: Path) -> None:
    facts, processes = captured("lxc.json")
    sightings = by_id(LxcCollector().collect(context(tmp_path, facts, processes)))
    assert sightings["exec"].boots is False
    assert sightings["exec"].command == ("/bin/sleep", "3000")
    assert sightings["execd"].boots is False
    # Without a root filesystem of its own it is on the host's, and still LXC's.
    init = next(p for p in processes if p.id == sightings["exec"].init)
    assert init.root == facts.root
    assert init.namespaces.mnt != facts.namespaces.mnt


def test_configuration_says_what_the_process_does_not(tmp_path: Path) -> None:
    facts, processes = captured("lxc.json")
    files = {"root/srv/lxc/priv/config": fixture("lxc-busybox.config")}
    sightings = by_id(LxcCollector().collect(context(tmp_path, facts, processes, files)))
    priv = sightings["priv"]
    assert priv.boots is True
    assert priv.image == "busybox"
    assert priv.rootfs == "/srv/lxc/priv/rootfs"
    assert priv.network_mode == "none"
    assert priv.mounts[:2] == ("/lib", "/usr/lib")
    assert priv.created is not None
    assert priv.started == pytest.approx(facts.boot_time + 1197.27)
    assert sightings["cg"].boots is None  # started with a configuration that is not there any more


def test_guest_with_cgroup_v2(tmp_path: Path) -> None:
    facts, processes = captured("guest-v2.json")
    files = {
        "root/var/lib/lxc/101/config": (
            "lxc.cgroup.relative = 0\n"
            "lxc.cgroup.dir.monitor = lxc.monitor/101\n"
            "lxc.cgroup.dir.container = lxc/101\n"
            "lxc.cgroup.dir.container.inner = ns\n"
            "lxc.uts.name = web01\n"
            "lxc.rootfs.path = /var/lib/lxc/101/rootfs\n"
        ),
        "proc/544/net/unix": (
            "Num       RefCount Protocol Flags    Type St Inode Path\n"
            "0000000000000000: 00000002 00000000 00010000 0001 01 17253 @/var/lib/lxc/101/command\n"
        ),
    }
    sightings = by_id(LxcCollector().collect(context(tmp_path, facts, processes, files)))
    assert set(sightings) == {"one", "101", "jc"}
    # Proxmox starts in the foreground, with mounts of the monitor's own and an inner cgroup.
    assert sightings["101"].cgroup == "/lxc/101"
    assert sightings["101"].name == "web01"
    assert sightings["101"].boots is True
    # A user's container lies in the cgroup of its session.
    joe = sightings["jc"]
    assert joe.instance == "/home/joe/.local/share/lxc"
    assert joe.cgroup is not None
    assert joe.cgroup.startswith("/user.slice/user-1000.slice/")
    assert joe.cgroup.endswith(".scope/lxc.payload.jc")


@AS_ROOT
def test_stopped_containers_come_from_their_configuration(tmp_path: Path) -> None:
    files = {
        "root/etc/lxc/lxc.conf": "lxc.lxcpath = /srv/containers\n",
        "root/srv/containers/web/config": (
            "lxc.uts.name = web.example\nlxc.rootfs.path = lvm:/dev/vg/web\n"
        ),
        "root/var/lib/lxc/app/config": (
            "lxc.rootfs.path=/r\nlxc.init.cmd = /usr/bin/redis-server --port 1\n"
        ),
        "root/var/lib/lxc/oci/config": "lxc.rootfs.path=/r\nlxc.execute.cmd = '\"/bin/app\"'\n",
        "root/var/lib/lxc/deep/config": "lxc.cgroup.dir = tenants/a\nlxc.ephemeral = 1\n",
        "root/var/lib/lxc/mine/config": (
            "lxc.cgroup.dir.container = x/y\nlxc.cgroup.dir.container.inner=z\n"
        ),
        "root/var/lib/lxc/readme/config": "this is no configuration\n",
        "root/var/lib/lxc/stray": "a file",
        "root/opt/lxc/told/config": "lxc.uts.name = told\n",
    }
    options = Options(lxc_paths=("/opt/lxc",))
    ctx = context(tmp_path, HOST, [], files, options=options)
    sightings = by_id(LxcCollector().collect(ctx))
    assert set(sightings) == {"web", "app", "oci", "deep", "mine", "told"}
    assert {s.state for s in sightings.values()} == {State.EXITED}
    assert {s.init for s in sightings.values()} == {None}
    assert sightings["web"].instance == "/srv/containers"
    assert sightings["web"].hostname == "web.example"
    assert sightings["web"].rootfs == ""
    assert sightings["web"].boots is True
    assert sightings["app"].boots is False
    assert sightings["app"].command == ("/usr/bin/redis-server", "--port", "1")
    assert sightings["oci"].boots is False
    assert sightings["deep"].cgroup == "/tenants/a/lxc.payload.deep"
    assert sightings["deep"].auto_remove is True
    assert sightings["mine"].cgroup == "/x/y"


@AS_ROOT
def test_a_users_path_is_remembered_and_its_links_stay_inside(tmp_path: Path) -> None:
    home = "/home/joe/.local/share/lxc"
    monitor = process(10, exe="/usr/bin/lxc-start", argv=(f"[lxc monitor] {home} jc",), uid=1000)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc.payload.jc")
    files = {
        "root/etc/secret": "lxc.uts.name = stolen\n",
        f"root{home}/jc/config": "lxc.uts.name = jc\n",
        f"root{home}/other/config": "lxc.uts.name = other\n",
        f"root{home}/evil/config": "->/etc/secret",
    }
    collector = LxcCollector()
    running = context(tmp_path, HOST, [monitor, init], files)
    os.chown(tmp_path / "root" / home[1:], 1000, 1000)
    assert set(by_id(collector.collect(running))) == {"jc", "other"}
    stopped = by_id(collector.collect(context(tmp_path, HOST, [])))
    assert set(stopped) == {"jc", "other"}
    assert {s.cgroup for s in stopped.values()} == {None}  # it depends on the session


def test_nested_lxc_is_another_instance(tmp_path: Path) -> None:
    outer = process(10, exe="/usr/bin/lxc-start", argv=(MONITOR,), cgroup="/lxc.monitor.web")
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc.payload.web/init.scope")
    within = dataclasses.replace(
        inner(init, 12, 11),
        exe="/usr/bin/lxc-start",
        argv=(MONITOR,),
        cgroups={"": "/lxc.payload.web/lxc.monitor.web"},
    )
    deepest = process(
        13,
        12,
        ns={"mnt": 30, "pid": 31},
        root=2,
        ns_pids=(13, 7, 1),
        cgroup="/lxc.payload.web/lxc.payload.web",
    )
    files = {
        "proc/12/root/var/lib/lxc/web/config": "lxc.uts.name = deep\nlxc.rootfs.path = /r\n",
        "proc/12/mountinfo": "1 0 0:50 / /proc/uptime rw - fuse.lxcfs lxcfs rw,user_id=0\n",
        "proc/1/mountinfo": "1 0 0:50 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw,user_id=0\n",
    }
    ctx = context(tmp_path, HOST, [outer, init, within, deepest], files)
    sightings = {s.instance: s for s in LxcCollector().collect(ctx)}
    assert set(sightings) == {"/var/lib/lxc", "/lxc.payload.web:/var/lib/lxc"}
    assert sightings["/var/lib/lxc"].cgroup == "/lxc.payload.web"
    nested = sightings["/lxc.payload.web:/var/lib/lxc"]
    assert nested.cgroup == "/lxc.payload.web/lxc.payload.web"
    assert nested.hostname == "deep"

    # A container in which a file may never come is not looked into; what it keeps is still seen.
    hung = {"proc/12/mountinfo": "1 0 0:51 / /var rw - fuse.evil evil rw\n"}
    ctx = context(tmp_path, HOST, [outer, init, within, deepest], hung)
    sightings = {s.instance: s for s in LxcCollector().collect(ctx)}
    assert sightings["/lxc.payload.web:/var/lib/lxc"].hostname == ""


@pytest.mark.parametrize(
    ("hierarchy", "path", "content", "state"),
    [
        ("freezer", "sys/f/lxc.payload.web/freezer.state", "FROZEN\n", State.PAUSED),
        ("freezer", "sys/f/lxc.payload.web/freezer.state", "THAWED\n", State.RUNNING),
        ("", "sys/u/lxc.payload.web/cgroup.events", "populated 1\nfrozen 1\n", State.PAUSED),
        ("", "sys/u/lxc.payload.web/cgroup.events", "populated 1\nfrozen 0\n", State.RUNNING),
    ],
)
def test_a_frozen_container_is_paused(
    tmp_path: Path, hierarchy: str, path: str, content: str, state: State
) -> None:
    facts = dataclasses.replace(HOST, cgroups=captured("lxc.json")[0].cgroups)
    monitor = process(10, exe="/usr/bin/lxc-start", argv=(MONITOR,), cgroup="/lxc.monitor.web")
    init = process(
        11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroups={hierarchy: "/lxc.payload.web"}
    )
    ctx = context(tmp_path, facts, [monitor, init], {path: content})
    assert by_id(LxcCollector().collect(ctx))["web"].state is state
