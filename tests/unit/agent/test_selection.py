from __future__ import annotations

from dataclasses import replace

import pytest

from agent.selection import Selection
from tests.support.snapshots import BAD, EVIL, GONE, INNER, LEGACY, WEB, picture


def names(selection: Selection) -> list[str]:
    return [container.name for _, container in selection.containers(picture())]


def test_children_stand_under_their_parent() -> None:
    found = [(depth, c.name) for depth, c in Selection().containers(picture())]
    assert found == [(0, "legacy"), (1, "inner"), (0, "web"), (0, EVIL)]


def test_containers_that_are_their_own_parents_are_listed() -> None:
    one, other = replace(WEB, parent_id=LEGACY.id), replace(LEGACY, parent_id=WEB.id)
    alone = replace(BAD, parent_id=BAD.id)
    found = Selection().containers(picture(one, other, alone))
    assert sorted(c.id for _, c in found) == sorted([WEB.id, LEGACY.id, BAD.id])


def test_a_lost_parent_does_not_hide_its_child() -> None:
    assert len(Selection().containers(picture(INNER))) == 1


def test_removed_containers_are_not_listed() -> None:
    assert GONE.name not in names(Selection())
    assert GONE.name in names(Selection(gone=True))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(engines=frozenset({"lxc"})), [EVIL]),
        (Selection(styles=frozenset({"system"})), ["legacy"]),
        (Selection(styles=frozenset({"unknown"})), ["inner"]),
        (Selection(findings=frozenset()), ["legacy", EVIL]),
        (Selection(findings=frozenset({"no_limits"})), ["legacy"]),
        (Selection(findings=frozenset({"advice"})), ["legacy"]),
        (Selection(findings=frozenset({"information"})), []),
        (Selection(findings=frozenset({"privileged"})), []),
    ],
)
def test_filters(selection: Selection, expected: list[str]) -> None:
    assert names(selection) == expected


@pytest.mark.parametrize(
    ("selection", "number"),
    [
        (Selection(), 0),
        (Selection(everything=True), 1),
        (Selection(styles=frozenset({"none"})), 1),
        (Selection(everything=True, styles=frozenset({"app"})), 0),
        (Selection(everything=True, engines=frozenset({"docker"})), 0),
        (Selection(everything=True, findings=frozenset()), 0),
    ],
)
def test_what_is_not_a_container(selection: Selection, number: int) -> None:
    assert len(selection.look_alikes(picture())) == number
