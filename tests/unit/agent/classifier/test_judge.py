"""The settled cases of the definitions, how sure a verdict is, and rules that override it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.classifier import is_mismatch
from agent.model import Style, Subject
from agent.patterns import Override
from tests.support.settled_cases import APPS, SYSTEMS
from tests.support.subjects import (
    CRON,
    JOURNALD,
    NGINX,
    NOW,
    REDIS,
    SSHD,
    Node,
    booted,
    claims,
    findings_of,
    run,
    session,
    subject,
    verdict_of,
)

if TYPE_CHECKING:
    from agent.model import Verdict


@pytest.mark.parametrize("name", APPS)
def test_an_application_is_one(name: str) -> None:
    verdict = verdict_of(APPS[name])
    assert verdict.style is Style.APP, _evidence(verdict)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_small_server_is_one(name: str) -> None:
    verdict = verdict_of(SYSTEMS[name])
    assert verdict.style is Style.SYSTEM, _evidence(verdict)


def _evidence(verdict: Verdict) -> str:
    return "\n".join(f"{e.weight:+.2f} {e.rule}: {e.sentence}" for e in verdict.evidence)


@pytest.mark.parametrize("engine", ["docker", "lxc", "none"])
def test_systemd_over_one_application_is_app_and_not_sure(engine: str) -> None:
    container = subject(booted(JOURNALD, NGINX), engine=engine)
    verdict = verdict_of(container)
    assert verdict.style is Style.APP, _evidence(verdict)
    assert verdict.confidence < 0.5
    assert "single_app_in_system_container" in findings_of(container)


@pytest.mark.parametrize(
    "argv0", ["/usr/sbin/sshd", "sshd: /usr/sbin/sshd -D", "/sbin/init", "/usr/sbin/cron"]
)
@pytest.mark.parametrize("exe", ["/usr/bin/sleep", "/usr/bin/python3.11", "/app/server"])
def test_a_name_in_argv_moves_nothing(exe: str, argv0: str) -> None:
    honest = subject(run("sh", run(exe), run(exe), args="-c x"))
    forged = subject(run("sh", claims(exe, argv0), claims(exe, argv0, "x"), args="-c x"))
    assert verdict_of(forged).score <= max(verdict_of(honest).score, -0.5)


def test_a_zombie_hides_nothing() -> None:
    dead = Node(None, (), (), {"state": "Z"})
    verdict = verdict_of(subject(run("redis", dead)))
    assert verdict.confidence == verdict_of(subject(REDIS)).confidence
    assert not any("binaries" in sentence for sentence in verdict.unseen)


def test_a_container_that_is_starting_has_no_verdict() -> None:
    verdict = verdict_of(subject(run("/usr/bin/runc", args="init"), started=NOW - 1))
    assert verdict.style is Style.UNKNOWN
    assert verdict.unseen


def test_a_container_of_which_nothing_is_known_has_no_verdict() -> None:
    verdict = verdict_of(subject(None, engine="none"))
    assert verdict.style is Style.UNKNOWN
    assert verdict.confidence == 0
    assert verdict.services is None
    assert any("processes" in sentence for sentence in verdict.unseen)


def test_without_readable_binaries_a_verdict_is_less_sure() -> None:
    def without_binaries(case: Subject) -> Subject:
        return replace(case, processes=tuple(replace(p, exe=None) for p in case.processes))

    for case in (APPS["master and workers"], SYSTEMS["systemd over everything"]):
        readable, unreadable = verdict_of(case), verdict_of(without_binaries(case))
        assert unreadable.style is readable.style
        assert unreadable.confidence < readable.confidence
        assert any("binaries" in sentence for sentence in unreadable.unseen)


def test_the_numbers_that_the_axes_were_judged_from() -> None:
    verdict = verdict_of(subject(run("sh", SSHD, CRON, NGINX, REDIS, args="-c x")))
    assert verdict.services == 4
    assert verdict.users == 2
    assert verdict.sessions == 0
    assert verdict_of(subject(run("sshd", session(), args="-D"))).sessions == 1
    assert verdict_of(subject(run("sleep"))).services == 0


def test_the_evidence_says_what_it_is_and_where_it_was_read() -> None:
    verdict = verdict_of(SYSTEMS["systemd over everything"])
    by_rule = {e.rule: e for e in verdict.evidence}
    assert "systemd" in by_rule["init.service_manager"].sentence
    assert by_rule["init.service_manager"].source == "/proc/1000/exe"
    assert "sshd" in by_rule["services.operating_system"].sentence
    assert [abs(e.weight) for e in verdict.evidence] == sorted(
        (abs(e.weight) for e in verdict.evidence), reverse=True
    )


def test_a_mismatch_is_sure_and_differs() -> None:
    server = verdict_of(SYSTEMS["systemd over everything"])
    assert is_mismatch(server, Style.APP)
    assert not is_mismatch(server, Style.SYSTEM)
    assert not is_mismatch(server, Style.UNKNOWN)
    unsure = verdict_of(subject(booted(JOURNALD, NGINX), engine="lxc"))
    assert not is_mismatch(unsure, Style.SYSTEM)


class TestOverride:
    def test_sets_the_style_and_says_so(self) -> None:
        rule = Override(style=Style.SYSTEM, engine="docker", name="web*")
        verdict = verdict_of(subject(NGINX, name="web01"), (rule,))
        assert (verdict.style, verdict.score, verdict.confidence) == (Style.SYSTEM, 1.0, 1.0)
        assert verdict.override == "engine=docker name=web*"
        assert verdict.evidence[0].rule == "override"
        assert "services.one" in {e.rule for e in verdict.evidence}

    @pytest.mark.parametrize(
        "rule",
        [
            Override(style=Style.SYSTEM, engine="podman"),
            Override(style=Style.SYSTEM, name="Web*"),
            Override(style=Style.SYSTEM, image="*:2"),
            Override(style=Style.SYSTEM, labels={"kind": "*"}),
            Override(style=Style.SYSTEM, labels={"role": "db"}),
            Override(style=Style.SYSTEM, name="web01", labels={"role": "db"}),
        ],
    )
    def test_one_that_does_not_match_changes_nothing(self, rule: Override) -> None:
        web = subject(NGINX, name="web01", image="nginx:1", labels={"role": "web"})
        assert verdict_of(web, (rule,)) == verdict_of(web)

    def test_the_first_that_matches_counts(self) -> None:
        rules = (
            Override(style=Style.UNKNOWN, name="x"),
            Override(style=Style.SYSTEM, labels={"role": "w?b"}),
            Override(style=Style.APP),
        )
        assert verdict_of(subject(NGINX, labels={"role": "web"}), rules).style is Style.SYSTEM
        assert verdict_of(subject(NGINX), rules).override == "every container"
