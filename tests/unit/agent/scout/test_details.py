"""What is shown of one container alone: bounded, and without secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.classifier import read_scene
from agent.scout.details import details_of
from agent.scout.sockets import shown_sockets
from collectors.facts import Listener
from tests.support.processes import mount, process
from tests.support.subjects import run, subject

if TYPE_CHECKING:
    from agent.model import Details, Subject

SECRET = "hunter2secret"


def of(made: Subject, *, show_arguments: bool = False) -> Details:
    return details_of(read_scene(made), show_arguments=show_arguments)


def test_parents_come_first_and_the_rest_is_counted() -> None:
    forks = tuple(run("/usr/sbin/nginx") for _ in range(300))
    found = of(subject(run("/usr/sbin/nginx", *forks)))
    assert (len(found.processes), found.more_processes) == (256, 45)
    assert {p.parent for p in found.processes[1:]} == {found.processes[0].pid}


def test_arguments_are_not_even_sent_where_they_are_not_to_be_shown() -> None:
    made = subject(run("/usr/bin/app", args=f"--password={SECRET} --port=80"))
    assert of(made).processes[0].arguments is None
    assert SECRET not in str(of(made))
    shown = of(made, show_arguments=True)
    assert shown.processes[0].arguments == ("--password=***", "--port=80")
    assert SECRET not in str(shown)


def test_names_are_cut() -> None:
    made = subject(run("/x/" + "n" * 4000))
    (entry,) = of(made).processes
    assert (len(entry.program), len(entry.exe)) == (100, 300)


def test_mounts_without_the_kernels_own_and_without_options() -> None:
    mounts = (
        mount("/proc", 1, "/", fstype="proc"),
        mount("/data", 2, "/vol", options=f"rw,password={SECRET}"),
        *(mount(f"/m{n}", 3, "/") for n in range(200)),
    )
    found = of(replace(subject(run("/usr/bin/app")), mounts=mounts))
    assert found.mounts[0].target == "/data"
    assert (len(found.mounts), found.more_mounts) == (128, 73)
    assert SECRET not in str(found)


def test_sockets_with_their_programs() -> None:
    nginx = process(10, exe="/usr/sbin/nginx")
    listeners = (
        Listener(protocol="tcp6", address="::", port=80, inode=1),
        Listener(protocol="tcp", address="0.0.0.0", port=80, inode=2),
        Listener(protocol="udp", address="0.0.0.0", port=53, inode=3),
        Listener(protocol="udp", address="0.0.0.0", port=40_000, inode=4),  # asks a name server
        Listener(protocol="unix", address="/run/x", port=0, inode=5),
    )
    found = shown_sockets(listeners, {1: 10, 2: 10, 3: 99}, [nginx])
    assert [(s.protocol, s.address, s.port, s.program, s.pid) for s in found] == [
        ("udp", "0.0.0.0", 53, "", None),
        ("tcp", "0.0.0.0", 80, "nginx", 10),
        ("tcp", "::", 80, "nginx", 10),
    ]


def test_sockets_have_an_end() -> None:
    many = (Listener(protocol="tcp", address="::", port=n, inode=n) for n in range(1, 5000))
    assert len(shown_sockets(many, {}, [])) == 64
