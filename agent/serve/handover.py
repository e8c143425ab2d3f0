"""What one scout knew and the next cannot see: what was removed, and earlier verdicts.

A scout is replaced when the configuration is read again, and when it hung or was killed. Serve
still has what it sent, and adds that to what the next one sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.config.sections import Containers
from agent.model import as_gone, as_last_judged

if TYPE_CHECKING:
    from agent.model import Container, Snapshot
    from agent.wire import Update


class Handover:
    """Edits the updates of a scout, so that they continue those of the scouts before it."""

    def __init__(self, containers: Callable[[], Containers] = Containers) -> None:
        """Begin with nothing; ``containers`` returns that section of the current configuration."""
        self._containers = containers
        self._turned: dict[str, int] = {}
        self._carried: dict[str, Container] = {}

    def edit(self, before: Snapshot, update: Update) -> Update:
        """Return the update to apply to the snapshot ``before``."""
        shown = before.containers
        changed = tuple(_as_judged_before(c, shown.get(c.id), before.as_of) for c in update.changed)
        update = replace(update, changed=changed)
        if update.fresh:
            self._begin(before, update)
        if self._turned:
            for key in update.removed:
                self._turned.pop(key, None)
            update = replace(update, changed=tuple(map(self._with_turns, update.changed)))
        if self._carried:
            update = self._with_carried(update)
        return update

    def _begin(self, before: Snapshot, update: Update) -> None:
        shown = before.containers.values()
        self._turned = {
            c.id: c.style_changes
            for c in shown
            if c.style_changes and not c.gone and c.id in update.everyone
        }
        alive = {c.init for c in update.changed if c.init is not None}
        ended = [
            c
            for c in (_ended(c, before.as_of) for c in shown if c.init not in alive)
            if c.gone and c.id not in update.everyone and self._containers().admits(c)
        ]
        ended.sort(key=lambda c: -(c.last_seen or 0.0))
        self._carried = {c.id: c for c in ended[: self._containers().max_retained]}

    def _with_turns(self, container: Container) -> Container:
        turned = self._turned.get(container.id, 0)
        return replace(container, style_changes=container.style_changes + turned)

    def _with_carried(self, update: Update) -> Update:
        _forget(self._carried, (c.id for c in update.changed))
        retention = self._containers().retention
        expired = [
            c.id
            for c in self._carried.values()
            if not 0 <= update.as_of - (c.last_seen or 0.0) <= retention
        ]
        _forget(self._carried, expired)
        if update.fresh:
            return replace(
                update,
                changed=(*update.changed, *self._carried.values()),
                everyone=update.everyone | self._carried.keys(),
            )
        return replace(update, removed=(*update.removed, *expired)) if expired else update


def _as_judged_before(container: Container, before: Container | None, when: float) -> Container:
    """Return one that stopped with the verdict that it had, if the new scout has not seen it run.

    ``when`` is the time of ``before``. A verdict by the configuration is always by the current one.
    """
    if before is None or before.gone or container.gone or container.init is not None:
        return container
    is_seen = container.verdict.services is not None or before.verdict.services is None
    is_set = container.verdict.override or before.verdict.override
    if is_seen or is_set or container.created not in (None, before.created):
        return container
    return replace(
        as_last_judged(container, before),
        last_seen=container.last_seen or before.last_seen or (when if before.init else None),
    )


def _ended(container: Container, when: float) -> Container:
    """Return one that ran, and does not any more, as gone; any other as it is."""
    if container.gone or container.init is None:
        return container
    return as_gone(container, when)


def _forget(kept: dict[str, Container], keys: Iterable[str]) -> None:
    for key in keys:
        kept.pop(key, None)
