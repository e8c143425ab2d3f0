"""Hysteresis: which verdict stands for a container over time.

A container is judged again whenever something in it changed. A system that boots looks like a shell
for a second, and an application that is being deployed goes through several states: a change of
style is therefore delayed until it has held. It is only delayed: a style that holds is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.model import Style, Verdict

if TYPE_CHECKING:
    from agent.model import Evidence

YOUNG = 60.0
"""Seconds after its start in which a container may change its style at once, uncounted."""
HOLD = 30.0
"""Seconds that another style must hold before it is taken."""
PASSES = 2
"""Passes, at least, in which it must have been seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldVerdict:
    """The verdict that stands for a container, and what may replace it."""

    verdict: Verdict = Verdict()
    grown: bool = False
    """It has had a verdict when it was no longer young."""
    changes: int = 0
    """How often the style has changed since then, between app and system."""
    turned_by: tuple[Evidence, ...] = ()
    """The evidence that changed it in this pass; empty when it did not change."""
    candidate: Style | None = None
    """Another style, which is waiting until it has held long enough."""
    since: float = 0.0
    """When the candidate was first seen."""
    passes: int = 0
    """How often in succession it was seen."""


def hold(
    before: HeldVerdict | None, new: Verdict, *, now: float, started: float | None = None
) -> HeldVerdict:
    """Return the verdict that stands after a new one. Pure: the caller keeps the result.

    ``now`` and ``started``, when the first process started, are in seconds since the epoch.
    """
    # A start further in the future means that a clock was set, not that the container is new.
    young = started is not None and -YOUNG < now - started < YOUNG
    seen = new.services is not None
    if (
        before is None
        or before.verdict.style is Style.UNKNOWN
        or (before.verdict.services is None and seen)
    ):
        return HeldVerdict(
            verdict=new,
            grown=not young and new.style is not Style.UNKNOWN,
            changes=before.changes if before else 0,
        )
    if not seen and before.verdict.services is not None and not new.override:
        # It stopped, or can no longer be seen: the verdict from when it was seen stands.
        return replace(before, turned_by=(), candidate=None, passes=0)
    if new.style is before.verdict.style:
        grown = before.grown or not young
        return HeldVerdict(verdict=new, grown=grown, changes=before.changes)
    if not before.grown or new.override or before.verdict.override:
        return HeldVerdict(verdict=new, grown=not young, changes=before.changes)
    same = before.candidate is new.style
    since, passes = (before.since, before.passes + 1) if same else (now, 1)
    if passes >= PASSES and now - since >= HOLD:
        return HeldVerdict(
            verdict=new,
            grown=True,
            changes=before.changes + (new.style is not Style.UNKNOWN),
            turned_by=_evidence_of_change(before.verdict, new),
        )
    return replace(before, turned_by=(), candidate=new.style, since=since, passes=passes)


def _evidence_of_change(old: Verdict, new: Verdict) -> tuple[Evidence, ...]:
    """Return the evidence for a change of style, the heaviest first."""
    old_weights = {e.rule: e.weight for e in old.evidence}
    sign = 1 if new.style is Style.SYSTEM else -1
    moved = [e for e in new.evidence if (e.weight - old_weights.get(e.rule, 0.0)) * sign > 0]
    return tuple(
        sorted(moved, key=lambda e: (-abs(e.weight - old_weights.get(e.rule, 0.0)), e.rule))
    )
