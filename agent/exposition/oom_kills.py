"""Counts the OOM kills of one container over its restarts.

The kernel counts in the container's cgroup, which goes when the container ends, and with it the
last kill, often before it was read. So what the engine tells is added: its events, and whether a
container that has ended was killed. The sources tell of the same kills: in each life the highest
counts.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from collectors.facts import State

if TYPE_CHECKING:
    from agent.model import Container
    from collectors.facts import ProcessId

_Account = tuple[int | None, float | None]
"""How often the engine has restarted a container, and when it was started last."""

_lock = threading.Lock()
"""A scrape and an update may come at the same time."""


class OomKills:
    """The kills of one container: in the lives that are over, in one that has just ended, now."""

    __slots__ = ("_account", "_earlier", "_ended", "_events", "_init", "_kernel", "_last", "_told")

    def __init__(self, container: Container) -> None:
        self._init = container.init
        self._account: _Account | None = None
        """What the engine told of the life that is under way or ended last."""
        self._ended = container.init is None
        """A life is over, and the engine has not told yet how it ended."""
        self._earlier = 0
        self._last = 0
        """Kills by the kernel's count in the life that ended last."""
        self._kernel = 0
        """The same in this life."""
        self._told = 0
        """Kills by the engine's events since the engine told of an end."""
        self._events = 0
        self.follow(container)

    @property
    def total(self) -> int:
        """All kills until now."""
        if self._ended:
            # What was told may be of either life.
            return self._earlier + max(self._last + self._kernel, self._told)
        return self._earlier + max(self._kernel, self._told)

    def follow(self, container: Container) -> None:
        """Take in what the inventory knows now."""
        with _lock:
            events = container.oom_events
            if events is not None:
                # A new connection counts them from zero again.
                self._told += events - self._events if events >= self._events else events
                self._events = events
            account = (container.restarts, container.started)
            if self._init not in (None, container.init):
                if self._ended:
                    self._settle(killed=False)
                self._ended, self._last, self._kernel = True, self._kernel, 0
            self._init = container.init
            if not self._ended:
                self._take_account(container, account)
            elif container.exit_code is not None or account != self._account:
                self._settle(killed=bool(container.oom_killed))
                self._account = account

    def _take_account(self, container: Container, account: _Account) -> None:
        """Take what the engine tells of the life that is under way, or of one that nobody saw."""
        has_ended = container.exit_code is not None or container.state is State.RESTARTING
        if container.init is not None or self._account is None:
            self._account = account
        elif has_ended and account[1] != self._account[1]:
            self._account = account
            self._settle(killed=bool(container.oom_killed))

    def read(self, init: ProcessId | None, kernel: bytes | None) -> int:
        """Take in the kernel's count, as read of the life of that first process; return all."""
        if kernel not in (None, b"0"):
            with _lock:
                if init == self._init and kernel is not None:
                    # The next life's cgroup may be read before the inventory knows of it.
                    self._kernel = max(self._kernel, int(kernel))
        return self.total

    def _settle(self, *, killed: bool) -> None:
        """Count the life that is over; what was told of the next one already remains told."""
        kills = max(self._last, self._told - self._kernel, int(killed))
        self._earlier += kills
        self._ended, self._last, self._told = False, 0, max(0, self._told - kills)
