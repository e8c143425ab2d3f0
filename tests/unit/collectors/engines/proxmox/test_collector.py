from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from collectors.engines.lxc.collector import LxcCollector
from collectors.engines.proxmox.collector import ProxmoxCollector, sighting_of
from collectors.facts import State
from tests.support.processes import HOST, process
from tests.support.system_host import by_id, captured, context, fixture


def test_a_real_settings_file(tmp_path: Path) -> None:
    files = {"root/etc/pve/lxc/101.conf": fixture("proxmox-101.conf")}
    sightings = by_id(ProxmoxCollector().collect(context(tmp_path, HOST, [], files)))
    web = sightings["101"]
    assert web.name == web.hostname == "web01"  # not the name to come, nor the snapshot's
    assert web.state is State.EXITED
    assert web.image == "debian"
    assert web.cgroup == "/lxc/101"
    assert web.boots is True
    assert web.network_mode == "vmbr0"
    assert web.mounts == ("/tank/media",)
    assert web.labels["proxmox.tags"] == "prod;web"
    assert (
        web.labels["proxmox.description"] == "web server of the été shop\nask ops: before touching"
    )


def test_its_key_is_lxcs_own(tmp_path: Path) -> None:
    monitor = process(
        10, exe="/usr/bin/lxc-start", argv=("/usr/bin/lxc-start", "-F", "-n", "101"), ns={"mnt": 9}
    )
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc/101/ns/init.scope")
    files = {
        "root/etc/pve/lxc/101.conf": fixture("proxmox-101.conf"),
        "root/var/lib/lxc/101/config": (
            "lxc.cgroup.dir.monitor = lxc.monitor/101\nlxc.cgroup.dir.container = lxc/101\n"
            "lxc.uts.name = web01\nlxc.rootfs.path = /var/lib/lxc/101/rootfs\n"
        ),
    }
    ctx = context(tmp_path, HOST, [monitor, init], files)
    (ours,) = ProxmoxCollector().collect(ctx)
    (lxcs,) = LxcCollector().collect(ctx)
    assert (ours.engine, ours.instance, ours.engine_id) == (
        lxcs.engine,
        lxcs.instance,
        lxcs.engine_id,
    )
    assert ours.init == lxcs.init == init.id
    assert ours.state is lxcs.state is State.RUNNING
    assert ours.cgroup == lxcs.cgroup == "/lxc/101"
    assert ours.name == lxcs.name == "web01"


def test_a_frozen_container_is_paused(tmp_path: Path) -> None:
    facts = dataclasses.replace(HOST, cgroups=captured("lxc.json")[0].cgroups)
    argv = ("/usr/bin/lxc-start", "-F", "-n", "101")
    monitor = process(10, exe="/usr/bin/lxc-start", argv=argv, ns={"mnt": 9})
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroups={"": "/lxc/101/ns"})
    files = {
        "root/etc/pve/lxc/101.conf": fixture("proxmox-101.conf"),
        "root/var/lib/lxc/101/config": "lxc.uts.name = web01\n",
        "sys/u/lxc/101/ns/cgroup.events": "populated 1\nfrozen 1\n",
    }
    (frozen,) = ProxmoxCollector().collect(context(tmp_path, facts, [monitor, init], files))
    assert frozen.state is State.PAUSED


def test_a_template_is_no_container(tmp_path: Path) -> None:
    files = {
        "root/etc/pve/lxc/100.conf": "hostname: mine\nostype: alpine\n",
        "root/etc/pve/lxc/900.conf": "hostname: base\ntemplate: 1\n",
    }
    sightings = by_id(ProxmoxCollector().collect(context(tmp_path, HOST, [], files)))
    assert {s.name for s in sightings.values()} == {"mine"}


def test_no_proxmox_is_no_answer(tmp_path: Path) -> None:
    assert list(ProxmoxCollector().collect(context(tmp_path, HOST, []))) == []


@pytest.mark.parametrize(
    ("settings", "boots"),
    [
        ({}, True),
        ({"entrypoint": "/sbin/init"}, True),
        ({"entrypoint": "/usr/sbin/nginx -g daemon"}, False),
    ],
)
def test_an_entrypoint_is_no_system(settings: dict[str, str], boots: bool) -> None:
    sighting = sighting_of("105", settings, None, State.EXITED)
    assert sighting.boots is boots
    assert sighting.name == "CT105"


@pytest.mark.parametrize(
    ("exe", "boots"), [("/command/s6-svscan", False), ("/usr/lib/systemd/systemd", True)]
)
def test_an_init_of_an_image_is_what_it_becomes(exe: str, boots: bool) -> None:
    init = process(11, 10, exe=exe, argv=("/init",), ns={"pid": 21}, root=1)
    assert sighting_of("105", {"entrypoint": "/init"}, init, State.RUNNING).boots is boots
    assert sighting_of("105", {"entrypoint": "/init"}, None, State.EXITED).boots is None
