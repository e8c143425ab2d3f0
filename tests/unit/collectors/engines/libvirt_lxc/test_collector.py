from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.libvirt_lxc.collector import LibvirtLxcCollector
from collectors.facts import State
from tests.support.processes import HOST, process
from tests.support.system_host import by_id, captured, context, fixture

ONE = "3b0386bd-c33d-4e3c-ba14-f5ed27cd3839"
OFF = "22b403c1-d58c-4d41-9c61-3c9814f97225"


def domain(inside: str, kind: str = "lxc") -> bytes:
    return f"<domain type='{kind}'><name>d</name><uuid>u</uuid>{inside}</domain>".encode()


def test_a_real_host(tmp_path: Path) -> None:
    facts, processes = captured("libvirt.json")
    files: dict[str, str | bytes] = {
        "root/run/libvirt/lxc/virt one.xml": fixture("libvirt-status.xml"),
        "root/etc/libvirt/lxc/off.xml": fixture("libvirt-domain.xml"),
        "root/etc/libvirt/lxc/virt one.xml": fixture("libvirt-status.xml"),
        "root/etc/libvirt/lxc/autostart/off.xml": "->../off.xml",
        "root/etc/libvirt/lxc/qemu.xml": domain("", "kvm"),
        # The controller has mounts of its own above the host's root.
        "proc/13710/root": "->../../root",
    }
    ctx = context(tmp_path, facts, processes, files)
    sightings = by_id(LibvirtLxcCollector().collect(ctx))
    assert set(sightings) == {ONE, OFF, "boot"}
    one = sightings[ONE]
    assert one.name == "virt one"
    assert one.state is State.RUNNING
    assert one.cgroup == "/machine/lxc-13710-virtone.libvirt-lxc"
    assert one.boots is False
    assert one.command == ("/bin/sleep", "4000")
    assert one.rootfs == "/srv/roots/bb1"
    assert one.network_mode == "host"
    init = next(p for p in processes if p.id == one.init)
    assert init.argv == ("/bin/sleep", "4000")
    # Without its XML a domain that runs is known by its name.
    assert sightings["boot"].name == "boot"
    assert sightings["boot"].boots is None
    assert sightings["boot"].init is not None
    assert sightings[OFF].state is State.EXITED
    assert ctx.host.tally.malformed["/etc/libvirt/lxc/qemu.xml"] == 1


def test_with_systemd_the_scope_is_the_containers(tmp_path: Path) -> None:
    argv = ("/usr/lib/libvirt/libvirt_lxc", "--name", "web", "--console", "25")
    where = "/machine.slice/machine-lxc\\x2d10\\x2dweb.scope"
    controller = process(10, exe=argv[0], argv=argv, ns={"mnt": 19}, cgroup=where)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup=f"{where}/init.scope")
    (web,) = LibvirtLxcCollector().collect(context(tmp_path, HOST, [controller, init]))
    assert web.cgroup == where
    assert web.init == init.id


@pytest.mark.parametrize(
    ("told", "exe", "boots"),
    [
        ("<os><init>/usr/sbin/nginx</init></os>", "/usr/sbin/nginx", False),
        ("<os><init>/start.sh</init></os>", "/usr/lib/systemd/systemd", True),
        ("<os><init>/sbin/init</init></os>", "/usr/lib/systemd/systemd", True),
        ("", "/usr/sbin/nginx", True),  # /sbin/init is the default
    ],
)
def test_what_a_domain_was_told_to_run(tmp_path: Path, told: str, exe: str, boots: bool) -> None:
    argv = ("/usr/lib/libvirt/libvirt_lxc", "--name", "d", "--console", "25")
    controller = process(10, exe=argv[0], argv=argv, ns={"mnt": 19})
    init = process(11, 10, exe=exe, argv=("init",), ns={"mnt": 20, "pid": 21}, root=1)
    files: dict[str, str | bytes] = {
        "root/run/libvirt/lxc/d.xml": domain(told),
        "proc/10/root": "->../../root",
    }
    (sighting,) = LibvirtLxcCollector().collect(context(tmp_path, HOST, [controller, init], files))
    assert sighting.boots is boots
