"""What happened between two snapshots, as events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.api.changes import changes, oom_kills
from agent.model import Axis, Container, Evidence, Finding, Snapshot, Style, Verdict, as_gone
from collectors.facts import FilesystemUsage, ProcessId, State
from tests.support.snapshots import APP, GONE, LEGACY, NOW, SYSTEM, WEB, picture
from tests.unit.agent.api.test_uses import counted, taken

if TYPE_CHECKING:
    from agent.api import schema

STOPPED = replace(WEB, state=State.EXITED, init=None, exit_code=137)


def between(old: tuple[Container, ...], new: tuple[Container, ...]) -> list[schema.Event]:
    before, after = (
        replace(Snapshot(host=picture().host, containers={c.id: c for c in each}))
        for each in (old, new)
    )
    return list(changes(before, after, NOW))


def kinds(old: tuple[Container, ...], new: tuple[Container, ...]) -> list[str]:
    return [event.type for event in between(old, new)]


def test_nothing() -> None:
    assert kinds((WEB,), (WEB,)) == []
    assert kinds((WEB,), (replace(WEB),)) == []


def test_a_life() -> None:
    created = replace(WEB, state=State.CREATED, init=None)
    assert kinds((), (created,)) == ["created"]
    assert kinds((created,), (WEB,)) == ["started"]
    assert kinds((), (WEB,)) == ["created", "started"]
    (stopped,) = between((WEB,), (STOPPED,))
    assert (stopped.type, stopped.exit_code, stopped.state) == ("stopped", 137, "exited")
    assert kinds((STOPPED,), ()) == ["removed"]
    assert kinds((WEB,), ()) == ["stopped", "removed"]
    assert kinds((WEB,), (as_gone(WEB, NOW),)) == ["stopped", "removed"]
    assert kinds((as_gone(WEB, NOW),), ()) == []
    assert kinds((), (GONE,)) == []


def test_a_restart_between_two_looks() -> None:
    again = replace(WEB, init=ProcessId(9, 9), started=NOW)
    assert kinds((WEB,), (again,)) == ["stopped", "started"]


def test_a_whole_life_between_two_looks() -> None:
    created = replace(WEB, state=State.CREATED, init=None, started=None)
    ended = replace(STOPPED, started=NOW - 2, finished=NOW - 1)
    assert kinds((created,), (ended,)) == ["started", "stopped"]
    assert kinds((ended,), (replace(ended, name="other"),)) == ["changed"]


def test_a_first_process_that_could_not_be_seen_before_is_no_restart() -> None:
    hidden = replace(WEB, init=None)
    assert "started" not in kinds((hidden,), (WEB,))


def test_a_verdict_that_turned_comes_with_its_evidence() -> None:
    sshd = Evidence(
        axis=Axis.SERVICES, rule="services.os", weight=1.5, sentence="sshd runs", source="/proc/1"
    )
    turned = replace(WEB, verdict=Verdict(style=Style.SYSTEM, evidence=(APP, sshd, SYSTEM)))
    (event,) = between((WEB,), (turned,))
    assert (event.type, event.previous_style, event.style) == ("turned", "app", "system")
    assert [piece.rule for piece in event.evidence] == ["init.service_manager", "services.os"]


def test_the_first_verdict_is_no_turn() -> None:
    young = replace(WEB, verdict=Verdict())
    assert "turned" not in kinds((young,), (WEB,))


def test_findings_come_and_go() -> None:
    bare = replace(LEGACY, findings=LEGACY.findings[:1])
    (gone,) = between((LEGACY,), (bare,))
    assert gone.type == "finding_gone"
    assert gone.finding is not None
    assert gone.finding.name == "no_limits"
    (new,) = between((bare,), (LEGACY,))
    assert (new.type, new.finding and new.finding.severity) == ("finding", "advice")
    other = replace(bare, findings=(Finding(name="docker_as_vm", sentence="another"),))
    assert kinds((bare,), (other,)) == []


def test_other_changes() -> None:
    assert kinds((WEB,), (replace(WEB, name="renamed"),)) == ["changed"]
    assert kinds((WEB,), (replace(WEB, state=State.PAUSED),)) == ["changed"]


def test_what_moves_all_the_time_is_no_change() -> None:
    fuller = replace(WEB, filesystem=FilesystemUsage(used_bytes=5), processes=7, log_bytes=9)
    assert kinds((WEB,), (fuller,)) == []


def test_kills_for_lack_of_memory() -> None:
    before, after = taken(1.0, counted("1", oom="2")), taken(3.0, counted("1", oom="4"))
    assert [(c.name, kills) for c, kills in oom_kills(after, before)] == [("web", 4)]
    assert list(oom_kills(after, after)) == []
