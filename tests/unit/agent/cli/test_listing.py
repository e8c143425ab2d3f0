from __future__ import annotations

from dataclasses import replace

import pytest

from agent.cli.listing import as_table, ports, summary
from agent.cli.terminal import Screen, columns
from agent.model import Socket
from agent.selection import SORTS, Selection
from collectors.facts import HostFacts, Namespaces, ProcessId, Publish
from collectors.kernel.virtualization import INITIAL_PID_NAMESPACE
from tests.support.snapshots import BAD, GONE, LEGACY, NOW, WEB, picture


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


OPEN = replace(
    WEB,
    publishes=(
        Publish("0.0.0.0", 8080, 80, "tcp"),
        Publish("::", 8080, 80, "tcp"),
        Publish("127.0.0.1", 8443, 443, "tcp"),
    ),
    sockets=(
        Socket(protocol="udp", address="0.0.0.0", port=53, program="dnsmasq"),
        Socket(protocol="tcp", address="0.0.0.0", port=80, program="nginx"),
        Socket(protocol="tcp", address="::", port=80, program="nginx"),
        Socket(protocol="tcp", address="127.0.0.1", port=9000, program="php-fpm"),
    ),
)


def test_ports_are_published_then_inside_then_program() -> None:
    assert ports(OPEN) == "8080→80 nginx, 127.0.0.1:8443→443, 53/udp dnsmasq"
    assert ports(OPEN, "->").startswith("8080->80 nginx")
    assert ports(WEB) == ""
    lines = list(as_table(picture(OPEN, LEGACY), Selection(), Screen()))
    assert lines[0].endswith("AGE  PORTS")
    assert lines[2].endswith("2d  8080→80 nginx, 127.0.0.1:8443→443, 53/udp dnsmasq")
    ascii_only = list(as_table(picture(OPEN), Selection(), Screen(unicode=False)))
    assert all(line.isascii() for line in ascii_only)


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 100, 120, 200])
def test_the_table_fits_every_terminal_and_breaks_no_line(width: int) -> None:
    long = replace(OPEN, id="/x", name="a-very-long-name-of-a-container", image="registry/x" * 9)
    shown = picture(long, LEGACY, BAD)
    lines = list(as_table(shown, Selection(), Screen(width=width)))
    assert len(lines) == 4
    assert max(map(columns, lines)) <= width
    assert "NAME" in lines[0]
    assert "STYLE" in lines[0]
    assert ("PORTS" in lines[0]) == (width >= 60)
    assert ("SCORE" in lines[0]) == (width >= 100)


def test_the_table_is_sorted_below_each_parent() -> None:
    def names(sort: str) -> list[str]:
        lines = list(as_table(picture(), Selection(sort=sort), Screen()))[1:]
        return [line.split()[0] for line in lines if "script" not in line]

    assert names("name") == ["legacy", "inner", "web"]
    assert names("-name") == ["web", "legacy", "inner"]
    assert names("-score") == ["legacy", "inner", "web"]
    assert names("age") == ["legacy", "inner", "web"]
    assert names("-age") == ["web", "legacy", "inner"]
    assert names("-warnings")[0] == "legacy"
    for sort in SORTS:
        assert len(names(sort)) == 3
