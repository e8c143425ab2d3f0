"""Starts scouts and reads the configuration, in this process or (see launcher.py) in another."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import IO, TYPE_CHECKING, Protocol

from agent import wire
from agent.config import FIXED, Config, load

if TYPE_CHECKING:
    from agent.web.webconfig import WebFiles

log = logging.getLogger(__name__)

SCOUT_COMMAND = (sys.executable, "-P", "-m", "agent.scout")
"""How a scout is started; the number of the progress page's descriptor follows."""

END_SECONDS = 2.0
"""How long to wait for a scout that was killed; one that hangs in the kernel takes longer."""


class LauncherGone(Exception):
    """The launcher process has ended: no more scouts can be started."""


class ScoutProcess(Protocol):
    """A running scout: the part of ``subprocess.Popen`` that serve needs."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def kill(self) -> None:
        """Send SIGKILL. Raises LauncherGone."""

    def end(self, *, kill: bool) -> int | None:
        """Wait for the scout to end and return its exit code; None if it hangs in the kernel.

        Without ``kill`` it gets a moment to end by itself. Raises LauncherGone.
        """


class ScoutStarter(Protocol):
    """What serve needs done with the privileges that it drops.

    ``start``, ``reload`` and ``web_files`` raise LauncherGone.
    """

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def pid(self) -> int | None:
        """The process that keeps the privileges; None if it is this one."""

    def start(self, progress: int, quarantine: Iterable[str], *, once: bool) -> ScoutProcess:
        """Start a scout; ``progress`` is the descriptor of its progress page. Raises OSError."""

    def reload(self) -> Config:
        """Read the configuration again; raises ConfigError and then keeps the old one."""

    def web_files(self) -> WebFiles:
        """Read --web.config.file and the files that it names; raises ConfigError."""

    def close(self) -> None:
        """End the launcher process, if there is one, and its scout."""


class LocalScout:
    """A scout that is a child of this process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._relay: threading.Thread | None = None
        if process.stderr is not None:
            self._relay = threading.Thread(target=_relay, args=(process.stderr,), daemon=True)
            self._relay.start()
        self.pid = process.pid
        self.stdin = process.stdin
        self.stdout = process.stdout

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def end(self, *, kill: bool) -> int | None:
        """Wait for the scout to end and return its exit code; None if it hangs in the kernel."""
        for must_die in (kill, True):
            if must_die:
                self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(END_SECONDS)
                if self._relay is not None:
                    self._relay.join(END_SECONDS)
                return code
        return None


def _relay(stream: IO[bytes]) -> None:
    """Copy a scout's standard error to ours, line by line."""
    for line in stream:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


class LocalStarter:
    """Starts scouts as children of this process, and reads files with its privileges."""

    pid = None

    def __init__(self, config: Config, command: Sequence[str] = SCOUT_COMMAND) -> None:
        self.config = config
        self._command = tuple(command)
        # Serve keeps the directories that it has opened, so the scout must use the same ones.
        self._paths = {f"path.{name}": value for name, value in asdict(config.path).items()}

    def start(self, progress: int, quarantine: Iterable[str], *, once: bool) -> LocalScout:
        """Start a scout and send it its orders."""
        process = subprocess.Popen(  # noqa: S603 - our own program; by exec, so no state is copied
            [*self._command, str(progress)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A scout that hangs in the kernel must not keep our own standard error open: the
            # program that reads the output of `ls` would wait for it.
            stderr=subprocess.PIPE if once else None,
            pass_fds=(progress,),
        )
        orders = wire.Orders(
            file=self.config.file,
            text=self.config.text,
            flags={**self.config.flags, **self._paths},
            quarantine=frozenset(quarantine),
            once=once,
        )
        scout = LocalScout(process)
        try:
            if process.stdin is not None:
                # It stays open: end of file tells the scout that serve has ended.
                process.stdin.write(orders.to_line())
                process.stdin.flush()
        except OSError:
            scout.end(kill=True)
            raise
        return scout

    def reload(self) -> Config:
        """Read the configuration again."""
        old = self.config
        self.config = _keep_fixed(old, load(old.file, old.flags))
        _warn(self.config.warnings)
        return self.config

    def web_files(self) -> WebFiles:
        """Read --web.config.file and the files that it names."""
        from agent.web.webconfig import read_files  # noqa: PLC0415 - imports YAML

        files = read_files(self.config.web.config_file)
        _warn(files.warnings)
        return files

    def close(self) -> None:
        """Do nothing: a scout ends when its standard input does."""


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        log.warning("%s", warning)


def _keep_fixed(old: Config, new: Config) -> Config:
    """Return ``new`` with the sections that only a restart can change as in ``old``; log those."""
    for section in FIXED:
        before, after = getattr(old, section), getattr(new, section)
        for field in fields(before):
            if getattr(before, field.name) != getattr(after, field.name):
                log.warning("%s.%s: the change holds from the next start on", section, field.name)
    return replace(new, **{section: getattr(old, section) for section in FIXED})
