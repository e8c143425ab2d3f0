"""What a scene adds up to."""

from __future__ import annotations

from typing import Any

from agent.classifier import read_scene
from agent.classifier.identity import identify
from agent.classifier.scene import Program
from collectors.facts import Process, ProcessId
from tests.support.subjects import run, session, subject


def program(name: str, **more: Any) -> Program:
    process = Process(id=ProcessId(7, 7), ppid=1, exe=f"/usr/sbin/{name}", argv=(name,), comm=name)
    return Program(
        family=name, identity=identify(process), lead=process, processes=(process,), **more
    )


def test_a_program_of_several_names_is_called_by_four_of_them() -> None:
    assert program("nginx").name == "nginx"
    assert program("nginx", names=("a", "b")).name == "a+b"
    assert program("nginx", names=tuple("abcdef")).name == "a+b+c+d+2 more"


def test_how_far_a_program_counts_as_an_operating_systems() -> None:
    assert program("sshd").os_weight == 1.0
    assert program("sshd", not_listening=True).os_weight == 0.5
    assert program("chronyd").os_weight == 0.5
    assert program("nginx").os_weight == 0.0
    assert program("no-such-program").os_weight == 0.0


def test_users_are_those_of_programs_and_those_who_logged_in() -> None:
    scene = read_scene(subject(run("sshd", session(user=1001), args="-D")))
    assert scene.login_users == {1001}
    assert scene.users == {0, 1001}
    assert read_scene(subject(run("sleep", uid=5))).users == {5}
