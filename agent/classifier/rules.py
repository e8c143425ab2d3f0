"""What a rule is, and how to write one: a function that detects something, with its row above it.

The weights are natural logarithms of odds, as in naive Bayes: +0.7 doubles the odds that it is a
small server, -0.7 halves them. They add up to a sum whose hyperbolic tangent is the score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.model import Axis, Evidence

if TYPE_CHECKING:
    from agent.classifier.scene import Scene


@dataclass(frozen=True, slots=True)
class Hit:
    """How strongly a rule applies to one container, with the details for its sentence."""

    values: Mapping[str, object] = field(default_factory=dict)
    """What the placeholders of the rule's sentence stand for."""
    strength: float = 1.0
    """0 to 1: how much of the rule's weight applies."""
    source: str = ""


Detector = Callable[["Scene"], Hit | None]
"""Returns how a rule applies to a scene; None where it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way in which a container can look like an application or like a small server."""

    name: str
    """Stable: ``init.service_manager``."""
    axis: Axis
    weight: float
    """At full strength; positive speaks for system."""
    when: str
    """When it applies, for the documentation."""
    sentence: str
    """What it says about a container, with placeholders for the values of a ``Hit``."""
    detect: Detector
    cheap: bool = False
    """It is cheap to forge from inside the container, or by a name or label: never decisive."""


class RuleSet:
    """The rules of one axis, in the order in which its module writes them."""

    def __init__(self, axis: Axis) -> None:
        self.axis = axis
        self._rules: list[Rule] = []

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def rule(
        self, name: str, weight: float, *, when: str, sentence: str, cheap: bool = False
    ) -> Callable[[Detector], Detector]:
        """Make the decorated function the detector of a new rule."""

        def register(detect: Detector) -> Detector:
            self._rules.append(
                Rule(
                    name=name,
                    axis=self.axis,
                    weight=weight,
                    when=when,
                    sentence=sentence,
                    detect=detect,
                    cheap=cheap,
                )
            )
            return detect

        return register


def apply(rule: Rule, scene: Scene) -> Evidence | None:
    """Return the evidence that a rule gives on a container; None where it does not apply."""
    hit = rule.detect(scene)
    if hit is None or hit.strength <= 0:
        return None
    return Evidence(
        axis=rule.axis,
        rule=rule.name,
        weight=round(rule.weight * min(hit.strength, 1.0), 3),
        sentence=rule.sentence.format_map(hit.values),
        source=hit.source,
    )
