from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.nspawn.collector import (
    NspawnCollector,
    escape_unit,
    machine_cgroup,
    parse_registration,
)
from collectors.facts import Namespaces, State
from tests.support.processes import HOST, process
from tests.support.system_host import by_id, captured, context, fixture

GUEST_FILES = {
    **{
        f"root/run/systemd/machines/{name}": fixture(f"machines/{name}")
        for name in ("booted", "my-box", "pid2")
    },
    "root/run/systemd/machines/unit:machine-pid2.scope": "->pid2",
    "root/etc/systemd/nspawn/booted.nspawn": "[Exec]\nPrivateUsers=no\n",
}


def test_without_machined_on_a_host_without_systemd(tmp_path: Path) -> None:
    facts, processes = captured("nspawn.json")
    ephemeral = next(p for p in processes if p.argv == ("/bin/sleep", "5003"))
    files = {
        **{f"proc/{p.pid}/cwd": "->/srv" for p in processes},
        f"proc/{ephemeral.pid}/mountinfo": (
            "433 396 254:0 /srv/roots/.#machine.bb35b46e / rw - ext4 /dev/vda rw\n"
            "434 433 0:25 /systemd/nspawn/propagate/bb-5deb013f973cbec8 /run/host/incoming ro"
            " - tmpfs tmpfs rw\n"
        ),
    }
    found = by_id(NspawnCollector().collect(context(tmp_path, facts, processes, files)))
    assert set(found) == {"plain", "pid2", "bb3", "boot", "userns", "bb-5deb013f973cbec8"}
    assert {s.cgroup for s in found.values()} == {None}  # /payload is everybody's
    assert found["boot"].boots is True
    assert found["plain"].boots is False
    assert found["plain"].command == ("/bin/sleep", "5001")
    assert found["plain"].rootfs == "/srv/roots/bb1"
    assert found["plain"].instance == "/srv/roots/bb1"
    one_time = found["bb-5deb013f973cbec8"]
    assert one_time.image == "bb"
    assert one_time.auto_remove is True
    known = {p.id: p for p in processes}
    for sighting in found.values():
        assert sighting.init is not None
        assert known[sighting.init].inner_pid == 1
    stub = found["pid2"].init
    assert stub is not None
    assert known[stub].exe == "/usr/bin/systemd-nspawn"


def test_with_machined_and_cgroup_v2(tmp_path: Path) -> None:
    facts, processes = captured("guest-v2.json")
    found = by_id(NspawnCollector().collect(context(tmp_path, facts, processes, GUEST_FILES)))
    assert {(s.name, s.cgroup, s.instance, s.boots) for s in found.values()} == {
        ("my-box", "/machine.slice/machine-my\\x2dbox.scope", "", False),
        ("pid2", "/machine.slice/machine-pid2.scope", "", False),
        ("keep", "/system.slice/ns3.service", "/srv/keep", False),
        ("booted", "/machine.slice/systemd-nspawn@booted.service", "", True),
    }
    assert found["my-box"].rootfs == "/var/lib/machines/my-box"
    assert found["booted"].state is State.RUNNING


def test_machined_alone_tells_where_nspawn_cannot_be_looked_at(tmp_path: Path) -> None:
    facts, processes = captured("guest-v2.json")
    leaders = {489, 492, 509}
    blind = [p for p in processes if p.pid in leaders]
    found = by_id(NspawnCollector().collect(context(tmp_path, facts, blind, GUEST_FILES)))
    assert set(found) == {"my-box", "pid2", "booted"}
    assert found["my-box"].cgroup == "/machine.slice/machine-my\\x2dbox.scope"


