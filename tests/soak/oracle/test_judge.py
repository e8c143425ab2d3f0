"""What the oracle says is false, and what it lets pass."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import Page
from tests.soak.oracle.facts import EXITED, PAUSED, RUNNING, Driver, Truth
from tests.soak.oracle.judge import WITH_API, WITHOUT_API, Judge, Limits
from tests.soak.oracle.timeline import NAME, STATE, Timeline
from tests.soak.oracle.watch import Look, Shown, false_sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.soak.oracle.facts import Action, Value, Way


class _Engine(Driver):
    """Docker, with whatever is said to be true of it."""

    engine = "docker"
    name = "docker"

    @property
    def ways(self) -> Mapping[str, Way]:
        return {}

    @property
    def actions(self) -> Mapping[str, Action]:
        return {}

    def truths(self) -> Mapping[str, Truth]:
        return {}


@pytest.fixture
def judge() -> Judge:
    return Judge(
        Timeline(), Limits(), lambda moment, seconds: moment - seconds, lambda _: "", "tm1-"
    )


def tell(judge: Judge, at: float, *truths: Truth, via: str = "") -> None:
    """Let an engine say what is true at a moment; what was done took it half a second."""
    judge.timeline.observe(
        _Engine(),
        {f"<{truth.name.removesuffix('-b')}>": truth for truth in truths},
        begin=at - 0.5,
        done=at,
        now=at,
        via=frozenset({via} - {""}),
        of=frozenset(truth.name for truth in truths),
    )


def truth(name: str = "tm1-web", state: str = RUNNING, **values: Value) -> Truth:
    return Truth(name=name, state=state, values=values)


def row(
    name: str = "tm1-web", state: str = RUNNING, container: str = "<tm1-web>", **values: Value
) -> Shown:
    shown = {NAME: name, STATE: state, **values}
    return Shown(id=f"/docker/{container}", name=name, engine="docker", cgroup="", values=shown)


def said(judge: Judge, at: float, *rows: Shown, where: str = WITH_API) -> list[str]:
    """Return what is false of a page that was read at a moment."""
    compared = frozenset({NAME, STATE, "memory"})
    look = Look(where=where, begin=at, end=at + 0.1, rows=list(rows), compared=compared)
    return judge.judge(look)


def test_one_that_is_shown_as_it_is_is_right(judge: Judge) -> None:
    tell(judge, 10, truth(memory=7))
    assert said(judge, 10.2, row(memory=7)) == []
    assert said(judge, 60, row(memory=7)) == []


def test_one_may_be_missing_for_two_seconds(judge: Judge) -> None:
    tell(judge, 10, truth())
    assert said(judge, 11.9) == []
    assert said(judge, 12.1) == ["page: docker tm1-web (<tm1-web>): is missing"]
    assert said(judge, 12.3) == [], "it is said once"


def test_a_new_state_may_be_late_for_five_seconds(judge: Judge) -> None:
    tell(judge, 10, truth())
    tell(judge, 30, truth(state=PAUSED))
    assert said(judge, 29, row(state=PAUSED)) != []
    assert said(judge, 30.2, row(state=PAUSED)) == []
    assert said(judge, 34.9, row()) == []
    (late,) = said(judge, 35.1, row())
    assert "state is said to be 'running', in the last 5.0 s it was 'paused'" in late


def test_a_state_on_the_way_may_be_shown_for_a_moment(judge: Judge) -> None:
    tell(judge, 10, truth())
    tell(judge, 30, truth(), via=EXITED)
    assert said(judge, 31, row(state=EXITED)) == []
    assert said(judge, 36, row(state=EXITED)) != []


def test_what_a_limit_was_long_ago_is_false(judge: Judge) -> None:
    tell(judge, 10, truth(memory=7))
    tell(judge, 30, truth(memory=None))
    assert said(judge, 36, row(memory=7)) != []
    assert said(judge, 36, row()) == []


def test_what_only_the_api_tells_is_not_asked_of_who_may_not_ask(judge: Judge) -> None:
    one = truth(memory=7)
    tell(judge, 10, dataclasses.replace(one, only_by_api=frozenset({"memory"})))
    assert said(judge, 20, row(memory=6), where=WITHOUT_API) == []
    assert said(judge, 20, row(memory=6)) != []


def test_another_name_and_another_engine_are_false(judge: Judge) -> None:
    tell(judge, 10, truth())
    tell(judge, 30, truth("tm1-web-b"))
    assert said(judge, 36, row("tm1-web-b")) == []
    assert said(judge, 36, row()) != []


def test_what_was_removed_is_dead_for_the_retention_and_then_gone(judge: Judge) -> None:
    tell(judge, 10, truth())
    tell(judge, 30)
    assert said(judge, 31, row(state="dead")) == []
    assert said(judge, 40) == []
    assert "is there though it was removed" in said(judge, 40, row(state="dead"))[0]


def test_it_is_there_once(judge: Judge) -> None:
    tell(judge, 10, truth())
    (twice,) = said(judge, 20, row(), row(container="<tm1-web>/again"))
    assert "is there 2 times" in twice


def test_what_bears_the_mark_and_is_nothing_that_was_made_is_a_stray_row(judge: Judge) -> None:
    tell(judge, 10, truth())
    (stray,) = said(judge, 20, row(), row("tm1-ghost", container="123"))
    assert "a stray row" in stray
    assert said(judge, 20, row(), row("somebody's", container="456")) == []


@pytest.mark.parametrize(("counted", "wrong"), [(1, 0), (2, 1)])
def test_a_sum_is_that_of_the_containers_on_the_page(counted: int, wrong: int) -> None:
    page = Page(
        f"""# TYPE tallyman_container_info gauge
tallyman_container_info{{id="/a",engine="docker",style="app"}} 1
# TYPE tallyman_container_state gauge
tallyman_container_state{{id="/a",state="running"}} 1
# TYPE tallyman_host_containers gauge
tallyman_host_containers{{engine="docker",style="app",state="running"}} {counted}
"""
    )
    assert len(false_sums(page)) == wrong


def test_a_page_that_took_long_to_read_is_of_no_known_moment(judge: Judge) -> None:
    tell(judge, 10, truth())
    look = Look(
        where="page", begin=20, end=50, rows=[], wrong=["a sum"], compared=frozenset({NAME})
    )
    assert judge.judge(look) == ["page: a sum"]
