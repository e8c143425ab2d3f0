"""Hysteresis: a change of style is delayed, never prevented; what stopped keeps its verdict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.classifier import HeldVerdict, hold
from agent.classifier.hysteresis import HOLD, PASSES, YOUNG
from agent.model import Axis, Evidence, Style, Verdict


def verdict(style: Style, *, services: int | None = 1, override: str = "") -> Verdict:
    weight = {Style.APP: -2.0, Style.SYSTEM: 3.0, Style.UNKNOWN: 0.0}[style]
    piece = Evidence(
        axis=Axis.SERVICES, rule=f"services.{style}", weight=weight, sentence=style, source=""
    )
    return Verdict(style=style, evidence=(piece,), services=services, override=override)


APP, SYSTEM, UNKNOWN = (verdict(s) for s in (Style.APP, Style.SYSTEM, Style.UNKNOWN))


def test_the_first_verdict_stands_at_once() -> None:
    assert hold(None, SYSTEM, now=0.0).verdict == SYSTEM


def test_a_young_container_turns_at_once_and_uncounted() -> None:
    booting = hold(None, APP, now=1.0, started=0.0)
    up = hold(booting, SYSTEM, now=3.0, started=0.0)
    assert up.verdict == SYSTEM
    assert up.changes == 0


def test_a_grown_one_turns_after_it_has_held() -> None:
    state = hold(None, APP, now=YOUNG, started=0.0)
    waiting = hold(state, SYSTEM, now=100.0, started=0.0)
    assert waiting.verdict == APP
    assert waiting.candidate is Style.SYSTEM
    still = hold(waiting, SYSTEM, now=100.0 + HOLD - 1, started=0.0)
    assert still.verdict == APP
    turned = hold(still, SYSTEM, now=100.0 + HOLD, started=0.0)
    assert turned.verdict == SYSTEM
    assert turned.changes == 1
    assert [e.rule for e in turned.turned_by] == ["services.system"]
    assert hold(turned, SYSTEM, now=200.0, started=0.0).turned_by == ()


def test_one_picture_is_not_enough_however_old() -> None:
    state = hold(None, APP, now=YOUNG, started=0.0)
    once = hold(state, SYSTEM, now=10 * HOLD, started=0.0)
    assert once.verdict == APP
    assert once.passes < PASSES


def test_what_comes_back_in_time_was_no_change() -> None:
    state = hold(None, APP, now=YOUNG, started=0.0)
    state = hold(state, SYSTEM, now=100.0, started=0.0)
    state = hold(state, APP, now=110.0, started=0.0)
    assert state.candidate is None
    state = hold(state, SYSTEM, now=100.0 + HOLD, started=0.0)
    assert state.verdict == APP
    assert state.changes == 0


def test_a_stopped_container_keeps_what_was_seen() -> None:
    state = hold(None, SYSTEM, now=YOUNG, started=0.0)
    stopped = verdict(Style.APP, services=None)
    for now in (100.0, 200.0, 300.0):
        state = hold(state, stopped, now=now, started=0.0)
    assert state.verdict == SYSTEM


def test_one_never_seen_running_takes_what_is_known() -> None:
    prior = verdict(Style.APP, services=None)
    assert hold(None, prior, now=0.0).verdict == prior


def test_what_is_seen_at_last_replaces_a_prior_at_once() -> None:
    prior = verdict(Style.APP, services=None)
    state = hold(hold(None, prior, now=0.0), SYSTEM, now=100.0, started=0.0)
    assert state.verdict == SYSTEM
    assert state.changes == 0


def test_a_restart_does_not_flap() -> None:
    state = hold(None, SYSTEM, now=YOUNG, started=0.0)
    state = hold(state, APP, now=101.0, started=100.0)
    assert state.verdict == SYSTEM
    state = hold(state, SYSTEM, now=104.0, started=100.0)
    assert state.verdict == SYSTEM
    assert state.changes == 0


def test_the_operators_word_stands_at_once_and_ends_at_once() -> None:
    state = hold(None, APP, now=YOUNG, started=0.0)
    word = verdict(Style.SYSTEM, override="name=x")
    state = hold(state, word, now=101.0, started=0.0)
    assert state.verdict == word
    assert hold(state, APP, now=102.0, started=0.0).verdict == APP


def test_a_moment_of_blindness_costs_nothing() -> None:
    state = hold(None, SYSTEM, now=YOUNG, started=0.0)
    state = hold(state, UNKNOWN, now=100.0, started=0.0)
    assert state.verdict == SYSTEM


@given(
    st.lists(st.sampled_from([APP, SYSTEM, UNKNOWN]), max_size=20),
    st.sampled_from([APP, SYSTEM]),
    st.floats(0, 200),
)
def test_whatever_was_seen_it_settles_on_what_holds(
    history: list[Verdict], last: Verdict, started: float
) -> None:
    state: HeldVerdict | None = None
    now = started
    for seen in history:
        state = hold(state, seen, now=now, started=started)
        now += 7.0
    for _ in range(PASSES + 1):
        state = hold(state, last, now=now, started=started)
        now += HOLD
    assert state is not None
    assert state.verdict == last
    assert state.candidate is None


@given(st.lists(st.sampled_from([APP, SYSTEM]), min_size=1, max_size=30))
def test_a_grown_one_never_turns_oftener_than_the_hold_allows(history: list[Verdict]) -> None:
    state: HeldVerdict | None = None
    now = YOUNG
    for seen in history:
        state = hold(state, seen, now=now, started=0.0)
        now += 10.0
    assert state is not None
    assert state.changes <= 10.0 * len(history) / HOLD


def test_who_started_in_the_future_is_no_newborn_for_an_hour() -> None:
    before = hold(None, APP, now=5000, started=1000)
    after = hold(before, SYSTEM, now=5001, started=8600)
    assert (after.verdict.style, after.candidate) == (Style.APP, Style.SYSTEM)
