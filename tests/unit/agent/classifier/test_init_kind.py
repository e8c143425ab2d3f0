"""What the first process is: an init is one by what it does, not by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.classifier.init_kind import init_kind
from agent.classifier.process_tree import read_tree
from agent.classifier.scene import InitKind
from agent.classifier.scene_reader import read_scene
from agent.model import Style
from collectors.facts import Listener, NetworkFacts, State
from tests.support.subjects import (
    JOURNALD,
    NGINX,
    NOW,
    SSHD,
    Node,
    booted,
    run,
    subject,
    verdict_of,
)

LISTENING = NetworkFacts(listeners=(Listener(protocol="tcp", address="0.0.0.0", port=80),))


@pytest.mark.parametrize("exe", ["/sbin/init", "/usr/lib/systemd/systemd"])
@pytest.mark.parametrize("engine", ["docker", "runc", "none"])
def test_an_init_that_started_nothing_says_nothing(exe: str, engine: str) -> None:
    for tree in (run(exe), run(exe, run(exe))):  # a generator is not yet what it forks for
        verdict = verdict_of(subject(tree, engine=engine))
        assert verdict.style is Style.UNKNOWN
        assert any("started nothing" in sentence for sentence in verdict.unseen)
    assert verdict_of(subject(run(exe), engine="lxc")).style is Style.SYSTEM  # a prior


def test_a_booting_systemd_is_one_by_its_generators() -> None:
    generator = run("/usr/lib/systemd/system-generators/systemd-fstab-generator")
    executor = run("/usr/lib/systemd/systemd (sd-executor)", generator)
    assert verdict_of(subject(run("systemd", executor))).style is Style.SYSTEM


def test_an_init_by_name_alone_is_a_program() -> None:
    for alone, network in (
        (run("/init"), None),
        (run("/app/server /sbin/init"), None),
        (run("/sbin/init"), LISTENING),  # something listens: it is not an init that waits
    ):
        verdict = verdict_of(replace(subject(alone), network=network))
        assert verdict.style is Style.APP, alone
        assert verdict.confidence > 0.5
    on_host_network = replace(subject(run("/sbin/init"), network="host"), network=LISTENING)
    assert verdict_of(on_host_network).style is Style.UNKNOWN


def test_a_wrapper_called_init_is_not_a_service_manager() -> None:
    for argv in ("/init", "/dev/init -- sshd -D", "/sbin/init -- sshd"):
        verdict = verdict_of(subject(run(f"{argv.split(' ', maxsplit=1)[0]} {argv}", SSHD)))
        assert verdict.style is Style.APP, argv


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        (booted(JOURNALD), InitKind.MANAGER),
        (run("supervisord", NGINX), InitKind.SUPERVISOR),
        (run("python", SSHD, NGINX, args="/start.py"), InitKind.SUPERVISOR),
        (run("tini", NGINX), InitKind.REAPER),
        (run("/usr/bin/su", NGINX), InitKind.REAPER),
        (run("sh", NGINX, args="/start.sh"), InitKind.SHELL),
        (run("sleep", args="infinity"), InitKind.WAITING),
        (run("/usr/bin/curl"), InitKind.PROGRAM),
        (NGINX, InitKind.PROGRAM),
        (run("systemd"), InitKind.BARE),
        (run("/usr/bin/runc", args="init"), InitKind.PROGRAM),
        (None, InitKind.NONE),
    ],
)
def test_kinds(tree: Node | None, kind: InitKind) -> None:
    assert init_kind(read_tree(subject(tree)), listens=False) is kind


@pytest.mark.parametrize(
    ("container", "kind"),
    [
        ({}, InitKind.PROGRAM),  # it would be unknown, and not privileged, for as long as it likes
        ({"started": NOW - 5}, InitKind.RUNTIME),
        ({"state": State.CREATED}, InitKind.RUNTIME),
        ({"started": None}, InitKind.RUNTIME),
    ],
)
def test_only_a_new_container_is_prepared_by_its_runtime(
    container: dict[str, Any], kind: InitKind
) -> None:
    assert read_scene(subject(run("/usr/bin/runc", args="init"), **container)).init_kind is kind
