"""The table of all rules."""

from __future__ import annotations

from itertools import groupby

from agent.classifier import RULES
from agent.classifier.table import CHEAP
from agent.model import Axis


def test_every_rule_has_a_name_of_its_axis_a_weight_and_an_explanation() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.name.startswith(f"{rule.axis}."), rule.name
        assert rule.weight, rule.name
        assert rule.when.endswith("."), rule.name


def test_the_rules_of_an_axis_stand_together_in_the_order_of_the_axes() -> None:
    assert [axis for axis, _ in groupby(rule.axis for rule in RULES)] == list(Axis)


def test_what_processes_do_is_not_cheap_to_forge() -> None:
    axes = {rule.axis for rule in RULES if rule.name in CHEAP}
    assert not axes & {Axis.INIT, Axis.SERVICES, Axis.NETWORK, Axis.LIFECYCLE}
