"""How a process tree becomes a scene."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.classifier import read_scene
from collectors.facts import FileId, NetworkFacts
from tests.support.subjects import NGINX, SSHD, Node, booted, claims, run, subject


def test_a_sessions_bus_casts_no_doubt_on_the_systems() -> None:
    one = FileId(8, 42)
    system, own = (
        claims("/usr/bin/dbus-daemon", "dbus-daemon", kind, exe_id=one)
        for kind in ("--system", "--session")
    )
    (bus,) = read_scene(subject(run("sh", system, own, args="-c x"))).os_services
    assert (bus.lead.argv[1], bus.doubt) == ("--system", "")


def test_programs_of_one_family_are_one_with_all_their_processes() -> None:
    master = run("/usr/lib/postfix/sbin/master", run("/usr/lib/postfix/sbin/qmgr qmgr", uid=105))
    (mail,) = read_scene(subject(run("supervisord", master, run("/usr/sbin/dovecot")))).programs
    assert mail.family == "mail"
    assert len(mail.processes) == 3
    assert mail.name == "dovecot+postfix/master"


def test_a_bus_is_a_service_unless_a_service_manager_started_it() -> None:
    bus = run("dbus", args="--system")
    by_hand = read_scene(subject(run("sh", bus, NGINX)))
    assert [p.family for p in by_hand.os_services] == ["dbus"]
    by_manager = read_scene(subject(booted(bus, NGINX)))
    assert [p.family for p in by_manager.plumbing] == ["dbus"]
    assert by_manager.os_services == ()


@pytest.mark.parametrize(
    ("tree", "network", "not_listening"),
    [
        (run("sh", SSHD), NetworkFacts(), True),
        (run("sh", SSHD), None, False),
        (booted(SSHD), NetworkFacts(), False),
    ],
)
def test_an_sshd_where_nothing_listens(
    tree: Node, network: NetworkFacts | None, not_listening: bool
) -> None:
    scene = read_scene(replace(subject(tree), network=network))
    assert [p.not_listening for p in scene.os_services] == [not_listening]


def test_a_person_who_entered_has_a_shell_that_waits() -> None:
    shells = (
        run("bash", run("bash", run("bash", args="/tmp/script", tty=34816), tty=34816), tty=34816),
        run("bash", args="-c true", tty=34817, own=True),
        run("sh", args="/check.sh", tty=34818, own=True),
        run("nginx", tty=34816),
        run("bash", args="-i", own=True),
        run("/usr/bin/su", run("bash -bash", tty=34819), tty=34819, own=True),
    )
    scene = read_scene(subject(NGINX, entered_from_outside=shells))
    assert [p.argv for p in scene.exec_shells] == [
        ("/usr/bin/bash",),
        ("/usr/bin/bash", "-i"),
        ("-bash",),
    ]
