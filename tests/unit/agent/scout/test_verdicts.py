from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model import Style, Subject
from agent.patterns import Override
from agent.scout.verdicts import Verdicts
from tests.support.subjects import CRON, NOW, REDIS, SSHD, booted, subject

if TYPE_CHECKING:
    import pytest

    from agent.model import Container

APP = subject(REDIS, engine="docker", expected_style=Style.APP)
SYSTEM = subject(booted(SSHD, CRON), engine="docker", expected_style=Style.APP)


def at(judged: Subject, seconds: float) -> Subject:
    return replace(judged, now=NOW + seconds)


def turn(verdicts: Verdicts, *, seconds: float = 31.0) -> Container:
    """Have an application become a system, which is believed when it has held for a while."""
    verdicts.judge(APP)
    verdicts.judge(at(SYSTEM, 1.0))
    return verdicts.judge(at(SYSTEM, 1.0 + seconds))


def test_a_container_is_given_its_verdict_and_what_follows_from_it() -> None:
    app, system = Verdicts().judge(APP), Verdicts().judge(SYSTEM)
    assert (app.verdict.style, app.mismatch) == (Style.APP, False)
    assert (system.verdict.style, system.mismatch) == (Style.SYSTEM, True)
    assert "docker_as_vm" in {finding.name for finding in system.findings}
    assert "docker_as_vm" not in {finding.name for finding in app.findings}
    assert replace(app, verdict=APP.container.verdict, findings=()) == APP.container


def test_another_style_must_hold_before_the_verdict_turns(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    verdicts = Verdicts()
    assert turn(verdicts, seconds=20.0).verdict.style is Style.APP
    assert not caplog.records
    turned = verdicts.judge(at(SYSTEM, 32.0))
    assert (turned.verdict.style, turned.style_changes) == (Style.SYSTEM, 1)
    assert "c (/docker/c) turned to system-style: " in caplog.text


def test_while_it_must_hold_the_container_is_to_be_judged_again() -> None:
    verdicts = Verdicts()
    verdicts.judge(APP)
    assert not verdicts.is_turning(APP.container.id)
    verdicts.judge(at(SYSTEM, 1.0))
    assert verdicts.is_turning(APP.container.id)
    assert verdicts.turning() == {APP.container.id}
    verdicts.judge(at(SYSTEM, 32.0))
    assert not verdicts.turning()


def test_a_step_of_the_clock_does_not_count_as_holding() -> None:
    verdicts = Verdicts()
    verdicts.judge(APP)
    verdicts.judge(at(SYSTEM, 1.0))
    verdicts.shift(3600.0)
    started = NOW + 3100.0
    later = replace(at(SYSTEM, 3602.0), container=replace(SYSTEM.container, started=started))
    assert verdicts.judge(later).verdict.style is Style.APP
    assert verdicts.judge(at(later, 3632.0)).verdict.style is Style.SYSTEM


def test_the_operators_rule_sets_the_style_at_once() -> None:
    override = Override(style=Style.SYSTEM, engine="docker")
    judged = Verdicts([override]).judge(APP)
    assert (judged.verdict.style, judged.verdict.override) == (Style.SYSTEM, "engine=docker")


def test_those_that_are_gone_are_forgotten() -> None:
    verdicts = Verdicts()
    verdicts.judge(APP)
    verdicts.retain(set())
    assert verdicts.judge(at(SYSTEM, 1.0)).verdict.style is Style.SYSTEM
