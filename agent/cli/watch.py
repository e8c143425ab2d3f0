"""``tallyman ls --watch``: the list again whenever something changes."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import wire
from agent.cli import listing
from agent.serve.starter import LocalStarter
from agent.serve.supervisor import Supervisor

if TYPE_CHECKING:
    from agent.cli.terminal import Screen
    from agent.config import Config
    from agent.model import Snapshot
    from agent.selection import Selection

_CLEAR = "\x1b[H\x1b[2J"
_LEAST = 0.5
"""Seconds between two lists, however much changes."""

_AGES = 10.0
"""Seconds after which a list is shown again though nothing has changed: ages have."""


class Latest:
    """What a scout has sent until now."""

    def __init__(self) -> None:
        self._change = threading.Event()
        self._snapshot: Snapshot | None = None
        self.error: Exception | None = None

    def receive(self, update: wire.Update) -> None:
        """Take in what the scout sends."""
        before = self._snapshot
        self._snapshot = now = wire.apply(before, update)
        if before is None or before.containers is not now.containers or not before.complete:
            self._change.set()

    def fail(self, error: Exception) -> None:
        """Note that nothing more comes."""
        self.error = error
        self._change.set()

    def wait(self, timeout: float) -> Snapshot | None:
        """Wait for a change; return what is there, None before the first scan is complete."""
        self._change.wait(timeout)
        self._change.clear()
        if self.error is not None:
            raise self.error
        now = self._snapshot
        return now if now is not None and now.complete else None


def watch(
    config: Config,
    selection: Selection,
    screen: Screen,
    write: Callable[[Iterable[str]], None],
) -> None:
    """Show the list until KeyboardInterrupt. Raises ``NoScoutError`` where none can be made."""
    latest = Latest()
    supervisor = Supervisor(LocalStarter(config), latest.receive)

    def run() -> None:
        try:
            supervisor.run()
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
            latest.fail(error)

    thread = threading.Thread(target=run, name="supervisor", daemon=True)
    thread.start()
    pause = threading.Event()
    try:
        while True:
            snapshot = latest.wait(_AGES)
            if snapshot is not None:
                write(frame(snapshot, selection, screen))
                pause.wait(_LEAST)
    finally:
        supervisor.stop()
        thread.join(5.0)


def frame(
    snapshot: Snapshot, selection: Selection, screen: Screen, height: int | None = None
) -> list[str]:
    """Return the lines to write: on a terminal they replace the ones before, and all fit."""
    if not sys.stdout.isatty() and height is None:
        return [*listing.as_table(snapshot, selection, screen), ""]
    size = shutil.get_terminal_size((80, 24))
    if screen.width is not None:
        screen = replace(screen, width=size.columns)
    lines = list(listing.as_table(snapshot, selection, screen))
    room = max(1, (size.lines if height is None else height) - 3)
    more = len(lines) - room
    if more > 0:
        lines = [*lines[: room - 1], screen.paint("dim", f"{more + 1} more lines")]
    summary = f"{listing.summary(snapshot, selection)}. Ctrl-C ends this."
    return [_CLEAR + lines[0], *lines[1:], "", *screen.wrap(summary, "")[:1]]
