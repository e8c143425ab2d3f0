from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli import check
from agent.cli.terminal import Screen
from collectors.facts import CgroupLayout, CgroupMode, HostFacts, Namespaces
from collectors.hostfs import Denied, Dir, HostFS
from tests.support.snapshots import HEALTHY, WEB, picture

if TYPE_CHECKING:
    from agent.cli.check_outcome import Check


@pytest.fixture
def host(tmp_path: Path) -> HostFS:
    proc = tmp_path / "proc"
    for pid in ("1", "4711"):
        (proc / pid).mkdir(parents=True)
        (proc / pid / "exe").symlink_to("/usr/sbin/nginx")
    (proc / "self").symlink_to("4711")
    (proc / "self" / "status").write_text("Name:\tx\nCapEff:\t000001ffffffffff\nNSpid:\t4711\n")
    (proc / "self" / "root").mkdir()
    (proc / "pressure").mkdir()
    (proc / "pressure/cpu").touch()
    (tmp_path / "sys").mkdir()
    (tmp_path / "var/lib/lxc").mkdir(parents=True)
    return HostFS(str(proc), str(tmp_path / "sys"), str(tmp_path))


def named(checks: list[Check], name: str) -> Check:
    return next(one for one in checks if one.name == name)


GOOD = replace(
    picture(WEB),
    collectors=(HEALTHY,),
    host=HostFacts(
        cgroups=CgroupLayout(mode=CgroupMode.V2),
        namespaces=Namespaces(pid=0xEFFFFFFC),
    ),
)


def test_all_is_well(host: HostFS) -> None:
    checks = check.run(host, GOOD)
    assert [one.name for one in checks if not one.good] == []
    text = "\n".join(check.as_text(checks, Screen()))
    assert text.endswith("\nEverything can be read.")
    assert "/var/lib/lxc" in text


def test_a_user_without_capabilities(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "proc/self/status").write_text("CapEff:\t0000000000000000\n")
    checks = check.run(host, GOOD)
    failed = [one.name for one in checks if one.failed]
    assert failed == ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]
    assert "without CAP_SYS_PTRACE" in named(checks, "CAP_SYS_PTRACE").found
    less = named(checks, "CAP_SYS_ADMIN")
    assert (less.good, less.failed) == (False, False)
    assert "firewall" in less.lost


def test_one_capability_is_not_enough(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "proc/self/status").write_text(f"CapEff:\t{1 << 19:016x}\n")
    checks = check.run(host, GOOD)
    assert [one.name for one in checks if one.failed] == ["CAP_DAC_READ_SEARCH"]
    assert check.as_text(checks, Screen())


@pytest.mark.parametrize(("capability", "lost"), [(0, ["hidepid"]), (1 << 19, [])])
def test_hidden_processes(host: HostFS, tmp_path: Path, capability: int, lost: list[str]) -> None:
    proc = tmp_path / "proc"
    mount = f"42 27 0:39 / {proc} rw - proc proc rw,hidepid=invisible,gid=7\n"
    (proc / "self/mountinfo").write_text(mount)
    (proc / "self/status").write_text(f"CapEff:\t{capability:016x}\n")
    found = [one.name for one in check.run(host, GOOD) if one.failed and "hide" in one.name]
    assert found == lost


def test_processes_that_cannot_be_looked_into(
    host: HostFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Dir, path: str) -> str:
        raise Denied(path, "Permission denied")

    monkeypatch.setattr(Dir, "readlink", denied)
    found = named(check.run(host, GOOD), "processes")
    assert not found.good
    assert found.found.startswith("0 of 1 ")


def test_the_inside_of_a_container(host: HostFS) -> None:
    inside = replace(GOOD, host=replace(GOOD.host, namespaces=Namespaces(pid=4026532000)))
    found = named(check.run(host, inside), "pid namespace")
    assert not found.good
    assert "--pid=host" in found.remedy


def test_the_inside_of_a_container_on_a_kernel_without_namespaces(host: HostFS) -> None:
    facts = replace(GOOD.host, namespaces=Namespaces(), virtualization="openvz")
    found = named(check.run(host, replace(GOOD, host=facts)), "pid namespace")
    assert (found.good, "runs in a container, openvz" in found.found) == (False, True)


@pytest.mark.parametrize(("number", "good"), [(4026531835, True), (4026532222, False)])
def test_a_cgroup_namespace(host: HostFS, tmp_path: Path, number: int, good: bool) -> None:
    (tmp_path / "proc/self/ns").mkdir()
    (tmp_path / "proc/self/ns/cgroup").symlink_to(f"cgroup:[{number}]")
    found = named(check.run(host, GOOD), "cgroup namespace")
    assert (found.good, found.failed) == (good, not good)


def test_no_cgroups(host: HostFS) -> None:
    without = replace(GOOD, host=HostFacts())
    assert not named(check.run(host, without), "cgroups").good


def test_a_folder_that_is_denied(host: HostFS, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Dir.listdir

    def denied(self: Dir, path: str = ".", limit: int = 10) -> list[str]:
        if path == "var/lib/lxc":
            raise Denied(path, "Permission denied")
        return listed(self, path, limit)

    monkeypatch.setattr(Dir, "listdir", denied)
    found = named(check.run(host, GOOD), "/var/lib/lxc")
    assert not found.good
    assert "LXC" in found.lost


def test_a_failing_collector_harmlessly_told(host: HostFS) -> None:
    checks = check.run(host, picture())
    found = named(checks, "collector docker")
    assert not found.good
    assert "2 reads denied" in found.found
    assert all(line.isprintable() for line in check.as_text(checks, Screen()))


def test_what_a_failing_collector_shows_all_the_same_is_not_lost(host: HostFS) -> None:
    late = replace(HEALTHY, name="openvz", success=False, error="vzlist is late", containers=3)
    for health, lost in ((late, "only vzlist tells"), (replace(late, containers=0), "stopped")):
        checks = check.run(host, replace(GOOD, collectors=(health,)))
        assert lost in named(checks, "collector openvz").lost


def test_a_scout_without_an_answer(host: HostFS) -> None:
    assert not named(check.run(host, None), "first scan").good


def test_the_number_of_descriptors() -> None:
    found = check._descriptors(lambda _: (1024, 2800))
    assert found.found == "2800: cgroup files of 100 containers can stay open"


def test_objects_for_json(host: HostFS) -> None:
    for one in check.run(host, picture()):
        assert one.as_object().keys() == {"name", "ok", "optional", "found", "lost", "remedy"}
        assert one.good or (one.lost and one.remedy)


def test_this_very_host_can_be_checked() -> None:
    checks = check.run(HostFS(), GOOD)
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    assert named(checks, "CAP_SYS_PTRACE").found.startswith(who)
