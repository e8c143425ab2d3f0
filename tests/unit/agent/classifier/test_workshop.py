"""Workshops: labels of their makers and a home of the host, both together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.classifier import classify, findings, read_scene
from agent.classifier.workshop import workshop
from agent.model import Severity, Style, Subject
from collectors.facts import Isolation, Limits, RootFacts
from tests.support.subjects import (
    CRON,
    JOURNALD,
    NGINX,
    NOW,
    SSHD,
    booted,
    claims,
    run,
    subject,
    verdict_of,
)

HOME = "/home/ann"
TOOLBX = {"com.github.containers.toolbox": "true"}
DEV = {"devcontainer.local_folder": "/home/ann/work/shop"}
SLEEP = run("sleep", args="infinity")
BASH = run("bash", tty=34816)
EDITOR = claims("/home/ann/.vscode-server/cli/servers/Stable-1/server/node", "node")


def made(labels: dict[str, str], *mounts: str, **more: Any) -> Subject:
    return subject(SLEEP, engine="podman", labels=labels, mounts=mounts, image="box:1", **more)


@pytest.mark.parametrize(
    ("labels", "mounts"),
    [
        (TOOLBX, (HOME,)),
        (TOOLBX, ("/", "/var/home/ann")),
        (TOOLBX, ("/root",)),
        ({"manager": "distrobox"}, (HOME, "/run/user/1000")),
        (DEV, ("/home/ann/work/shop",)),
        (DEV, ("/home/ann/work",)),  # the repository that the folder is in
        (
            {"com.gitlab.gitlab-runner.managed": "true"},
            ("/var/lib/docker/volumes/runner-abc-project-1-concurrent-0-cache-3c3f0/_data",),
        ),
        ({"5588e4": ""}, ("/home/runner/work/_temp/_github_home", "/var/run/docker.sock")),
    ],
)
def test_labels_and_a_mount_make_a_workshop(
    labels: dict[str, str], mounts: tuple[str, ...]
) -> None:
    assert workshop(read_scene(made(labels, *mounts)))


@pytest.mark.parametrize(
    ("labels", "mounts"),
    [
        (TOOLBX, ()),  # labels come with an image
        (TOOLBX, ("/home/ann/site",)),  # files of somebody, not a home
        (TOOLBX, ("/srv/home/ann",)),
        ({"com.github.containers.toolbox": "false"}, (HOME,)),
        ({"manager": "distrobox"}, ()),
        (DEV, ("/home/ann/work/shop-data",)),
        (DEV, ("/home/bob",)),
        ({}, (HOME,)),
        ({"com.docker.compose.project": "shop"}, ("/home/ann/shop/data",)),
        ({"com.gitlab.gitlab-runner.managed": "true"}, ()),
    ],
)
def test_one_of_the_two_is_not_enough(labels: dict[str, str], mounts: tuple[str, ...]) -> None:
    assert workshop(read_scene(made(labels, *mounts))) == ""


def test_people_and_editors_that_came_in_over_files_of_a_home() -> None:
    project = "/home/ann/work"
    for visitor in (BASH, EDITOR):
        assert workshop(read_scene(made({}, project, entered_from_outside=(visitor,))))
        assert not workshop(read_scene(made({}, "/srv", entered_from_outside=(visitor,))))
    # A visitor makes no workshop of a service, and what is inside cannot call itself an editor.
    web = subject(NGINX, mounts=(project,), entered_from_outside=(BASH,))
    assert not workshop(read_scene(web))
    assert not workshop(read_scene(subject(run("sh", EDITOR), mounts=(project,))))


OPEN: dict[str, Any] = {
    "privileged": True,
    "isolation": Isolation(privileged=True, shared_namespaces=frozenset({"net", "pid", "ipc"})),
    "limits": Limits(seen=frozenset({"memory", "cpu", "pids"})),
}
INSTALLED = RootFacts(packages_changed=NOW - 100, package_manager="dpkg")


def test_one_finding_says_what_four_would() -> None:
    own = made(TOOLBX, HOME, entered_from_outside=(BASH,), **OPEN)
    scene = read_scene(replace(own, root=INSTALLED))
    (only,) = findings(scene, classify(scene))
    assert (only.name, only.severity) == ("workshop", Severity.INFORMATION)
    of_nobody = read_scene(
        replace(made(TOOLBX, entered_from_outside=(BASH,), **OPEN), root=INSTALLED)
    )
    assert {f.name for f in findings(of_nobody, classify(of_nobody))} == {
        *("privileged", "shared_host_namespaces", "no_limits", "logged_into", "drifted")
    }


def test_the_socket_of_an_engine_is_a_finding_everywhere() -> None:
    docker = Isolation(engine_sockets=("/run/docker.sock",))
    scene = read_scene(made(DEV, "/home/ann/work/shop", isolation=docker))
    found = [f.name for f in findings(scene, classify(scene))]
    assert found == ["engine_socket_inside", "workshop"]


def test_a_workshop_is_an_application_though_it_boots() -> None:
    inside = booted(JOURNALD, SSHD, CRON)
    server = subject(inside, engine="podman", labels={"manager": "distrobox"}, mounts=(HOME,))
    assert verdict_of(server).style is Style.APP
    assert verdict_of(replace(server, container=replace(server.container, mounts=()))).style is (
        Style.SYSTEM
    )
