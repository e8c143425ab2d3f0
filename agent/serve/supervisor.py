"""Starts the scout by exec, listens to it, and replaces it when it dies or hangs.

The scout is a process of its own because a read that a stranger blocks can only be ended by
killing whoever reads. Whatever it was busy with when it hung is in quarantine afterwards.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import wire
from agent.scout.progress import Progress
from agent.serve.starter import END_SECONDS, LauncherGone, LocalStarter

if TYPE_CHECKING:
    from agent.config import Config
    from agent.model import Snapshot
    from agent.serve.starter import ScoutProcess, ScoutStarter

log = logging.getLogger(__name__)

_QUARANTINE_SECONDS = 600.0
_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ATTEMPTS = 5
"""Scouts that a single look may cost: each that hung leaves one culprit out."""

_STEADY_SECONDS = 60.0
"""A scout that lived so long starts the back-off anew."""

_PIPE_BYTES = 1 << 16

Receiver = Callable[[wire.Update], None]


class Supervisor:
    """Keeps one scout running and hands on what it says."""

    def __init__(
        self,
        starter: ScoutStarter,
        receive: Receiver,
        *,
        once: bool = False,
        hang: float | None = None,
    ) -> None:
        self._starter = starter
        self._receive = receive
        self._once = once
        self._hang = hang
        self._quarantine: dict[str, float] = {}
        self._child: ScoutProcess | None = None
        self._given_up = -1
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self._starting = threading.Lock()
        self.restarts = 0
        """How often a scout had to be replaced."""
        self._advanced = time.monotonic()
        self.exit_code: int | None = None

    def run(self) -> None:
        """Run one scout after the other until ``stop``. Blocks."""
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            self._at_once.clear()
            self.run_one()
            if self._stopping.is_set():
                return
            if self._at_once.is_set():
                continue
            lived = time.monotonic() - started
            failures = 1 if lived > _STEADY_SECONDS else failures + 1
            self.restarts += 1
            wait = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1]
            log.warning("the scout ended; a new one starts in %g s", wait)
            self._at_once.wait(wait)

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
        """End the scout and ``run``; can be called from any thread."""
        self._stopping.set()
        self.renew()

    def renew(self) -> None:
        """Have a new scout, with the configuration of now, in place of the one that runs."""
        self._at_once.set()
        with self._starting:
            self._give_up()

    def _give_up(self) -> None:
        """Kill the scout, and do not wait for it any longer than it takes to die."""
        if self._child is not None:
            with suppress(LauncherGone):
                self._child.kill()
            os.eventfd_write(self._given_up, 1)

    def run_one(self) -> None:
        """Start a scout and listen until it ends, by itself or because it hung.

        ``exit_code`` is what it ended with: negative is the signal that killed it. Raises
        ``LauncherGone`` when none can be started any more.
        """
        progress = Progress.create()
        try:
            with self._starting:
                if self.stopped:  # by somebody who found no scout to end
                    progress.close()
                    return
                self._child = child = self._start(progress)
                self._given_up = given_up = os.eventfd(0)
        except OSError:
            log.exception("the scout cannot be started")
            progress.close()
            return
        except LauncherGone:
            progress.close()
            raise
        ended = threading.Event()
        watchdog = threading.Thread(
            target=self._watch, args=(progress, ended), name="watchdog", daemon=True
        )
        watchdog.start()
        try:
            self._listen(child, given_up)
        finally:
            ended.set()
            watchdog.join()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    stream.close()
            with self._starting:
                self._child = None
                os.close(given_up)
            progress.close()
            self.exit_code = child.end(kill=not self._once or self.stopped)
            if self.exit_code is None:
                # Killed, but stuck in the kernel: it ends when what it waits for does.
                log.warning("the scout (pid %d) cannot be ended: it hangs in the kernel", child.pid)

    def _start(self, progress: Progress) -> ScoutProcess:
        now = time.monotonic()
        self._quarantine = {
            k: since for k, since in self._quarantine.items() if now - since < _QUARANTINE_SECONDS
        }
        return self._starter.start(progress.fd, self._quarantine, once=self._once)

    def _listen(self, child: ScoutProcess, given_up: int) -> None:
        """Take in what a scout says until it ends, or was given up and says nothing more.

        One that hangs in the kernel (in a read that a hung FUSE has taken on) does not die of
        SIGKILL, and keeps its end of the pipe: no end of file comes of it.
        """
        if child.stdout is None:
            return
        pipe, frames, fresh = child.stdout.fileno(), wire.Frames(), True
        patience = None
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        poller.register(given_up, select.POLLIN)
        while ready := dict(poller.poll(patience)):
            if pipe not in ready:
                poller.unregister(given_up)
                patience = END_SECONDS * 1000
                continue
            piece = os.read(pipe, _PIPE_BYTES)
            if not piece:
                return
            for message in frames.feed(piece):
                self._advanced = time.monotonic()
                if isinstance(message, wire.Update):
                    self._receive(replace(message, fresh=fresh and message.complete))
                    fresh &= not message.complete
                elif isinstance(message, wire.Stuck):
                    self._blame(message.subject)

    def _watch(self, progress: Progress, ended: threading.Event) -> None:
        hang = self._starter.config.inventory.deadline if self._hang is None else self._hang
        while not ended.wait(min(2.0, hang / 4)):
            busy = progress.read()
            if busy is not None and busy[0] > hang:
                self._blame(busy[1])
                with self._starting:
                    self._give_up()
                return

    def _blame(self, subject: str) -> None:
        log.warning("%s hung the scout: it is left alone for a while", subject)
        self._quarantine[subject] = self._advanced = time.monotonic()


def take_once(config: Config, *, deadline: float = 30.0) -> Snapshot | None:
    """Let a scout look at the host once, and give what it saw; None if it saw nothing in time.

    ``deadline`` is in seconds for all, also for scouts that were hung and replaced. What could not
    be read is told by ``complete`` and by the collectors' health.
    """
    found: list[Snapshot] = []

    def receive(update: wire.Update) -> None:
        found[:] = [wire.apply(found[0] if found else None, update)]

    supervisor = Supervisor(LocalStarter(config), receive, once=True, hang=deadline / _ATTEMPTS)
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
