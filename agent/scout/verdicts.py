"""Judges containers, and remembers which verdict stands for each, and which one may replace it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.classifier import (
    HeldVerdict,
    classify,
    findings,
    hold,
    is_mismatch,
    read_scene,
)

if TYPE_CHECKING:
    from agent.classifier.scene import Scene
    from agent.model import Container, Subject
    from agent.patterns import Override

log = logging.getLogger(__name__)


class Verdicts:
    """The verdict on every container, by id. Reads nothing but the subjects that it is given."""

    def __init__(self, overrides: Sequence[Override] = ()) -> None:
        self._overrides = tuple(overrides)
        self._held: dict[str, HeldVerdict] = {}
        self.scene: Scene | None = None
        """Of the container that was judged last."""

    def judge(self, subject: Subject) -> Container:
        """Return the container of a subject with the verdict that stands, and its findings."""
        container = subject.container
        self.scene = scene = read_scene(subject)
        held = hold(
            self._held.get(container.id),
            classify(scene, self._overrides),
            now=subject.now,
            started=container.started,
        )
        self._held[container.id] = held
        if held.turned_by:
            log.info(
                "%s (%s) turned to %s-style: %s",
                container.name,
                container.id,
                held.verdict.style,
                "; ".join(e.sentence for e in held.turned_by[:3]),
            )
        return replace(
            container,
            verdict=held.verdict,
            style_changes=held.changes,
            mismatch=is_mismatch(held.verdict, container.expected_style),
            findings=findings(scene, held.verdict),
        )

    def is_turning(self, key: str) -> bool:
        """Return whether another style has been seen of a container, but not for long enough."""
        held = self._held.get(key)
        return held is not None and held.candidate is not None

    def turning(self) -> set[str]:
        """Return the ids of the containers that must be judged again to see if they turn."""
        return {key for key, held in self._held.items() if held.candidate is not None}

    def shift(self, seconds: float) -> None:
        """Move all times along with a clock that was set by so many seconds."""
        self._held = {k: replace(s, since=s.since + seconds) for k, s in self._held.items()}

    def retain(self, ids: Collection[str]) -> None:
        """Forget all containers but these."""
        self._held = {k: s for k, s in self._held.items() if k in ids}
