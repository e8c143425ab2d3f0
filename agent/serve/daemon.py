"""The daemon: holds the newest snapshot, answers Prometheus and browsers, keeps a scout running.

It answers before the scout has sent anything, and tells that the snapshot is not complete. It reads
counters and nothing else of the host: every read that could block or do harm is the scout's.
"""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import logs, wire
from agent.config import ConfigError
from agent.exposition import Exposition, Options, Reading
from agent.metrics.groups import GROUPS
from agent.model import Container, Snapshot
from agent.serve import privileges
from agent.serve.handover import Handover
from agent.serve.notify import Notifier, Reporter, answers, summary
from agent.serve.reload import Reloader
from agent.serve.starter import LauncherGone, ScoutStarter
from agent.serve.supervisor import NoScoutError, Supervisor
from agent.web.app import make_app
from agent.web.guard import Guard
from agent.web.server import WebServer
from collectors.facts import HostFacts
from collectors.hostfs import HostFS
from collectors.syscalls import forbid_unix_sockets, limit_malloc_arenas

if TYPE_CHECKING:
    from types import FrameType

    from agent.config import Config
    from agent.web.webconfig import WebFiles

log = logging.getLogger(__name__)

_SILENCE_SECONDS = 30.0
"""How long a scout may send nothing, besides the time between two checks, a hung scout's deadline,
and that of the one that replaces it."""


_FAILED = 3
"""Exit code; ``tallyman --help`` lists them."""


