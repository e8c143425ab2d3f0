from __future__ import annotations

from dataclasses import replace

import pytest

from agent import wire
from agent.config.rules import Match
from agent.config.sections import Containers
from agent.model import Container, Snapshot, Style, Verdict
from agent.serve.handover import Handover
from collectors.facts import HostFacts, ProcessId, State

WEB = Container(
    id="/web", name="web", engine="docker", state=State.RUNNING, init=ProcessId(10, 1), processes=1
)
DB = replace(WEB, id="/db", name="db", init=ProcessId(20, 1), style_changes=2)
OLD = replace(WEB, id="/old", name="old", init=None, gone=True, state=State.DEAD, last_seen=900.0)
STOPPED = replace(WEB, id="/stopped", name="stopped", init=None, state=State.EXITED)


class Serve:
    """What serve shows of one scout after the other."""

    def __init__(self, containers: Containers) -> None:
        self.containers = containers
        self._handover = Handover(lambda: self.containers)
        self.snapshot: Snapshot = Snapshot(host=HostFacts(), containers={})

    def first(self, as_of: float, *changed: Container) -> None:
        """Hear the first whole picture of a scout."""
        everyone = frozenset(c.id for c in changed)
        self._hear(
            wire.Update(
                host=HostFacts(),
                changed=changed,
                everyone=everyone,
                complete=True,
                fresh=True,
                as_of=as_of,
            )
        )

    def later(self, as_of: float, *changed: Container, removed: tuple[str, ...] = ()) -> None:
        self._hear(
            wire.Update(
                host=HostFacts(), changed=changed, removed=removed, complete=True, as_of=as_of
            )
        )

    def _hear(self, update: wire.Update) -> None:
        self.snapshot = wire.apply(self.snapshot, self._handover.edit(self.snapshot, update))

    def shown(self) -> set[str]:
        return set(self.snapshot.containers)


@pytest.fixture
def serve() -> Serve:
    found = Serve(Containers(retention=300.0))
    found.first(1000.0, WEB, DB, OLD, STOPPED)
    return found


def test_who_ended_is_shown_until_the_retention_is_over(serve: Serve) -> None:
    serve.first(1010.0, DB)
    # Whether the stopped one was removed is for its engine to say, which may be slow today.
    assert serve.shown() == {"/web", "/db", "/old"}
    web = serve.snapshot.containers["/web"]
    assert (web.gone, web.state, web.init, web.last_seen) == (True, State.DEAD, None, 1000.0)
    serve.later(1199.0)
    assert serve.shown() == {"/web", "/db", "/old"}
    before = serve.snapshot.containers
    serve.later(1200.0)
    assert serve.snapshot.containers is before
    serve.later(1201.0)
    assert serve.shown() == {"/web", "/db"}
    serve.first(1250.0, DB)
    assert serve.shown() == {"/web", "/db"}
    serve.later(1301.0)
    assert serve.shown() == {"/db"}


def test_who_comes_back_is_as_the_scout_says(serve: Serve) -> None:
    serve.first(1010.0, DB)
    again = replace(WEB, init=ProcessId(30, 2))
    serve.later(1020.0, again)
    serve.later(9999.0)
    assert serve.snapshot.containers["/web"] == again


def test_one_that_is_known_by_another_id_has_not_ended(serve: Serve) -> None:
    serve.first(1010.0, DB, replace(WEB, id="/none/10-1"))
    assert serve.shown() == {"/db", "/old", "/none/10-1"}


def test_turns_are_counted_on(serve: Serve) -> None:
    serve.first(1010.0, WEB, replace(DB, style_changes=0))
    assert serve.snapshot.containers["/db"].style_changes == 2
    serve.later(1020.0, replace(DB, style_changes=1))
    assert serve.snapshot.containers["/db"].style_changes == 3
    serve.first(1030.0, WEB, replace(DB, style_changes=0))
    assert serve.snapshot.containers["/db"].style_changes == 3
    serve.later(1040.0, removed=("/db",))
    serve.later(1050.0, replace(DB, style_changes=0))
    assert serve.snapshot.containers["/db"].style_changes == 0


JUDGED = Verdict(style=Style.SYSTEM, score=0.9, confidence=0.8, services=3)
PRIOR = Verdict(style=Style.APP, score=-0.4, confidence=0.3)
SET = replace(PRIOR, confidence=1.0, override="name=stopped")


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        (JUDGED, PRIOR, JUDGED),
        (PRIOR, PRIOR, PRIOR),
        (JUDGED, replace(JUDGED, score=0.8), replace(JUDGED, score=0.8)),
        (JUDGED, SET, SET),
        (replace(JUDGED, override="name=*"), PRIOR, PRIOR),
    ],
)
def test_one_that_stopped_keeps_its_verdict_with_the_next_scout(
    serve: Serve, before: Verdict, now: Verdict, shown: Verdict
) -> None:
    serve.later(1005.0, replace(STOPPED, verdict=before, last_seen=1001.0))
    serve.first(1010.0, DB, replace(STOPPED, verdict=now))
    stopped = serve.snapshot.containers["/stopped"]
    assert stopped.verdict == shown
    serve.later(1020.0, replace(STOPPED, verdict=now, exit_code=1))
    stopped = serve.snapshot.containers["/stopped"]
    assert (stopped.verdict, stopped.exit_code) == (shown, 1)


def test_one_that_stopped_while_there_was_no_scout_keeps_its_verdict(serve: Serve) -> None:
    serve.later(1005.0, replace(WEB, verdict=JUDGED))
    serve.first(1010.0, DB, replace(WEB, init=None, state=State.EXITED, verdict=PRIOR))
    web = serve.snapshot.containers["/web"]
    assert (web.verdict, web.last_seen, web.state) == (JUDGED, 1005.0, State.EXITED)


def test_another_one_of_the_same_name_is_judged_anew(serve: Serve) -> None:
    serve.later(1005.0, replace(STOPPED, verdict=JUDGED, created=900.0))
    serve.first(1010.0, DB, replace(STOPPED, verdict=PRIOR, created=1006.0))
    assert serve.snapshot.containers["/stopped"].verdict == PRIOR


def test_what_is_configured_now_holds(serve: Serve) -> None:
    serve.containers = Containers(retention=300.0, exclude=(Match(name="web"),), max_retained=1)
    serve.first(1010.0, STOPPED)
    assert serve.shown() == {"/stopped", "/db"}


def test_nothing_is_kept_where_nothing_is_to_be_kept(serve: Serve) -> None:
    serve.containers = Containers(retention=0.0)
    serve.first(1010.0, WEB)
    assert serve.shown() == {"/web"}


@pytest.mark.parametrize("jump", [100_000.0, -100_000.0])
def test_a_clock_that_is_set_keeps_nobody_for_ever(serve: Serve, jump: float) -> None:
    serve.first(1010.0, DB)
    serve.later(1010.0 + jump)
    assert serve.shown() == {"/db"}
