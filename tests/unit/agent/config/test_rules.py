from __future__ import annotations

import pytest

from agent.config.rules import LABELS, MATCHES, Match, StyleRule


def test_a_match_must_restrict_something() -> None:
    assert not Match().names_something
    assert not StyleRule(style="app").names_something
    for match in (Match(engine="x"), Match(name="x"), Match(image="x"), Match(labels={"a": "*"})):
        assert match.names_something


def test_matches_of_the_file() -> None:
    entries = [{"engine": "docker"}, {"labels": {"team": "a*"}}]
    assert MATCHES.check(entries) == (Match(engine="docker"), Match(labels={"team": "a*"}))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("x", "must be a list of patterns"),
        ([{}], "must name engine, name, image or labels"),
        ([{"nme": "x"}], 'pattern.nme: unknown key; did you mean "name"'),
        (["x"], r"must be a table \[pattern\]"),
    ],
)
def test_what_is_not_a_list_of_matches(value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        MATCHES.check(value)


def test_labels_are_patterns() -> None:
    assert LABELS.check({"a": "b*"}) == {"a": "b*"}
    for wrong in ("x", {"a": 1}):
        with pytest.raises(ValueError, match="must be a table of patterns"):
            LABELS.check(wrong)
