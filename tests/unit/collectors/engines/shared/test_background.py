from __future__ import annotations

import threading
import time

import pytest

from collectors.engines.shared.background import Background

PATIENCE = 60.0


def never() -> None:
    raise AssertionError("nothing was late")


def test_an_answer_in_time_wakes_no_one() -> None:
    asked: Background[int] = Background()
    asked.begin("test", lambda: 7, never)
    assert asked.is_busy
    assert asked.finish(PATIENCE)
    assert asked.take() == 7
    assert not asked.is_busy
    assert not asked.is_slow


def test_a_late_answer_is_not_waited_for_again_until_one_is_quick() -> None:
    asked: Background[int] = Background()
    release, woken = threading.Event(), threading.Event()

    def slow() -> int:
        release.wait(PATIENCE)
        return 7

    asked.begin("test", slow, woken.set)
    assert not asked.finish(0.01)
    assert asked.is_slow
    started = time.monotonic()
    assert not asked.finish(PATIENCE)
    assert time.monotonic() - started < PATIENCE / 2
    release.set()
    assert woken.wait(PATIENCE)
    assert asked.finish(0.0)
    assert asked.take() == 7


def test_what_asking_raises_is_raised_where_the_answer_is_taken() -> None:
    asked: Background[int] = Background()
    asked.begin("test", lambda: 1 // 0, never)
    assert asked.finish(PATIENCE)
    with pytest.raises(ZeroDivisionError):
        asked.take()
    asked.begin("test", lambda: 8, never)
    assert asked.finish(PATIENCE)
    assert asked.take() == 8
