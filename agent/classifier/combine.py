"""How evidence becomes a verdict: a sum, its sign, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.model import Axis, Style

if TYPE_CHECKING:
    from agent.model import Evidence

CHEAP_CAP = 0.9
"""The most that all evidence that is cheap to forge may add to the sum."""
CHEAP_SHARE = 0.5
"""And at most this share of what the other evidence adds up to: it never decides a verdict."""
PRIOR_CONFIDENCE = 0.35
"""The most confidence where no process was seen and there is only a prior."""
DISPUTABLE = 0.45
"""The most confidence where the definition leaves room for another reading."""
UNDECIDED = 0.05
"""Below this absolute score there is no verdict."""


@dataclass(frozen=True, slots=True)
class Combined:
    """Style, score and confidence of a body of evidence."""

    style: Style
    score: float
    confidence: float
    axes: Mapping[Axis, float]


def combine(
    evidence: Iterable[Evidence],
    cheap: Collection[str],
    *,
    seen: bool,
    visible: float = 1.0,
    at_most: float = 1.0,
) -> Combined:
    """Add evidence up. Pure, and independent of the order of the evidence.

    ``cheap`` names the rules whose evidence is cheap to forge, ``seen`` is whether processes were
    seen, ``visible`` the share of what matters that could be read, and ``at_most`` the most
    confidence that there may be. The sum grows with every weight, so that no piece of evidence ever
    moves the score against its sign.
    """
    pieces = list(evidence)
    hard_to_forge = math.fsum(e.weight for e in pieces if e.rule not in cheap)
    cheap_sum = math.fsum(e.weight for e in pieces if e.rule in cheap)
    bound = min(CHEAP_CAP, CHEAP_SHARE * abs(hard_to_forge))
    total = hard_to_forge + max(-bound, min(bound, cheap_sum))
    score = math.tanh(total / 2)
    style = Style.UNKNOWN
    if abs(score) >= UNDECIDED:
        style = Style.SYSTEM if score > 0 else Style.APP
    mass = math.fsum(abs(e.weight) for e in pieces)
    agreement = (1 + min(1.0, abs(total) / mass)) / 2 if mass else 0.0
    confidence = min(at_most, abs(score) * agreement * max(0.0, min(1.0, visible)))
    if not seen:
        confidence = min(confidence, PRIOR_CONFIDENCE)
    return Combined(style, _round(score), _round(confidence), _axes(pieces))


def _axes(pieces: list[Evidence]) -> dict[Axis, float]:
    return {
        axis: _round(math.tanh(math.fsum(e.weight for e in pieces if e.axis is axis) / 2))
        for axis in Axis
        if any(e.axis is axis for e in pieces)
    }


def _round(value: float) -> float:
    return round(value, 4) + 0.0
