from __future__ import annotations

from agent.model import Style
from agent.patterns import Override, Pattern
from tests.support.snapshots import LEGACY, WEB


def test_all_that_a_pattern_names_must_fit() -> None:
    pattern = Pattern(engine="docker", name="web", image="nginx:*")
    assert pattern.matches(WEB)
    assert not pattern.matches(LEGACY)


def test_labels_of_a_pattern_must_be_there() -> None:
    pattern = Pattern(labels={"team": "a*"})
    assert not pattern.matches(WEB)
    for value, expected in (("abc", True), ("xyz", False)):
        assert pattern.matches(_Labelled(value)) is expected


class _Labelled:
    engine = name = image = ""

    def __init__(self, team: str) -> None:
        self.labels = {"team": team}


def test_an_empty_pattern_matches_everything() -> None:
    assert Pattern().matches(WEB)


def test_an_override_describes_itself_in_one_line() -> None:
    rule = Override(style=Style.APP, engine="docker", name="web*", labels={"b": "2", "a": "*"})
    assert rule.describe() == "engine=docker name=web* label a=* label b=2"
    assert Override(style=Style.APP).describe() == "every container"
