"""Has a scout started, receives its updates, and replaces it when it dies or hangs.

The scout is a process of its own because a read that an untrusted process blocks can only be ended
by killing the reader. What it was reading when it hung is then skipped for a while: quarantine.
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
"""Most scouts that a one-shot run may start: after each that hung, one more subject is skipped."""

_FRUITLESS = 6
"""After so many scouts that ended before one had seen the whole host, and that nothing had hung,
the agent ends: whoever runs services sees that then, and starts it again. It is half a minute."""

_STEADY_SECONDS = 60.0
"""After a scout that ran for so long, the back-off begins anew."""

_PIPE_BYTES = 1 << 16

Receiver = Callable[[wire.Update], None]


class NoScoutError(Exception):
    """No scout sees the host; the message says why, in one line."""


class Supervisor:
    """Keeps one scout running, and passes on its updates."""

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
        self._scout: ScoutProcess | None = None
        self._kill_event = -1
        self._stopping = threading.Event()
        self._renewed = threading.Event()
        self._lock = threading.Lock()
        self.restarts = 0
        """How many scouts were replaced because they had died or hung."""
        self._last_heard = time.monotonic()
        self._has_seen_all = False
        self._has_hung = False
        self.exit_code: int | None = None
        self.problem = ""
        """Why the last scout has ended, or was none; empty if it hung, or was stopped."""

    def run(self) -> None:
        """Run one scout after the other until ``stop``. Blocks.

        Raises ``LauncherGone``, and ``NoScoutError`` when none has ever seen the whole host.
        """
        failures = fruitless = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            self._renewed.clear()
            self.run_one()
            if self._stopping.is_set():
                return
            if self._renewed.is_set():
                fruitless = 0
                continue
            fruitless = 0 if self._has_seen_all or self._has_hung else fruitless + 1
            if fruitless == _FRUITLESS:
                raise NoScoutError(f"{fruitless} times in a row {self.problem}")
            age = time.monotonic() - started
            failures = 1 if age > _STEADY_SECONDS else failures + 1
            self.restarts += 1
            wait = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1]
            why = self.problem or "the scout hung"
            log.warning("%s; a new one starts in %g s", why, wait)
            self._renewed.wait(wait)

    @property
    def pid(self) -> int | None:
        """The scout's process; None while there is none."""
        scout = self._scout
        return scout.pid if scout is not None else None

    @property
    def silence(self) -> float:
        """Seconds since a scout last sent something, or one that hung was detected."""
        return time.monotonic() - self._last_heard

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End the scout and ``run``; can be called from any thread."""
        self._stopping.set()
        self.renew()

    def renew(self) -> None:
        """Replace the scout by one with the current configuration."""
        self._renewed.set()
        with self._lock:
            self._kill()

    def _kill(self) -> None:
        """Kill the scout, and have ``_receive_until_end`` wait no longer than it takes to die."""
        if self._scout is not None:
            with suppress(LauncherGone):
                self._scout.kill()
            os.eventfd_write(self._kill_event, 1)

    def run_one(self) -> None:
        """Start a scout and receive its updates until it ends, by itself or because it hung.

        Sets ``exit_code``, None if there was no scout or it hangs in the kernel; a negative one is
        the signal that killed it. Raises ``LauncherGone`` when no scout can be started any more.
        """
        self.exit_code, self.problem, self._has_hung = None, "", False
        try:
            progress = Progress.create()
        except OSError as error:
            self._cannot_start(error)
            return
        try:
            with self._lock:
                if self.stopped:  # while there was no scout to kill
                    progress.close()
                    return
                self._scout = scout = self._start(progress)
                self._kill_event = kill_event = os.eventfd(0)
        except OSError as error:
            self._cannot_start(error)
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
        has_sent_all = False
        try:
            has_sent_all = self._receive_until_end(scout, kill_event)
        finally:
            ended.set()
            watchdog.join()
            for stream in (scout.stdin, scout.stdout):
                if stream is not None:
                    stream.close()
            with self._lock:
                self._scout = None
                os.close(kill_event)
            progress.close()
            self.exit_code = scout.end(kill=has_sent_all or not self._once or self.stopped)
            if self.exit_code is not None and not self._has_hung:
                self.problem = _ending(self.exit_code)
            if self.exit_code is None and not has_sent_all:
                # Killed, but blocked in the kernel: it ends when that call returns.
                log.warning("the scout (pid %d) cannot be ended: it hangs in the kernel", scout.pid)

    def _cannot_start(self, error: OSError) -> None:
        self.problem = f"the scout could not be started ({error})"

    def _start(self, progress: Progress) -> ScoutProcess:
        now = time.monotonic()
        self._quarantine = {
            k: since for k, since in self._quarantine.items() if now - since < _QUARANTINE_SECONDS
        }
        return self._starter.start(progress.fd, self._quarantine, once=self._once)

    def _receive_until_end(self, scout: ScoutProcess, kill_event: int) -> bool:
        """Receive what a scout sends until it ends, or has been killed and sends nothing more.

        Return whether it said that it has sent all, as that of a one-shot run does.

        One that hangs in the kernel (in a read from a hung FUSE) does not die of SIGKILL, and keeps
        its end of the pipe open, so that there is no end of file.
        """
        if scout.stdout is None:
            return False
        pipe, frames, fresh = scout.stdout.fileno(), wire.Frames(), True
        timeout = None
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        poller.register(kill_event, select.POLLIN)
        while ready := dict(poller.poll(timeout)):
            if pipe not in ready:
                poller.unregister(kill_event)
                timeout = END_SECONDS * 1000
                continue
            piece = os.read(pipe, _PIPE_BYTES)
            if not piece:
                return False
            for message in frames.feed(piece):
                self._last_heard = time.monotonic()
                if isinstance(message, wire.Update):
                    self._receive(replace(message, fresh=fresh and message.complete))
                    fresh &= not message.complete
                    self._has_seen_all |= message.complete
                elif isinstance(message, wire.Stuck):
                    self._quarantine_subject(message.subject)
                elif isinstance(message, wire.Ended):
                    return True
        return False

    def _watch(self, progress: Progress, ended: threading.Event) -> None:
        hang = self._starter.config.inventory.deadline if self._hang is None else self._hang
        while not ended.wait(min(2.0, hang / 4)):
            busy = progress.read()
            if busy is not None and busy[0] > hang:
                self._quarantine_subject(busy[1])
                with self._lock:
                    self._kill()
                return

    def _quarantine_subject(self, subject: str) -> None:
        log.warning("%s hung the scout: it is skipped for a while", subject)
        self._quarantine[subject] = self._last_heard = time.monotonic()
        self._has_hung = True


def _ending(code: int) -> str:
    how = f"with status {code}" if code >= 0 else f"by signal {-code}"
    return f"the scout ended {how} before it was told to"


def take_once(config: Config, *, deadline: float = 30.0) -> Snapshot | None:
    """Run one pass over the host and return the snapshot; None if there is none in time.

    ``deadline`` is in seconds for all, including scouts that hung and were replaced. Whether
    anything could not be read is in ``complete`` and in the collectors' health. Raises
    ``NoScoutError`` if the scout cannot be started, or fails before it has seen anything.
    """
    snapshot: Snapshot | None = None

    def receive(update: wire.Update) -> None:
        nonlocal snapshot
        snapshot = wire.apply(snapshot, update)

    supervisor = Supervisor(LocalStarter(config), receive, once=True, hang=deadline / _ATTEMPTS)
    timer = threading.Timer(deadline, supervisor.stop)
    timer.daemon = True
    timer.start()
    try:
        for _ in range(_ATTEMPTS):
            supervisor.run_one()
            if (snapshot and snapshot.complete) or supervisor.stopped:
                break
            was_killed = supervisor.exit_code is not None and supervisor.exit_code < 0
            if supervisor.problem and not was_killed:
                if snapshot is None:
                    raise NoScoutError(supervisor.problem)
                break  # another scout would end in the same way
    finally:
        timer.cancel()
        supervisor.stop()
    return snapshot
