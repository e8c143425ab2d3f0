"""What a rule is: a function with its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.classifier import read_scene
from agent.classifier.rules import Hit, RuleSet, apply
from agent.model import Axis
from tests.support.subjects import NGINX, subject

if TYPE_CHECKING:
    from agent.classifier.scene import Scene


@pytest.mark.parametrize(
    ("hit", "weight"),
    [(Hit(), 2.0), (Hit(strength=0.25), 0.5), (Hit(strength=7.0), 2.0), (Hit(strength=0), None)],
)
def test_a_hit_weighs_by_its_strength_and_never_more_than_its_rule(
    hit: Hit, weight: float | None
) -> None:
    rules = RuleSet(Axis.USERS)

    @rules.rule("users.test", 2.0, when="Always.", sentence="it is a test")
    def detect(_: Scene) -> Hit:
        return hit

    (rule,) = rules
    evidence = apply(rule, read_scene(subject(NGINX)))
    assert (evidence.weight if evidence else None) == weight


def test_rules_keep_the_order_in_which_they_are_written() -> None:
    rules = RuleSet(Axis.USERS)
    for name in ("users.b", "users.a"):
        rules.rule(name, 1.0, when="", sentence="")(lambda _: None)
    assert [rule.name for rule in rules] == ["users.b", "users.a"]
