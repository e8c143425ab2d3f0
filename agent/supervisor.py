"""Starts the scout by exec, listens to it, and replaces it when it dies or hangs.

The scout is a process of its own because a read that a stranger blocks can only be ended by
killing whoever reads. Whatever it was busy with when it hung is in quarantine afterwards.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent import wire
from agent.progress import Progress

if TYPE_CHECKING:
    from agent.config import Config
    from agent.model import Snapshot

log = logging.getLogger(__name__)

_QUARANTINE_SECONDS = 600.0
_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ATTEMPTS = 5
"""Scouts that a single look may cost: each that hung leaves one culprit out."""

_STEADY_SECONDS = 60.0
"""A scout that lived so long starts the back-off anew."""

SCOUT = (sys.executable, "-P", "-m", "agent.scout")
"""How a scout is started; the number of the progress page's descriptor follows."""

Receiver = Callable[[wire.Update], None]


class Supervisor:
    """Keeps one scout running and hands on what it says."""

    def __init__(
        self,
        config: Config,
        receive: Receiver,
        *,
        once: bool = False,
        hang: float | None = None,
        command: Sequence[str] = SCOUT,
    ) -> None:
        self._config = config
        self._receive = receive
        self._once = once
        self._command = tuple(command)
        self._hang = config.inventory.deadline if hang is None else hang
        self._quarantine: dict[str, float] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self.restarts = 0
        """How often a scout had to be replaced."""
        self._advanced = time.monotonic()
        self.exit_code: int | None = None

    def run(self) -> None:
        """Run one scout after the other until ``stop``. Blocks."""
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            self.run_one()
            if self._stopping.is_set():
                return
            lived = time.monotonic() - started
            failures = 1 if lived > _STEADY_SECONDS else failures + 1
            self.restarts += 1
            wait = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1]
            log.warning("the scout ended; a new one starts in %g s", wait)
            self._stopping.wait(wait)

    @property
    def pid(self) -> int | None:
        """The scout's number; None while there is none."""
        child = self._child
        return child.pid if child is not None else None

    @property
    def silence(self) -> float:
        """Seconds since a scout last said something, or one that hung was found out."""
        return time.monotonic() - self._advanced

    @property
    def stopped(self) -> bool:
        """It was told to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End the scout and ``run``; can be called from any thread or a signal handler."""
        self._stopping.set()
        child = self._child
        if child is not None:
            child.kill()

    def run_one(self) -> None:
        """Start a scout and listen until it ends, by itself or because it hung.

        ``exit_code`` is what it ended with: negative is the signal that killed it.
        """
        progress = Progress.create()
        try:
            child = self._start(progress)
        except OSError:
            log.exception("the scout cannot be started")
            progress.close()
            return
        self._child = child
        ended = threading.Event()
        watchdog = threading.Thread(
            target=self._watch, args=(child, progress, ended), name="watchdog", daemon=True
        )
        watchdog.start()
        try:
            self._listen(child)
        finally:
            ended.set()
            child.kill()
            watchdog.join()
            if child.stdout is not None:
                child.stdout.close()
            self._reap(child)
            progress.close()
            self._child = None
            self.exit_code = child.returncode

    def _start(self, progress: Progress) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(  # noqa: S603 - ourselves, by exec: no fork state comes along
            [*self._command, str(progress.fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(progress.fd,),
        )
        now = time.monotonic()
        self._quarantine = {
            k: since for k, since in self._quarantine.items() if now - since < _QUARANTINE_SECONDS
        }
        orders = wire.Orders(
            file=self._config.file,
            flags=self._config.flags,
            quarantine=frozenset(self._quarantine),
            once=self._once,
        )
        if child.stdin is not None:
            # It stays open: its end tells the scout that nobody listens any more.
            child.stdin.write(orders.to_line())
            child.stdin.flush()
        return child

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        stdout = child.stdout
        while stdout is not None:
            message = wire.receive(stdout)
            if message is None:
                break
            self._advanced = time.monotonic()
            if isinstance(message, wire.Update):
                self._receive(message)
            elif isinstance(message, wire.Stuck):
                self._blame(message.subject)
        if self._once:
            child.wait()

    def _watch(
        self, child: subprocess.Popen[bytes], progress: Progress, ended: threading.Event
    ) -> None:
        while not ended.wait(min(0.5, self._hang / 4)):
            busy = progress.read()
            if busy is not None and busy[0] > self._hang:
                self._blame(busy[1])
                child.kill()
                return

    def _blame(self, subject: str) -> None:
        log.warning("%s hung the scout: it is left alone for a while", subject)
        self._quarantine[subject] = self._advanced = time.monotonic()

    def _reap(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdin is not None:
            child.stdin.close()
        try:
            child.wait(2.0)
        except subprocess.TimeoutExpired:
            # Killed, but stuck in the kernel: it ends when what it waits for does.
            log.warning("the scout (pid %d) cannot be ended: it hangs in the kernel", child.pid)


def take_once(config: Config, *, deadline: float = 30.0) -> Snapshot | None:
    """Let a scout look at the host once, and give what it saw; None if it saw nothing in time.

    ``deadline`` is in seconds for all, also for scouts that were hung and replaced. What could not
    be read is told by ``complete`` and by the collectors' health.
    """
    found: list[Snapshot] = []

    def receive(update: wire.Update) -> None:
        found[:] = [wire.apply(found[0] if found else None, update)]

    supervisor = Supervisor(config, receive, once=True, hang=deadline / _ATTEMPTS)
    timer = threading.Timer(deadline, supervisor.stop)
    timer.daemon = True
    timer.start()
    try:
        for _ in range(_ATTEMPTS):
            supervisor.run_one()
            crashed = supervisor.exit_code is not None and supervisor.exit_code > 0
            if (found and found[0].complete) or crashed or supervisor.stopped:
                break  # another would end just the same
    finally:
        timer.cancel()
        supervisor.stop()
    return found[0] if found else None
