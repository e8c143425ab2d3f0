"""The daemon: holds the published picture, answers Prometheus and people, keeps a scout running.

It binds and answers before the scout has said anything, and says that it is not complete until it
is. It reads counters and nothing else of the host: all that could block or hurt is the scout's.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent import wire
from agent.exposition import Exposition
from agent.model import Snapshot
from agent.notify import Notifier, Reporter, answers, summary
from agent.supervisor import Supervisor
from agent.web import WebServer, make_app
from collectors.facts import HostFacts
from collectors.hostfs import HostFS

if TYPE_CHECKING:
    from types import FrameType

    from agent.config import Config

log = logging.getLogger(__name__)

_SILENCE_SECONDS = 30.0
"""What a scout may be silent for, beyond the time between two looks, a hung one's deadline, and
that of the one that replaces it."""


class State:
    """What the web server shows: the newest picture, published by one assignment."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._snapshot = Snapshot(host=HostFacts(), containers={})

    def receive(self, update: wire.Update) -> None:
        """Take in what the scout says; called by one thread."""
        before = self._snapshot
        snapshot = wire.apply(before, update)
        self._exposition.update(snapshot)
        self._snapshot = snapshot
        if snapshot.complete and not before.complete:
            log.info("the picture is complete: %d containers", len(snapshot.containers))

    def snapshot(self) -> Snapshot:
        """Give the newest picture."""
        return self._snapshot

    @property
    def ready(self) -> bool:
        """The first full picture has been made."""
        return self._snapshot.complete

    def metrics(self, openmetrics: bool) -> Iterator[bytes]:
        """Give the page for Prometheus in pieces."""
        return self._exposition.render(openmetrics=openmetrics)


def run(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code."""
    host = HostFS(config.path.procfs, config.path.sysfs, config.path.rootfs)
    supervisor: Supervisor | None = None

    def processes() -> dict[str, int]:
        scout = supervisor.pid if supervisor is not None else None
        return {"serve": os.getpid(), **({"scout": scout} if scout is not None else {})}

    # The watchdog of systemd sends SIGABRT: the journal then says where each thread was.
    faulthandler.enable()
    notifier = Notifier()
    state = State(Exposition(host, config.page(), processes=processes))
    server = WebServer(config, make_app(state, config))
    server.bind()
    supervisor = Supervisor(config, state.receive)
    listener = threading.Thread(target=supervisor.run, name="supervisor", daemon=True)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # A handler must not wait for anything: another thread does.
        threading.Thread(target=server.stop, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    longest = config.inventory.poll_interval + 2 * config.inventory.deadline + _SILENCE_SECONDS
    reporter = Reporter(
        notifier,
        lambda: summary(state.snapshot()),
        lambda: _trouble(server, supervisor, longest),
    )
    listener.start()
    reporter.start()
    notifier.ready()
    try:
        server.serve_forever()
    finally:
        reporter.stop()
        supervisor.stop()
        listener.join(5.0)
    return 0


def _trouble(server: WebServer, supervisor: Supervisor, longest: float) -> str:
    """Say which of the two loops does not advance any more; empty while both do."""
    if supervisor.silence > longest:
        return f"nothing has been heard from the scout for {supervisor.silence:.0f} s"
    return "" if answers(server.address) else "the web server does not answer"
