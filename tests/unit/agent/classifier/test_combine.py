"""How evidence adds up."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from agent.classifier.combine import combine
from agent.model import Axis, Evidence, Style

_WEIGHTS = st.floats(-5, 5).map(lambda w: round(w, 2))


_EVIDENCE = st.builds(
    Evidence,
    axis=st.sampled_from(list(Axis)),
    rule=st.sampled_from(["hard.a", "hard.b", "cheap.a", "cheap.b"]),
    weight=_WEIGHTS,
    sentence=st.just(""),
    source=st.just(""),
)


_CHEAP = frozenset({"cheap.a", "cheap.b"})


@given(st.lists(_EVIDENCE, max_size=8), _EVIDENCE, st.booleans())
def test_evidence_never_moves_the_score_against_its_sign(
    pieces: list[Evidence], piece: Evidence, seen: bool
) -> None:
    before = combine(pieces, _CHEAP, seen=seen)
    after = combine([*pieces, piece], _CHEAP, seen=seen)
    assert (after.score - before.score) * math.copysign(1, piece.weight) >= -1e-4
    axis_before = before.axes.get(piece.axis, 0.0)
    assert (after.axes[piece.axis] - axis_before) * math.copysign(1, piece.weight) >= -1e-4


@given(st.lists(_EVIDENCE, max_size=8), st.booleans(), st.randoms(use_true_random=False))
def test_evidence_adds_up_in_any_order(
    pieces: list[Evidence], seen: bool, chance: random.Random
) -> None:
    shuffled = list(pieces)
    chance.shuffle(shuffled)
    assert combine(shuffled, _CHEAP, seen=seen) == combine(pieces, _CHEAP, seen=seen)


@given(st.lists(_EVIDENCE, min_size=1, max_size=8))
def test_what_is_cheap_to_forge_never_turns_what_is_hard_to_forge(pieces: list[Evidence]) -> None:
    hard = [e for e in pieces if e.rule not in _CHEAP]
    alone = combine(hard, _CHEAP, seen=True)
    together = combine(pieces, _CHEAP, seen=True)
    assert alone.score * together.score >= 0
    if not hard:
        assert together.style is Style.UNKNOWN


@given(st.lists(_EVIDENCE, max_size=8), st.floats(0, 1), st.floats(0, 1))
def test_seeing_less_is_being_less_sure(pieces: list[Evidence], one: float, two: float) -> None:
    less, more = sorted((one, two))
    blind = combine(pieces, _CHEAP, seen=True, visible=less)
    sighted = combine(pieces, _CHEAP, seen=True, visible=more)
    assert blind.confidence <= sighted.confidence
    assert blind.score == sighted.score