def test_machined_is_not_believed_without_the_process(tmp_path: Path) -> None:
    head = "SERVICE=systemd-nspawn\nCLASS=container\n"
    files = {
        "root/run/systemd/machines/gone": f"NAME=gone\nLEADER=77\n{head}",
        "root/run/systemd/machines/reused": f"NAME=r\nSCOPE=machine-r.scope\nLEADER=10\n{head}",
        "root/run/systemd/machines/elsewhere": f"NAME=elsewhere\nSCOPE=x.scope\nLEADER=11\n{head}",
        "root/run/systemd/machines/vm": "NAME=vm\nSCOPE=vm.scope\nLEADER=12\nCLASS=vm\n",
        "root/run/systemd/machines/virt": (
            "NAME=virt\nSCOPE=v.scope\nLEADER=13\nSERVICE=libvirt-lxc\nCLASS=container\n"
        ),
        "root/run/systemd/machines/broken": "NAME=\nLEADER=x\n",
    }
    processes = [
        process(10, cgroup="/machine.slice/machine-r.scope"),
        process(11, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/other.scope"),
        process(12, ns={"mnt": 30, "pid": 31}, root=2, cgroup="/vm.scope"),
        process(13, ns={"mnt": 40, "pid": 41}, root=3, cgroup="/v.scope"),
    ]
    assert list(NspawnCollector().collect(context(tmp_path, HOST, processes, files))) == []


def test_a_forged_name_is_no_nspawn(tmp_path: Path) -> None:
    liar = process(10, exe="/home/eve/x", argv=("systemd-nspawn", "-D", "/srv/r"))
    child = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    setting_up = process(12, exe="/usr/bin/systemd-nspawn", argv=("systemd-nspawn", "-M", "a"))
    outer_child = process(13, 12, exe="/usr/bin/systemd-nspawn", ns={"mnt": 30})
    processes = [liar, child, setting_up, outer_child]
    assert list(NspawnCollector().collect(context(tmp_path, HOST, processes))) == []


def test_only_what_was_set_up_is_a_stopped_machine(tmp_path: Path) -> None:
    files = {
        "root/var/lib/machines/tree/etc/os-release": "ID=debian\n",
        "root/var/lib/machines/set-up/etc/os-release": "ID=debian\n",
        "root/var/lib/machines/beside/usr/bin/x": "",
        "root/var/lib/machines/beside.nspawn": "[Exec]\nBoot=no\nParameters=/bin/app\n",
        "root/var/lib/machines/disk.raw": "",
        "root/var/lib/machines/enabled/usr/x": "",
        "root/etc/systemd/nspawn/set-up.nspawn": "[Exec]\nHostname=box\n",
        "root/etc/systemd/nspawn/no-image.nspawn": "[Exec]\nBoot=yes\n",
        "root/etc/systemd/system/systemd-nspawn@disk.service.d/limit.conf": "",
        "root/etc/systemd/system/machines.target.wants/systemd-nspawn@enabled.service": "",
        "root/etc/systemd/system/machines.target.wants/other.service": "",
    }
    found = by_id(NspawnCollector().collect(context(tmp_path, HOST, [], files)))
    assert set(found) == {"set-up", "beside", "disk", "enabled"}
    assert {s.state for s in found.values()} == {State.EXITED}
    assert found["set-up"].hostname == "box"
    assert found["set-up"].boots is True
    assert found["set-up"].created is not None
    assert found["set-up"].cgroup == "/machine.slice/systemd-nspawn@set-up.service"
    assert found["beside"].boots is False
    assert found["beside"].command == ("/bin/app",)
    assert found["disk"].image == "disk.raw"
    assert found["disk"].rootfs == ""


def test_what_runs_is_not_stopped_as_well(tmp_path: Path) -> None:
    outside = process(10, exe="/usr/bin/systemd-nspawn", argv=("systemd-nspawn", "-bM", "web"))
    init = process(
        11,
        10,
        ns={"mnt": 20, "pid": 21},
        root=1,
        cgroup="/machine.slice/machine-web.scope/payload/init.scope",
    )
    files = {
        "root/etc/systemd/nspawn/web.nspawn": "[Exec]\nBoot=yes\n",
        "root/var/lib/machines/web/usr/x": "",
    }
    (web,) = NspawnCollector().collect(context(tmp_path, HOST, [outside, init], files))
    assert web.state is State.RUNNING
    assert web.cgroup == "/machine.slice/machine-web.scope"
    assert web.created is not None


@pytest.mark.parametrize(
    ("supervisor", "init", "cgroup"),
    [
        ("/a.service/supervisor", "/a.service/payload/init.scope", "/a.service"),
        ("/supervisor", "/payload", None),
        ("/user.slice", "/user.slice", None),
        # nspawn in nspawn: the outer payload is not the inner machine's
        (
            "/machine.slice/machine-o.scope/payload/x.service/supervisor",
            "/machine.slice/machine-o.scope/payload/x.service/payload/init.scope",
            "/machine.slice/machine-o.scope/payload/x.service",
        ),
        # an old systemd without a payload below the scope
        ("/system.slice/a.service", "/machine.slice/machine-m.scope/init.scope",
         "/machine.slice/machine-m.scope"),
    ],
)  # fmt: skip
def test_cgroup(supervisor: str, init: str, cgroup: str | None) -> None:
    outside, inside = process(10, cgroup=supervisor), process(11, cgroup=init)
    assert machine_cgroup(inside, outside, "m", "") == cgroup


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("web", "web"), ("my-box", "my\\x2dbox"), (".hid", "\\x2ehid"), ("a b", "a\\x20b")],
)
def test_unit_names_are_escaped(name: str, escaped: str) -> None:
    assert escape_unit(name) == escaped


def test_registration_is_unescaped() -> None:
    found = parse_registration(fixture("machines/my-box"))
    assert found is not None
    assert found.unit == "machine-my\\x2dbox.scope"
    assert found.leader == 489


@given(st.text(), st.text())
def test_any_registration_is_read(name: str, rest: str) -> None:
    found = parse_registration(f"NAME={name}\nLEADER=12\nSCOPE={rest}\n{rest}")
    assert found is None or found.name


def test_without_permission_nothing_is_made_up(tmp_path: Path) -> None:
    blind = process(10, exe=None, namespaces=Namespaces(), root=None, argv=("systemd-nspawn",))
    assert list(NspawnCollector().collect(context(tmp_path, HOST, [blind]))) == []
