"""What each process of a container does in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier import read_scene
from agent.classifier.tasks import tasks
from tests.support.subjects import applet, booted, run, session, subject

if TYPE_CHECKING:
    from agent.model import Subject


def shown(made: Subject) -> list[tuple[str, str]]:
    found = tasks(read_scene(made))
    assert found.keys() == {p.pid for p in made.processes}
    return [
        ((p.exe or "").rpartition("/")[2], found[p.pid].value)
        for p in sorted(made.processes, key=lambda p: p.id)
    ]


def test_a_program_and_its_workers() -> None:
    nginx = run("/usr/sbin/nginx", run("/usr/sbin/nginx"), run("/usr/sbin/nginx"))
    assert shown(subject(nginx)) == [
        ("nginx", "service"),
        ("nginx", "worker"),
        ("nginx", "worker"),
    ]


def test_a_small_server() -> None:
    cron = run("/usr/sbin/cron", run("/usr/bin/rsync"))
    ssh = run("/usr/sbin/sshd", session(run("/usr/bin/vim")))
    found = dict(shown(subject(booted(cron, ssh))))
    assert found["systemd"] == "init"
    assert (found["cron"], found["rsync"]) == ("service", "job")
    assert (found["bash"], found["vim"]) == ("session", "session")


def test_a_supervisor_and_a_script() -> None:
    held = run("/usr/sbin/nginx", run("/usr/sbin/nginx"))
    by_script = subject(run("/bin/sh", held, run("/bin/sleep"), args="/entrypoint.sh"))
    assert shown(by_script) == [
        ("sh", "init"),
        ("nginx", "service"),
        ("nginx", "worker"),
        ("sleep", "job"),
    ]
    supervised = subject(run("/usr/bin/runsvdir", run("/usr/bin/runsv", held)))
    assert [task for _, task in shown(supervised)] == [
        "supervisor",
        "supervisor",
        "service",
        "worker",
    ]


def test_what_came_in_from_outside() -> None:
    shell = run("/bin/bash", run("/usr/bin/top"), tty=34816, own=True)
    probe = run("/usr/bin/curl", own=True)
    made = subject(run("/usr/sbin/nginx"), entered_from_outside=(shell, probe))
    found = dict(shown(made))
    assert (found["bash"], found["curl"], found["nginx"]) == ("session", "job", "service")


def test_one_that_only_waits() -> None:
    assert shown(subject(applet("sleep"))) == [("busybox", "init")]
