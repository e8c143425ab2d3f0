"""From scene to verdict: apply every rule, add the evidence up, apply the operator's rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.classifier.combine import DISPUTABLE, Combined, combine
from agent.classifier.convention import expected_style
from agent.classifier.readings import is_disputable, two_readings
from agent.classifier.rules import apply
from agent.classifier.scene import InitKind
from agent.classifier.table import CHEAP, RULES
from agent.model import Axis, Evidence, Style, Verdict
from collectors.facts import ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.classifier.scene import Scene
    from agent.patterns import Override

SURE = 0.5
"""Confidence from which a verdict that differs from the expected style is a mismatch."""


def classify(scene: Scene, overrides: Iterable[Override] = ()) -> Verdict:
    """Judge one container. Pure, total, and independent of the order of its processes."""
    evidence = _evidence(scene)
    unseen, _ = _visibility(scene)
    combined = weigh(scene, evidence, DISPUTABLE if is_disputable(scene) else 1.0)
    question = two_readings(scene)
    if question:
        combined = replace(combined, style=Style.UNKNOWN, confidence=0.0)
        unseen = (*unseen, question)
    verdict = Verdict(
        style=combined.style,
        score=combined.score,
        confidence=combined.confidence,
        axes=combined.axes,
        evidence=tuple(sorted(evidence, key=lambda e: (-abs(e.weight), e.rule))),
        unseen=unseen,
        services=scene.services if scene.seen else None,
        users=len(scene.users) if scene.seen else None,
        sessions=len(scene.sessions) if scene.seen else None,
    )
    if scene.init_kind is InitKind.RUNTIME:
        verdict = Verdict(
            unseen=(
                *unseen,
                "it is still starting: the container runtime has not yet started its program",
            )
        )
    elif scene.init_kind is InitKind.BARE and not _is_booted_by_its_engine(scene):
        verdict = Verdict(unseen=unseen)
    for override in overrides:
        if override.matches(scene.subject.container):
            return _overridden(verdict, override)
    return verdict


def weigh(
    scene: Scene, evidence: Iterable[Evidence] | None = None, at_most: float = 1.0
) -> Combined:
    """Return what the evidence alone adds up to, without what else holds a verdict back."""
    pieces = _evidence(scene) if evidence is None else evidence
    _, visible = _visibility(scene)
    # An init that has started nothing says no more than the engine says by itself.
    seen = scene.seen and scene.init_kind is not InitKind.BARE
    return combine(pieces, CHEAP, seen=seen, visible=visible, at_most=at_most)


def is_mismatch(verdict: Verdict, expected: Style) -> bool:
    """Return whether a verdict is sure and differs from the expected style."""
    decided = Style.UNKNOWN not in (verdict.style, expected)
    return decided and verdict.style is not expected and verdict.confidence >= SURE


def _evidence(scene: Scene) -> list[Evidence]:
    return [piece for rule in RULES if (piece := apply(rule, scene)) is not None]


def _is_booted_by_its_engine(scene: Scene) -> bool:
    """Return whether its engine boots whole systems: then the prior is taken for a verdict."""
    container = scene.subject.container
    return expected_style(container.engine, container.boots) is Style.SYSTEM


def _overridden(verdict: Verdict, override: Override) -> Verdict:
    rule = override.describe()
    evidence = Evidence(
        axis=Axis.PROVENANCE,
        rule="override",
        weight=0.0,
        sentence=f"a rule of the configuration ({rule}) sets its style to {override.style}",
        source="configuration",
    )
    score = {Style.SYSTEM: 1.0, Style.APP: -1.0, Style.UNKNOWN: 0.0}[override.style]
    return Verdict(
        style=override.style,
        score=score,
        confidence=1.0,
        axes=verdict.axes,
        evidence=(evidence, *verdict.evidence),
        unseen=verdict.unseen,
        override=rule,
        services=verdict.services,
        users=verdict.users,
        sessions=verdict.sessions,
    )


def _visibility(scene: Scene) -> tuple[tuple[str, ...], float]:
    """Return what could not be seen, and the share of what matters that could."""
    subject = scene.subject
    unseen = []
    if not scene.seen:
        if subject.container.state in ALIVE:
            unseen.append("none of its processes could be seen")
        else:
            unseen.append(
                f"it is not running ({subject.container.state}): its processes were not seen"
            )
        return tuple(unseen), 1.0
    if scene.init_kind is InitKind.BARE:
        unseen.append("its init has started nothing yet")
    alive = [p for p in subject.processes if p.state not in ("Z", "X")]
    own = [p for p in alive if p.pid not in subject.entered_from_outside]
    hidden = sum(p.exe is None for p in own)
    if hidden:
        unseen.append(f"the binaries of {hidden} of {len(own)} processes could not be read")
    if subject.root is None:
        unseen.append("its root filesystem was not read")
    if subject.network is None and subject.container.network != "host":
        unseen.append("its network was not read")
    visible = 1.0 - 0.5 * hidden / len(own) if own else 1.0
    return tuple(unseen), visible
