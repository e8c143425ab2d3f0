from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.nspawn.collector import NspawnCollector
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
    sightings = by_id(NspawnCollector().collect(context(tmp_path, facts, processes, files)))
    assert set(sightings) == {"plain", "pid2", "bb3", "boot", "userns", "bb-5deb013f973cbec8"}
    assert {s.cgroup for s in sightings.values()} == {None}  # /payload is everybody's
    assert sightings["boot"].boots is True
    assert sightings["plain"].boots is False
    assert sightings["plain"].command == ("/bin/sleep", "5001")
    assert sightings["plain"].rootfs == "/srv/roots/bb1"
    assert sightings["plain"].instance == "/srv/roots/bb1"
    one_time = sightings["bb-5deb013f973cbec8"]
    assert one_time.image == "bb"
    assert one_time.auto_remove is True
    known = {p.id: p for p in processes}
    for sighting in sightings.values():
        assert sighting.init is not None
        assert known[sighting.init].inner_pid == 1
    stub = sightings["pid2"].init
    assert stub is not None
    assert known[stub].exe == "/usr/bin/systemd-nspawn"


def test_with_machined_and_cgroup_v2(tmp_path: Path) -> None:
    facts, processes = captured("guest-v2.json")
    sightings = by_id(NspawnCollector().collect(context(tmp_path, facts, processes, GUEST_FILES)))
    assert {(s.name, s.cgroup, s.instance, s.boots) for s in sightings.values()} == {
        ("my-box", "/machine.slice/machine-my\\x2dbox.scope", "", False),
        ("pid2", "/machine.slice/machine-pid2.scope", "", False),
        ("keep", "/system.slice/ns3.service", "/srv/keep", False),
        ("booted", "/machine.slice/systemd-nspawn@booted.service", "", True),
    }
    assert sightings["my-box"].rootfs == "/var/lib/machines/my-box"
    assert sightings["booted"].state is State.RUNNING


def test_machined_alone_tells_where_nspawn_cannot_be_looked_at(tmp_path: Path) -> None:
    facts, processes = captured("guest-v2.json")
    leaders = {489, 492, 509}
    blind = [p for p in processes if p.pid in leaders]
    frozen = next(p.cgroups[""] for p in blind if "pid2" in p.cgroups[""])
    events = {f"sys/{facts.cgroups.hierarchies['']}{frozen}/cgroup.events": "frozen 1\n"}
    ctx = context(tmp_path, facts, blind, GUEST_FILES | events)
    sightings = by_id(NspawnCollector().collect(ctx))
    assert set(sightings) == {"my-box", "pid2", "booted"}
    assert sightings["my-box"].cgroup == "/machine.slice/machine-my\\x2dbox.scope"
    assert sightings["my-box"].state is State.RUNNING
    assert sightings["pid2"].state is State.PAUSED


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
    sightings = by_id(NspawnCollector().collect(context(tmp_path, HOST, [], files)))
    assert set(sightings) == {"set-up", "beside", "disk", "enabled"}
    assert {s.state for s in sightings.values()} == {State.EXITED}
    assert sightings["set-up"].hostname == "box"
    assert sightings["set-up"].boots is True
    assert sightings["set-up"].created is not None
    assert sightings["set-up"].cgroup == "/machine.slice/systemd-nspawn@set-up.service"
    assert sightings["beside"].boots is False
    assert sightings["beside"].command == ("/bin/app",)
    assert sightings["disk"].image == "disk.raw"
    assert sightings["disk"].rootfs == ""


def test_a_stopped_container_of_nixos(tmp_path: Path) -> None:
    files = {
        **{f"root/etc/nixos-containers/{n}.conf": "AUTO_START=1\n" for n in ("web", "new")},
        "root/var/lib/nixos-containers/web/etc/x": "",
    }
    sightings = by_id(NspawnCollector().collect(context(tmp_path, HOST, [], files)))
    assert {n: (s.state, s.cgroup, s.rootfs, s.boots) for n, s in sightings.items()} == {
        "web": (
            State.EXITED,
            "/machine.slice/container@web.service",
            "/var/lib/nixos-containers/web",
            True,
        ),
        "new": (
            State.CREATED,
            "/machine.slice/container@new.service",
            "/var/lib/nixos-containers/new",
            True,
        ),
    }


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


def test_without_permission_nothing_is_made_up(tmp_path: Path) -> None:
    blind = process(10, exe=None, namespaces=Namespaces(), root=None, argv=("systemd-nspawn",))
    assert list(NspawnCollector().collect(context(tmp_path, HOST, [blind]))) == []


NIXOS = (
    "systemd-nspawn --keep-unit -M web -D /var/lib/nixos-containers/web --notify-ready=yes "
    "--kill-signal=SIGRTMIN+3 --bind-ro=/nix/store --link-journal=try-guest "
    "/nix/store/k2-container-init /nix/var/nix/profiles/system/init"
)
"""As nixos/modules/virtualisation/nixos-containers.nix starts it: without --boot."""


@pytest.mark.parametrize(
    ("argv", "exe", "boots"),
    [
        (NIXOS, "/nix/store/q8-systemd-257.6/lib/systemd/systemd", True),
        (NIXOS, "/nix/store/p5-bash-5.2/bin/bash", False),  # still preparing
        ("systemd-nspawn -D /srv/a /sbin/init", "/usr/lib/systemd/systemd", True),
        ("systemd-nspawn -D /srv/a /usr/sbin/nginx", "/usr/sbin/nginx", False),
        ("systemd-nspawn -D /srv/a", "/usr/bin/bash", False),
    ],
)
def test_a_machine_boots_though_nobody_says_so(
    tmp_path: Path, argv: str, exe: str, boots: bool
) -> None:
    outside = process(10, exe="/usr/bin/systemd-nspawn", argv=tuple(argv.split()), ns={"mnt": 19})
    init = process(11, 10, exe=exe, argv=("init",), ns={"mnt": 20, "pid": 21}, root=1)
    ctx = context(tmp_path, HOST, [outside, init], {"proc/10/cwd": "->/srv"})
    (sighting,) = NspawnCollector().collect(ctx)
    assert sighting.boots is boots
