"""Counts the automatic restarts of one container, also past the engine's own counting anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model import Container


class Restarts:
    """The automatic restarts of one container since it was made, as far as its engine has told.

    Docker sets its count to zero when a person starts the container (moby's
    ``ResetRestartManager``). What is read from disk may be older than what the API told before.
    """

    __slots__ = ("_earlier", "_last", "_life")

    def __init__(self, container: Container) -> None:
        self._earlier = 0
        self._last = container.restarts
        self._life = _life(container)

    @property
    def total(self) -> int | None:
        """All of them; None where no engine counts."""
        return None if self._last is None else self._earlier + self._last

    def follow(self, container: Container) -> None:
        """Take in what the inventory knows now."""
        count, life = container.restarts, _life(container)
        if count is None:
            return  # the engine does not answer
        if count == 0 and self._last and life != self._life:
            self._earlier, self._last = self._earlier + self._last, 0
        self._last, self._life = max(count, self._last or 0), life


def _life(container: Container) -> object:
    return container.started, container.init
