"""The objects of ``--json``: those of the API, as agent/api/schema.py declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.api import objects
from agent.api.encode import plain

if TYPE_CHECKING:
    from agent.model import Container, Snapshot
    from agent.selection import Selection


def listed(snapshot: Snapshot, selection: Selection) -> list[dict[str, Any]]:
    """Return the objects of ``ls --json``."""
    found = (
        *objects.listed(snapshot, selection),
        *map(objects.look_alike, selection.look_alikes(snapshot)),
    )
    return [plain(each) for each in found]


def explained(container: Container, snapshot: Snapshot) -> dict[str, Any]:
    """Return the object of ``explain --json``: that of ``ls --json``, and the reasons."""
    found: dict[str, Any] = plain(objects.explained(container, snapshot))
    return found
