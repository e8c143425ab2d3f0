from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.libvirt_lxc.collector import LibvirtLxcCollector, parse_domain
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
    }
    ctx = context(tmp_path, facts, processes, files)
    found = by_id(LibvirtLxcCollector().collect(ctx))
    assert set(found) == {ONE, OFF, "boot"}
    one = found[ONE]
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
    assert found["boot"].name == "boot"
    assert found["boot"].boots is None
    assert found["boot"].init is not None
    assert found[OFF].state is State.EXITED
    assert ctx.host.tally.malformed["/etc/libvirt/lxc/qemu.xml"] == 1


def test_with_systemd_the_scope_is_the_containers(tmp_path: Path) -> None:
    argv = ("/usr/lib/libvirt/libvirt_lxc", "--name", "web", "--console", "25")
    where = "/machine.slice/machine-lxc\\x2d10\\x2dweb.scope"
    controller = process(10, exe=argv[0], argv=argv, ns={"mnt": 19}, cgroup=where)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup=f"{where}/init.scope")
    (web,) = LibvirtLxcCollector().collect(context(tmp_path, HOST, [controller, init]))
    assert web.cgroup == where
    assert web.init == init.id


def test_a_forged_controller_is_none(tmp_path: Path) -> None:
    argv = ("/usr/lib/libvirt/libvirt_lxc", "--name", "web")
    liar = process(10, exe="/home/eve/x", argv=argv)
    child = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    nameless = process(12, exe=argv[0], argv=argv[:1])
    inside = process(13, 12, ns={"mnt": 30, "pid": 31}, root=2)
    processes = [liar, child, nameless, inside]
    assert list(LibvirtLxcCollector().collect(context(tmp_path, HOST, processes))) == []


@pytest.mark.parametrize(
    ("devices", "network"),
    [
        ("<features><privnet/></features>", "none"),
        ("", "host"),
        ("<devices><interface type='network'><source network='lan'/></interface></devices>", "lan"),
        ("<devices><interface type='bridge'><source bridge='br0'/></interface></devices>", "br0"),
        ("<devices><interface type='ethernet'/></devices>", "ethernet"),
    ],
)
def test_network(devices: str, network: str) -> None:
    found = parse_domain(domain(devices))
    assert found is not None
    assert found.network == network


def test_directories() -> None:
    found = parse_domain(
        domain(
            "<devices>"
            "<filesystem><source dir='/srv/d'/><target dir='/data'/></filesystem>"
            "<filesystem><source dir='/srv/r'/><target dir='/'/></filesystem>"
            "<filesystem type='ram'><source usage='1'/><target dir='/tmp'/></filesystem>"
            "</devices>"
        )
    )
    assert found is not None
    assert (found.rootfs, found.mounts) == ("/srv/r", ("/srv/d",))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<domain",
        b"<domain type='lxc'/>",
        b"<domstatus/>",
        b"<!DOCTYPE d [<!ENTITY a 'aaaa'>]>" + domain("&a;"),
        "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE d []>".encode("utf-16"),
    ],
)
def test_what_is_no_domain(data: bytes) -> None:
    assert parse_domain(data) is None


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    found = parse_domain(data)
    assert found is None or found.name
