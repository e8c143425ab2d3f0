"""The findings, each with a container that has it and one that has not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.classifier import CATALOGUE, classify, findings, read_scene
from agent.model import Severity
from collectors.facts import ImageFacts, Isolation, Limits, RootFacts
from tests.support.settled_cases import APPS, SYSTEMS
from tests.support.subjects import (
    JOURNALD,
    NGINX,
    NOW,
    POSTGRES,
    REDIS,
    SSHD,
    booted,
    claims,
    findings_of,
    run,
    subject,
)

CALM: dict[str, Any] = {
    "limits": Limits(memory_bytes=1 << 30, seen=frozenset({"memory", "cpu", "pids"}))
}


STARTING = (
    ("/usr/sbin/runc", "runc init"),
    # runc 1.0 to 1.1 runs from a copy of itself in memory.
    ("/memfd:runc_cloned:/proc/self/exe (deleted)", "runc init"),
    ("/usr/bin/crun", "crun --root /run/crun create --bundle /b x"),
    ("/usr/bin/crun", "/usr/bin/crun run x"),
)


class TestFindings:
    def test_an_ordinary_application_has_none(self) -> None:
        assert findings_of(subject(NGINX, **CALM)) == set()

    def test_a_server_in_an_application_engine(self) -> None:
        assert "docker_as_vm" in findings_of(SYSTEMS["systemd over everything"])
        assert "docker_as_vm" not in findings_of(SYSTEMS["an idle system in lxc"])

    def test_a_single_application_in_a_system_container(self) -> None:
        assert "single_app_in_system_container" in findings_of(APPS["one program in lxc"])
        assert "single_app_in_system_container" not in findings_of(APPS["one program"])
        assert "single_app_in_system_container" not in findings_of(subject(NGINX, engine="nspawn"))

    def test_users_in_an_application(self) -> None:
        assert "logged_into" in findings_of(APPS["an engine's exec"])
        assert "logged_into" in findings_of(APPS["one visitor of an sftp image"])
        assert "logged_into" not in findings_of(APPS["a shell"])

    def test_limits_that_are_known_to_be_missing(self) -> None:
        everything = frozenset({"memory", "cpu", "pids"})
        assert "no_limits" in findings_of(subject(NGINX, limits=Limits(seen=everything)))
        assert "no_limits" not in findings_of(subject(NGINX, **CALM))
        assert "no_limits" not in findings_of(subject(NGINX, limits=Limits()))
        a_cpuset = Limits(seen=everything, cpus=1)
        assert "no_limits" not in findings_of(subject(NGINX, limits=a_cpuset))
        assert "no_limits" not in findings_of(
            subject(run("/pause"), role="infra", limits=Limits(seen=everything))
        )

    @pytest.mark.parametrize(
        ("isolation", "name"),
        [
            (Isolation(privileged=True), "privileged"),
            (Isolation(shared_namespaces=frozenset({"net"})), "shared_host_namespaces"),
            (Isolation(engine_sockets=("/run/docker.sock",)), "engine_socket_inside"),
        ],
    )
    def test_what_is_not_isolated(self, isolation: Isolation, name: str) -> None:
        assert findings_of(subject(NGINX, isolation=isolation, **CALM)) == {name}

    def test_a_server_whose_root_is_the_hosts(self) -> None:
        server = subject(booted(JOURNALD, SSHD), isolation=Isolation(user_mapped=False), **CALM)
        assert "no_user_namespace" in findings_of(server)
        assert "no_user_namespace" not in findings_of(
            subject(NGINX, isolation=Isolation(user_mapped=False), **CALM)
        )

    def test_zombies_that_are_not_reaped(self) -> None:
        assert findings_of(replace(subject(NGINX, **CALM), unreaped=40)) == {"unreaped"}
        assert findings_of(replace(subject(NGINX, **CALM), unreaped=2)) == set()

    def test_namespaces_that_all_containers_may_share_are_no_finding(self) -> None:
        shared = Isolation(shared_namespaces=frozenset({"user", "cgroup", "time"}))
        assert findings_of(subject(NGINX, isolation=shared, **CALM)) == set()

    def test_what_was_changed_since_it_was_made(self) -> None:
        web = subject(NGINX, image="web:1", **CALM)
        changed = RootFacts(packages_changed=NOW - 100, package_manager="dpkg")
        assert findings_of(replace(web, root=changed)) == {"drifted"}
        as_made = RootFacts(packages_changed=NOW - 9000, package_manager="dpkg")
        assert findings_of(replace(web, root=as_made)) == set()

    def test_what_an_application_writes_is_no_drift(self) -> None:
        assert findings_of(subject(NGINX, image="a", writable_layer_bytes=1 << 30, **CALM)) == set()

    @pytest.mark.parametrize(
        "made", [{"engine": "lxc", "boots": True, "image": "debian"}, {"engine": "none"}, {}]
    )
    def test_without_an_image_nothing_has_drifted_from_it(self, made: dict[str, Any]) -> None:
        changed = RootFacts(packages_changed=NOW - 100, package_manager="dpkg")
        assert "drifted" not in findings_of(replace(subject(NGINX, **CALM, **made), root=changed))

    def test_what_its_image_is(self) -> None:
        large = ImageFacts(size_bytes=3 << 30, created=NOW - 86400)
        old = ImageFacts(size_bytes=1 << 20, created=NOW - 400 * 86400)
        assert findings_of(subject(NGINX, image_facts=large, **CALM)) == {"bloated_image"}
        assert findings_of(subject(NGINX, image_facts=old, **CALM)) == {"stale_image"}

    def test_a_server_that_is_only_suspected_is_not_to_be_moved(self) -> None:
        scene = read_scene(SYSTEMS["systemd over everything"])
        sure = classify(scene)
        assert "docker_as_vm" in {f.name for f in findings(scene, sure)}
        unsure = replace(sure, confidence=0.49)
        assert "docker_as_vm" not in {f.name for f in findings(scene, unsure)}

    def test_a_runtime_is_privileged_until_it_starts_the_program(self) -> None:
        free = Isolation(privileged=True)
        for exe, argv in STARTING:
            only = claims(exe, *argv.split())
            starting = subject(only, isolation=free, started=NOW - 1, **CALM)
            assert findings_of(starting) == set(), argv
            # What calls itself a runtime for longer is none.
            assert findings_of(subject(only, isolation=free, **CALM)) == {"privileged"}, argv
        assert findings_of(subject(run("/usr/bin/runc /usr/bin/runc list"), isolation=free, **CALM))
        told = subject(run("/usr/bin/runc runc init"), privileged=True, **CALM)
        assert findings_of(told) == {"privileged"}

    def test_what_matters_most_comes_first(self) -> None:
        web = subject(NGINX, limits=Limits(seen=frozenset({"memory", "cpu", "pids"})))
        scene = read_scene(replace(web, unreaped=40))
        assert [(f.name, f.severity) for f in findings(scene, classify(scene))] == [
            ("unreaped", Severity.WARNING),
            ("no_limits", Severity.ADVICE),
        ]

    def test_a_healthy_application_is_warned_of_nothing(self) -> None:
        everything = frozenset({"memory", "cpu", "pids"})
        for program in (NGINX, REDIS, POSTGRES):
            for limits in (Limits(seen=everything), Limits(seen=everything, pids=100)):
                scene = read_scene(subject(program, image="x:1", limits=limits))
                found = findings(scene, classify(scene))
                assert all(f.severity is not Severity.WARNING for f in found)

    def test_every_kind_is_explained(self) -> None:
        assert len({kind.name for kind in CATALOGUE}) == len(CATALOGUE)
        for kind in CATALOGUE:
            assert all((kind.title, kind.means, kind.matters, kind.advice)), kind.name
