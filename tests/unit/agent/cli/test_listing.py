from __future__ import annotations

from dataclasses import replace

import pytest

from agent.cli.listing import as_table, summary
from agent.cli.terminal import Screen
from agent.selection import Selection
from collectors.facts import HostFacts, Namespaces, ProcessId
from collectors.kernel.virtualization import INITIAL_PID_NAMESPACE
from tests.support.snapshots import GONE, LEGACY, NOW, WEB, picture


def test_the_inside_of_a_container_says_so() -> None:
    def lines(kind: str, pid: int = INITIAL_PID_NAMESPACE + 200) -> str:
        host = HostFacts(virtualization=kind, namespaces=Namespaces(pid=pid))
        return "\n".join(as_table(replace(picture(), host=host), Selection(), Screen()))

    assert "inside a container (LXC)" in lines("lxc")
    assert "inside a container (OpenVZ)" in lines("openvz")
    for outside in (lines(""), lines("kvm"), lines("wsl"), lines("docker", INITIAL_PID_NAMESPACE)):
        assert "inside a" not in outside


def test_the_table() -> None:
    lines = list(as_table(picture(WEB, LEGACY), Selection(everything=True), Screen()))
    assert lines == [
        "NAME    ENGINE  IMAGE       STATE    STYLE   SCORE  CONF  EXPECTED  WARNINGS  AGE",
        "legacy  docker  debian:12   running  system  +0.93   90%  app !            1  15m",
        "web     docker  nginx:1.27  running  app     -0.91   87%  app                  2d",
        "",
        "NOT A CONTAINER   KIND     ENGINE  PID  WHY",
        "systemd-resolved  service  none     33  the host's manager runs it",
    ]


def test_findings_stand_under_their_container() -> None:
    lines = list(as_table(picture(WEB, LEGACY), Selection(findings=frozenset()), Screen()))
    assert lines[2:] == [
        "  docker_as_vm: a small server runs in docker, with sshd",
    ]
    advice = Selection(findings=frozenset({"advice"}))
    assert list(as_table(picture(WEB, LEGACY), advice, Screen()))[2:] == [
        "  no_limits: it has no memory, CPU or pids limit",
    ]


def test_no_containers() -> None:
    assert list(as_table(picture(GONE), Selection(), Screen())) == ["No containers."]


def test_the_summary() -> None:
    assert summary(picture(), Selection()) == "4 containers: 2 app, 1 system, 1 unknown"
    assert summary(picture(WEB), Selection()) == "1 container: 1 app"


@pytest.mark.parametrize("width", [None, 40, 80])
def test_a_name_cannot_command_the_terminal(width: int | None) -> None:
    text = "\n".join(as_table(picture(), Selection(findings=frozenset()), Screen(width=width)))
    assert all(line.isprintable() for line in text.split("\n"))
    text.encode("utf-8")


def test_an_age_is_never_negative() -> None:
    young = replace(WEB, started=NOW + 5, init=ProcessId(1, 1))
    assert list(as_table(picture(young), Selection(), Screen()))[1].endswith("0s")
