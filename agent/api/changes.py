"""What happened between two snapshots or two readings, as events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.api import objects, schema
from agent.model import Style, Verdict, is_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.exposition import Reading
    from agent.model import Container, Snapshot

_PIECES = 5
"""Most pieces of evidence that an event has."""


def changes(before: Snapshot, after: Snapshot, now: float) -> Iterator[schema.Event]:
    """Return what happened to containers; ``now`` is when that was seen."""
    if before.containers is after.containers:
        return
    for key, container in after.containers.items():
        old = before.containers.get(key)
        if old is not container:
            yield from _of_one(old, container, now)
    for key, old in before.containers.items():
        if key not in after.containers and not old.gone:
            if is_running(old):
                yield _event("stopped", old, now)
            yield _event("removed", old, now)


def oom_kills(last: Reading, before: Reading) -> Iterator[tuple[Container, int]]:
    """Return the containers in which something was killed for lack of memory, and how many are."""
    from collectors.kernel.counters import Scalar  # noqa: PLC0415 - only while somebody watches

    for key, (container, counters) in last.containers.items():
        earlier = before.containers.get(key)
        if earlier is None:
            continue
        then, now = (int(each.scalars[Scalar.OOM_KILLS] or 0) for each in (earlier[1], counters))
        if now > then:
            yield container, now


def oom_event(container: Container, kills: int | None, now: float) -> schema.Event:
    """Return the event of a process that was killed for lack of memory."""
    return _event("oom", container, now, oom_kills=kills)


def reset_event(now: float) -> schema.Event:
    """Return the event that tells a client to ask for everything anew."""
    return schema.Event(
        type="reset",
        at=now,
        id="",
        name="",
        engine="",
        parent_id="",
        state="",
        style="",
        previous_style=None,
        evidence=(),
        finding=None,
        exit_code=None,
        oom_kills=None,
    )


def _of_one(old: Container | None, new: Container, now: float) -> Iterator[schema.Event]:
    if old is None:
        if not new.gone:
            yield _event("created", new, now)
            if is_running(new):
                yield _event("started", new, now)
            yield from (_event("finding", new, now, finding=f) for f in _summaries(new).values())
        return
    events = list(_life(old, new, now))
    if not new.gone:
        events += _turn(old, new, now)
        # All of a container is another after a start: that goes without saying.
        if not events and _shown(old) != _shown(new):
            events.append(_event("changed", new, now))
        events += _findings(old, new, now)
    yield from events


def _life(old: Container, new: Container, now: float) -> Iterator[schema.Event]:
    ran, runs = is_running(old), is_running(new)
    between = not ran and not runs and None not in (new.started, new.finished)
    if between and new.started != old.started:
        # A whole life between two looks.
        yield _event("started", new, now)
        yield _event("stopped", new, now, exit_code=new.exit_code)
    another = old.init is not None and new.init is not None and old.init != new.init
    if ran and (not runs or another):
        yield _event("stopped", new, now, exit_code=new.exit_code)
    if runs and (not ran or another):
        yield _event("started", new, now)
    if new.gone and not old.gone:
        yield _event("removed", new, now)


def _turn(old: Container, new: Container, now: float) -> Iterator[schema.Event]:
    if Style.UNKNOWN is not old.verdict.style is not new.verdict.style:
        yield _event(
            "turned",
            new,
            now,
            previous_style=old.verdict.style.value,
            evidence=_moved(old.verdict, new.verdict),
        )


def _findings(old: Container, new: Container, now: float) -> Iterator[schema.Event]:
    before, after = _summaries(old), _summaries(new)
    for name in after.keys() - before.keys():
        yield _event("finding", new, now, finding=after[name])
    for name in before.keys() - after.keys():
        yield _event("finding_gone", new, now, finding=before[name])


def _shown(container: Container) -> Container:
    """Return a container without what has an event of its own, or moves all the time."""
    return replace(
        container,
        init=None,
        started=None,
        verdict=Verdict(style=container.verdict.style),
        style_changes=0,
        findings=(),
        processes=None,
        filesystem=None,
        writable_layer_bytes=None,
        log_bytes=None,
        last_seen=None,
        openvz=None,
        oom_events=None,
    )


def _moved(old: Verdict, new: Verdict) -> tuple[schema.Evidence, ...]:
    """Return the evidence that turned a verdict: what weighs more on its side than before."""
    weights = {piece.rule: piece.weight for piece in old.evidence}
    sign = {Style.SYSTEM: 1, Style.APP: -1}.get(new.style, 0)
    moved = [
        (abs(change), piece)
        for piece in new.evidence
        if (change := piece.weight - weights.get(piece.rule, 0.0)) and change * sign >= 0
    ]
    moved.sort(key=lambda each: -each[0])
    return tuple(objects.evidence(piece) for _, piece in moved[:_PIECES])


def _summaries(container: Container) -> dict[str, schema.FindingSummary]:
    return {finding.name: objects.summary(finding) for finding in container.findings}


def _event(
    kind: str,
    container: Container,
    now: float,
    *,
    previous_style: str | None = None,
    evidence: tuple[schema.Evidence, ...] = (),
    finding: schema.FindingSummary | None = None,
    exit_code: int | None = None,
    oom_kills: int | None = None,
) -> schema.Event:
    return schema.Event(
        type=kind,
        at=now,
        id=container.id,
        name=container.name,
        engine=container.engine,
        parent_id=container.parent_id,
        state=container.state.value,
        style=container.verdict.style.value,
        previous_style=previous_style,
        evidence=evidence,
        finding=finding,
        exit_code=exit_code,
        oom_kills=oom_kills,
    )