class State:
    """What the web server shows: the newest snapshot, published by one assignment."""

    def __init__(self, exposition: Exposition, handover: Handover | None = None) -> None:
        self._exposition = exposition
        self._handover = handover or Handover()
        self._options: Options | None = None
        self._parts: dict[str, Container] = {}
        self._snapshot = Snapshot(host=HostFacts(), containers={})
        self._follower: Callable[[Snapshot, Snapshot], None] | None = None

    def receive(self, update: wire.Update) -> None:
        """Apply what the scout has sent; called by one thread."""
        before = self._snapshot
        parts = {c.id: c for c in update.changed}
        if before.complete and not update.complete:
            # Part of a new scout's first inventory: until all have come, the old one is shown.
            self._parts |= parts
            return
        options = None
        if update.fresh:
            options, self._options = self._options, None
            update = replace(update, changed=tuple({**self._parts, **parts}.values()))
            self._parts = {}
        snapshot = wire.apply(before, self._handover.edit(before, update))
        self._exposition.update(snapshot, options)
        self._snapshot = snapshot
        if snapshot.complete and not before.complete:
            log.info("the inventory is complete: %d containers", len(snapshot.containers))
        follower = self._follower
        if follower is not None:
            follower(before, snapshot)

    def configure(self, options: Options) -> None:
        """Change the page when the next scout's first inventory is complete, and not before."""
        self._options = options

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot."""
        return self._snapshot

    @property
    def ready(self) -> bool:
        """Whether the first inventory is complete."""
        return self._snapshot.complete

    def read_counters(self) -> Reading:
        """Read the counters now, for those who watch."""
        return self._exposition.read_counters()

    def follow(self, follower: Callable[[Snapshot, Snapshot], None] | None) -> None:
        """Have somebody told of each new snapshot, or nobody any more."""
        self._follower = follower

    def metrics(self, openmetrics: bool) -> Iterator[bytes]:
        """Return the page for Prometheus in pieces."""
        return self._exposition.render(openmetrics=openmetrics)


def run(config: Config, starter: ScoutStarter, files: WebFiles) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    ``starter`` and ``files`` are what ``launcher.split`` returned.
    """
    host = HostFS(config.path.procfs, config.path.sysfs, config.path.rootfs)
    # systemd's watchdog sends SIGABRT: the stack of each thread is then in the journal.
    faulthandler.enable()
    logs.catch_threads()
    _one_heap()
    notifier = Notifier()
    supervisor: Supervisor | None = None

    def processes() -> dict[str, int]:
        scout = supervisor.pid if supervisor is not None else None
        named = {"serve": os.getpid(), "scout": scout, "launcher": starter.pid}
        return {name: pid for name, pid in named.items() if pid is not None}

    def take(new: Config) -> None:
        logs.configure(new.log.level, new.log.format)
        for name, reason in privileges.needed(new, host).items():
            if not privileges.permitted() >> privileges.CAPABILITIES[name] & 1:
                log.warning("serve has dropped %s until the next start: %s", name, reason)
        state.configure(page_options(new))
        if supervisor is not None:
            supervisor.renew()

    guard = Guard(lambda: _read_web_files(starter), files)
    reloader = Reloader(starter, guard.prepare, take, notifier)
    exposition = Exposition(host, page_options(config), processes=processes, more=reloader.samples)
    state = State(exposition, Handover(lambda: starter.config.containers))
    server = WebServer(config, make_app(state, config, reloader.reload), guard)
    server.bind()
    if starter.pid is not None:
        if not privileges.readable_by_all(__file__, os.__file__):
            _import_all(config)
        privileges.drop(config, host)
    if not config.process.engine_sockets:
        forbid_unix_sockets()  # serve needs none, but may be root where it cannot be anybody else
    supervisor = Supervisor(starter, state.receive)
    listener = Listener(supervisor, server)
    for number in (signal.SIGTERM, signal.SIGINT):
        _on(number, server.stop, "stop")
    _on(signal.SIGHUP, reloader.reload, "reload")
    reporter = Reporter(
        notifier,
        lambda: summary(state.snapshot()),
        lambda: _trouble(server, supervisor, starter.config),
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
    return listener.exit_code


def page_options(config: Config) -> Options:
    """Return what the configuration says of the page of metrics."""
    return Options(
        groups=frozenset(name for name in GROUPS if config.enabled(name)),
        cadvisor_names=config.metrics.cadvisor_names,
        container_labels=config.metrics.container_labels,
        max_series=config.containers.max_series,
        retention=config.containers.retention,
    )


def _read_web_files(starter: ScoutStarter) -> WebFiles:
    """Read the web configuration; raises ``ConfigError``, also when there is no launcher left."""
    try:
        return starter.web_files()
    except LauncherGone as error:
        raise ConfigError([str(error)]) from error


def _one_heap() -> None:
    """Have all threads allocate from one heap, mallopt(3) of glibc: one for each wastes memory.

    It costs no time, as only one thread runs at a time. Must be called before there are threads.
    """
    with suppress(OSError):  # not glibc
        limit_malloc_arenas(1)


def _import_all(config: Config) -> None:
    """Import what is otherwise imported when it is needed, while this user can still read it.

    A Python or a clone in root's home can be read by root alone.
    """
    modules = ["agent.web.page", "agent.web.api", "agent.classifier"]
    if config.web.config_file:
        modules += ["agent.web.tls", "bcrypt"]
    for name in modules:
        with suppress(ModuleNotFoundError):  # bcrypt is an extra
            importlib.import_module(name)


class Listener(threading.Thread):
    """Runs the supervisor; when no scout can be started any more, the agent ends.

    It would show nothing, or the same for ever, and look like a service that runs.
    """

    def __init__(self, supervisor: Supervisor, server: WebServer) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._supervisor = supervisor
        self._server = server
        self.exit_code = 0

    def run(self) -> None:
        """Run the supervisor until it is stopped."""
        try:
            self._supervisor.run()
        except LauncherGone as error:
            self._end(f"{error}: no scout can be started without it")
        except NoScoutError as error:
            self._end(str(error))
        except Exception:
            log.exception("the scout's supervisor has failed")
            self._end("no scout can be started any more")

    def _end(self, reason: str) -> None:
        log.critical("%s; the agent ends", reason)
        self.exit_code = _FAILED
        self._server.stop()


def _on(number: signal.Signals, action: Callable[[], object], name: str) -> None:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        # A handler must not block, so another thread does the work.
        threading.Thread(target=action, name=name).start()

    signal.signal(number, handle)


def _trouble(server: WebServer, supervisor: Supervisor, config: Config) -> str:
    """Return which of the two loops has stopped, as a sentence; empty while both advance."""
    longest = config.inventory.poll_interval + 2 * config.inventory.deadline + _SILENCE_SECONDS
    if supervisor.silence > longest:
        return f"nothing has been heard from the scout for {supervisor.silence:.0f} s"
    return "" if answers(server.address) else "the web server does not answer"
