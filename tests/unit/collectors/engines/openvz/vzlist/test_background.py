from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from collectors.engines.openvz.vzlist.background import (
    INTERVAL,
    LONGEST_PAUSE,
    Background,
    Schedule,
)
from collectors.engines.openvz.vzlist.errors import EmptyOutput, TimedOut

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed


class TestSchedule:
    def test_the_first_run_is_due(self) -> None:
        assert Schedule().due(0.0, hurry=False)

    def test_after_an_answer_comes_a_pause(self) -> None:
        schedule = Schedule()
        schedule.succeeded(100.0, 0.1)
        assert not schedule.due(100.0 + INTERVAL - 1, hurry=False)
        assert schedule.due(100.0 + INTERVAL, hurry=False)

    def test_a_hurry_makes_it_shorter_and_not_none(self) -> None:
        schedule = Schedule()
        schedule.succeeded(100.0, 0.1)
        assert not schedule.due(101.0, hurry=True)
        assert schedule.due(110.0, hurry=True)

    def test_a_slow_vzlist_is_run_less_often(self) -> None:
        schedule = Schedule()
        schedule.succeeded(1000.0, 150.0)
        assert not schedule.due(1000.0 + INTERVAL, hurry=False)
        assert not schedule.due(1000.0 + INTERVAL, hurry=True)
        assert schedule.due(1000.0 + 5 * 150.0, hurry=False)

    def test_failures_make_it_back_off_up_to_a_limit(self) -> None:
        schedule = Schedule()
        now, pauses = 0.0, []
        for _ in range(12):
            schedule.failed(now, 1.0)
            pause = next(p for p in range(10_000) if schedule.due(now + p, hurry=True))
            pauses.append(pause)
            now += pause
        assert pauses[:4] == [60, 120, 240, 480]
        assert max(pauses) == LONGEST_PAUSE

    def test_an_answer_ends_the_backing_off(self) -> None:
        schedule = Schedule()
        schedule.failed(0.0, 1.0)
        schedule.failed(60.0, 1.0)
        schedule.succeeded(180.0, 1.0)
        schedule.failed(240.0, 1.0)
        assert schedule.due(300.0, hurry=False)

    def test_another_program_is_tried_at_once(self) -> None:
        schedule = Schedule()
        schedule.failed(0.0, 1.0)
        schedule.reset()
        assert schedule.due(0.0, hurry=False)


class TestBackground:
    def test_the_last_good_answer_stays(self) -> None:
        answers: list[Any] = [{"101": None}, EmptyOutput("vzlist printed nothing"), {}]
        clock = Clock()
        background = Background(lambda *_: give(answers.pop(0)), lambda: 1, clock)
        self.run(background, 1000.0)
        assert background.answer is not None
        assert (set(background.answer.containers), background.answer.as_of) == ({"101"}, 1000.0)
        clock.now += INTERVAL
        self.run(background, 1060.0)
        assert (background.answer.as_of, background.failures) == (1000.0, 1)
        assert background.problem == "vzlist printed nothing"
        clock.now += INTERVAL
        self.run(background, 1120.0)
        assert (background.answer.as_of, background.problem) == (1120.0, "")

    def test_it_is_not_run_twice_at_once_nor_too_often(self) -> None:
        go, runs = threading.Event(), []

        def ask(*_: object) -> dict[str, Listed]:
            runs.append(1)
            go.wait(60)
            return {}

        background = Background(ask, lambda: 1, Clock())
        assert self.start(background)
        assert not self.start(background)
        go.set()
        background.wait(60)
        assert not self.start(background)
        assert runs == [1]

    def test_another_program_is_run_at_once(self) -> None:
        identity = [1]
        background = Background(lambda *_: {}, lambda: identity[0], Clock())
        assert self.start(background)
        background.wait(60)
        assert not self.start(background)
        identity[0] = 2
        assert self.start(background)
        background.wait(60)

    def test_who_waits_is_told(self) -> None:
        told = threading.Event()
        background = Background(lambda *_: {}, lambda: 1, Clock())
        background.refresh(1.0, containers=0, hurry=False, done=told.set)
        assert told.wait(60)

    def test_each_container_may_take_its_time(self) -> None:
        timeouts: list[float] = []

        def ask(timeout: float, _: threading.Event) -> dict[str, Listed]:
            timeouts.append(timeout)
            return {}

        background = Background(ask, lambda: 1, Clock())
        background.refresh(1.0, containers=200, hurry=False, done=lambda: None)
        background.wait(60)
        assert timeouts == [130.0]

    def test_closing_ends_what_runs(self) -> None:
        ended = threading.Event()

        def ask(_: float, stop: threading.Event) -> dict[str, Listed]:
            stop.wait(60)
            ended.set()
            raise TimedOut("stopped")

        background = Background(ask, lambda: 1, Clock())
        self.start(background)
        background.close()
        assert ended.is_set()
        assert not self.start(background)

    def start(self, background: Background) -> bool:
        return background.refresh(1.0, containers=0, hurry=False, done=lambda: None)

    def run(self, background: Background, now: float) -> None:
        assert background.refresh(now, containers=0, hurry=False, done=lambda: None)
        background.wait(60)


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def give(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
