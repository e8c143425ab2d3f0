from __future__ import annotations

import pytest

from agent.config.keys import BOOLEAN, Key, Reader, choice, count, duration, show_default, unknown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("2d", 172800), ("250ms", 0.25), ("1m1ms", 60.001)],
)
def test_times(text: str, seconds: float) -> None:
    assert duration(0).check(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "90", "s", "1m1h", "-1s", "1.5s", "1 s"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="time with its unit"):
        duration(0).check(text)


def test_a_time_has_a_least_value() -> None:
    with pytest.raises(ValueError, match='at least "1s"'):
        duration(1).check("999ms")


@pytest.mark.parametrize("value", [True, -1, "3", 1.5])
def test_what_is_not_a_count(value: object) -> None:
    with pytest.raises(ValueError, match="whole number, at least 0"):
        count().check(value)


def test_a_choice_names_its_words() -> None:
    assert choice("a", "b").check("b") == "b"
    with pytest.raises(ValueError, match='must be "a" or "b"'):
        choice("a", "b").check("c")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "on"), (False, "off"), (90.0, "90s"), (8, "8"), ("x", "x"), ((), ""), ({}, "")],
)
def test_defaults_as_the_help_shows_them(value: object, shown: str) -> None:
    assert show_default(value) == shown


def test_a_similar_name_is_suggested_and_else_all_are_listed() -> None:
    assert unknown("dokcer", ("docker", "lxc"), "key") == 'unknown key; did you mean "docker"?'
    assert unknown("zzz", ("docker", "lxc"), "key") == "unknown key; there are: docker, lxc"


def test_a_wrong_value_is_a_problem_and_no_value() -> None:
    reader = Reader("file")
    assert reader.value(Key(BOOLEAN, ""), "no", "log.x") is None
    assert reader.problems == ['file: log.x: must be true or false, not "no"']
