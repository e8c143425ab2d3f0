"""Runs a program that may hang, print without an end, or leave children behind."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.openvz.vzlist.errors import NotRunnable, TimedOut, TooLarge

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

OUTPUT_LIMIT = 64 << 20
"""Most that is taken from standard output; 10,000 containers are 30 MB."""

_ERROR_LIMIT = 64 << 10
_CHUNK = 1 << 16
_POLL = 0.1  # seconds between two checks whether the program has ended
_DYING = 5.0  # seconds that a killed program may take to be gone
_ADMIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Becomes the program after asking the kernel to kill it when the thread that waits for it is gone,
# PR_SET_PDEATHSIG of prctl(2): an agent that is killed cannot clean up.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.stderr.write(f"cannot be run: {error.strerror}")
    sys.exit(126)
"""
_CANNOT_BE_RUN = 126


@dataclass(frozen=True, slots=True)
class Output:
    """What a program printed, and how it ended."""

    status: int
    """Exit status; negative is the signal that ended it."""
    stdout: bytes
    stderr: str


class Program:
    """One program of the host, without a shell, in a process group and environment of its own.

    It is used by one thread. If it cannot even be killed (it waits for a dead disk), it is not
    started again before it is gone.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = tuple(command)
        # A user who runs the agent by hand may not have /usr/sbin, where vzlist is, in the PATH.
        path = f"{environment['PATH']}:{_ADMIN_PATH}" if environment.get("PATH") else _ADMIN_PATH
        self._environment = {"LC_ALL": "C", "PATH": path}
        self._undead: subprocess.Popen[bytes] | None = None

    def path(self) -> str | None:
        """Return the path of the program as it would be run now; None when there is none."""
        return shutil.which(self._command[0], path=self._environment["PATH"])

    def identity(self) -> tuple[int, ...] | None:
        """Return what changes when the program is replaced; None when there is none."""
        path = self.path()
        try:
            status = os.stat(path) if path is not None else None
        except OSError:
            return None
        if status is None:
            return None
        return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def run(self, arguments: Sequence[str], timeout: float, stop: threading.Event) -> Output:
        """Run it to its end and return its output.

        Raises ``NotRunnable``, ``TimedOut`` (also when ``stop`` is set) or ``TooLarge``; in each
        case nothing of it is left running, as far as it can be killed.
        """
        if self._undead is not None and self._undead.poll() is None:
            raise TimedOut(f"{self._command[0]} was killed and is still not gone")
        self._undead = None
        path = self.path()
        if path is None:
            raise NotRunnable(f"{self._command[0]} is not there or not executable")
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell, and the operator's own program
                [
                    *(sys.executable, "-ISc", _LAUNCHER, str(os.getpid())),
                    *(path, *self._command[1:], *arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise NotRunnable(f"no program can be started: {error.strerror}") from error
        try:
            stdout, stderr = _take(process, time.monotonic() + timeout, stop)
        finally:
            self._end(process)
        errors = stderr.decode("utf-8", "replace")
        if process.returncode == _CANNOT_BE_RUN and errors.startswith("cannot be run: "):
            raise NotRunnable(f"{path} {errors}")
        return Output(process.returncode, stdout, errors)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill what is left of the process group, and reap the program."""
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        # Its number is not reused before it is reaped. What sudo has started as root cannot be
        # killed by other users, but ends when it writes to the closed pipe.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(_DYING)
        except subprocess.TimeoutExpired:
            self._undead = process
            raise TimedOut(f"{self._command[0]} cannot be killed") from None


def _take(
    process: subprocess.Popen[bytes], deadline: float, stop: threading.Event
) -> tuple[bytes, bytes]:
    """Read what a program prints until it ends, not until the pipe is closed.

    A child that it left behind may keep the pipe open for ever.
    """
    stdout, stderr = bytearray(), bytearray()
    pause = 0.001
    with selectors.DefaultSelector() as selector:
        for pipe, taken in ((process.stdout, stdout), (process.stderr, stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, taken)
        while True:
            ended = _has_ended(process)
            if selector.get_map():
                ready = selector.select(0 if ended else _POLL)
            else:
                # It has closed its output; usually it ends at once.
                ready = []
                stop.wait(0 if ended else pause)
                pause = min(2 * pause, _POLL)
            for key, _ in ready:
                _take_some(selector, key)
            del stderr[_ERROR_LIMIT:]
            if ended and not ready:
                return bytes(stdout), bytes(stderr)
            if len(stdout) > OUTPUT_LIMIT:
                raise TooLarge(f"vzlist printed more than {OUTPUT_LIMIT >> 20} MiB")
            if time.monotonic() > deadline or stop.is_set():
                raise TimedOut("vzlist did not come to an end in time and was killed")


def _take_some(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    chunk = os.read(key.fd, _CHUNK)
    if chunk:
        key.data.extend(chunk)
    else:
        selector.unregister(key.fileobj)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether it has ended; it stays a zombie, so that its group can still be killed."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
