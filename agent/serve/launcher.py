"""Who starts scouts, and reads for serve what serve itself may not read any more.

Without privileges to lose, serve does both itself (``LocalStarter``). With some, it is split before it
listens: a small process of one thread keeps them and does what a ``LocalStarter`` does, serve drops
them and asks it through a socket (``RemoteStarter``). It takes four requests, none of which says what
is executed or which file is read: the command line and the files were fixed when it was started.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import IO, TYPE_CHECKING, Any, NoReturn, Protocol

from agent import wire
from agent.config import FIXED, Config, ConfigError, load
from agent.serve.privileges import permitted

if TYPE_CHECKING:
    from agent.web.webconfig import WebFiles

log = logging.getLogger(__name__)

SCOUT = (sys.executable, "-P", "-m", "agent.scout")
"""How a scout is started; the number of the progress page's descriptor follows."""

END_SECONDS = 2.0
"""What a scout that was killed gets to end; one that hangs in the kernel takes longer."""

_REQUEST_LIMIT = 64 << 10
_PR_SET_NAME = 15


class LauncherGone(Exception):
    """The launcher has ended: there will be no more scouts."""


class ScoutProcess(Protocol):
    """A scout that runs; what ``subprocess.Popen`` is, as far as it is needed."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def kill(self) -> None:
        """Kill it."""

    def end(self, *, kill: bool) -> int | None:
        """Wait for its end, and give its exit code; None if it hangs in the kernel.

        Without ``kill`` it gets a moment to end by itself.
        """


class ScoutStarter(Protocol):
    """What serve needs of whoever has the privileges."""

    @property
    def config(self) -> Config:
        """The configuration that holds."""

    @property
    def pid(self) -> int | None:
        """The process that has the privileges, where that is another one."""

    def start(self, progress: int, quarantine: Iterable[str], *, once: bool) -> ScoutProcess:
        """Start a scout; ``progress`` is the descriptor of its page. Raises OSError, LauncherGone."""

    def reload(self) -> Config:
        """Read the configuration again; raises ConfigError, and then the old one holds."""

    def web_files(self) -> WebFiles:
        """Read --web.config.file and what it names; raises ConfigError."""

    def close(self) -> None:
        """End it, and the scout that it may have."""


class LocalScout:
    """A scout as a child of this process."""

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
        self._process.kill()

    def end(self, *, kill: bool) -> int | None:
        for last in (kill, True):
            if last:
                self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(END_SECONDS)
                if self._relay is not None:
                    self._relay.join(END_SECONDS)
                return code
        return None


def _relay(stream: IO[bytes]) -> None:
    """Hand on what a scout has to say, line by line."""
    for line in stream:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


class LocalStarter:
    """Starts scouts as children of this process, and reads files with its privileges."""

    pid = None

    def __init__(self, config: Config, command: Sequence[str] = SCOUT) -> None:
        self.config = config
        self._command = tuple(command)
        # What serve has opened stays, so the scout must look at the same.
        self._places = {f"path.{name}": value for name, value in asdict(config.path).items()}

    def start(self, progress: int, quarantine: Iterable[str], *, once: bool) -> ScoutProcess:
        """Start a scout, and give it its orders."""
        process = subprocess.Popen(  # noqa: S603 - ourselves, by exec: no fork state comes along
            [*self._command, str(progress)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A scout that hangs in the kernel would keep open what whoever runs `ls` reads from us.
            stderr=subprocess.PIPE if once else None,
            pass_fds=(progress,),
        )
        orders = wire.Orders(
            file=self.config.file,
            text=self.config.text,
            flags={**self.config.flags, **self._places},
            quarantine=frozenset(quarantine),
            once=once,
        )
        scout = LocalScout(process)
        try:
            if process.stdin is not None:
                # It stays open: its end tells the scout that nobody listens any more.
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
        return self.config

    def web_files(self) -> WebFiles:
        """Read --web.config.file, and the files that it names."""
        from agent.web.webconfig import read_files  # noqa: PLC0415 - brings YAML

        return read_files(self.config.web.config_file)

    def close(self) -> None:
        """Do nothing: the scout ends with whoever started it."""


def _keep_fixed(old: Config, new: Config) -> Config:
    """Return the new configuration with what only a start can change as it is, and say so."""
    for section in FIXED:
        was, wished = getattr(old, section), getattr(new, section)
        for field in fields(was):
            if getattr(was, field.name) != getattr(wished, field.name):
                log.warning("%s.%s: the change holds from the next start on", section, field.name)
    return replace(new, **{section: getattr(old, section) for section in FIXED})


class RemoteStarter:
    """The other side of the socket: asks the process that has kept its privileges."""

    pid: int | None

    def __init__(self, starter: LocalStarter) -> None:
        """Split: from here on there are two processes. Must be called before there are threads."""
        self.config = starter.config
        self._turn = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.freeze()  # its pages stay shared: no collection touches what was there before
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _launch(theirs, starter)
        gc.unfreeze()
        theirs.close()

    def start(self, progress: int, quarantine: Iterable[str], *, once: bool) -> ScoutProcess:
        """Have a scout started."""
        request = {"do": "start", "quarantine": sorted(quarantine), "once": once}
        answer, descriptors = self._ask(request, progress)
        if "error" in answer:
            raise OSError(*answer["error"])
        return RemoteScout(self, answer["pid"], *descriptors)

    def end(self, *, kill: bool) -> int | None:
        """Have the scout ended; gives its exit code."""
        code: int | None = self._ask({"do": "end", "kill": kill})[0]["code"]
        return code

    def kill(self) -> None:
        """Have the scout killed."""
        self._ask({"do": "kill"})

    def reload(self) -> Config:
        """Have the configuration read again."""
        self.config = self._read("reload")
        return self.config

    def web_files(self) -> WebFiles:
        """Have --web.config.file read, and the files that it names."""
        files: WebFiles = self._read("web")
        return files

    def close(self) -> None:
        """Let it end, with the scout that it may have."""
        self._socket.close()
        if self.pid is not None:
            os.waitpid(self.pid, 0)

    def _read(self, what: str) -> Any:
        _, descriptors = self._ask({"do": what})
        with os.fdopen(descriptors[0], "rb") as stream:
            found, problems = pickle.load(stream)  # noqa: S301 - written by the more trusted side
        if problems:
            raise ConfigError(problems)
        return found

    def _ask(self, request: object, *descriptors: int) -> tuple[dict[str, Any], list[int]]:
        with self._turn:
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
                data, received, _, _ = socket.recv_fds(self._socket, _REQUEST_LIMIT, 2)
            except OSError as error:
                raise LauncherGone("the launcher cannot be asked") from error
        if not data:
            raise LauncherGone("the launcher has ended")
        return json.loads(data), list(received)


class RemoteScout:
    """A scout as a child of the launcher."""

    def __init__(self, launcher: RemoteStarter, pid: int, stdin: int, stdout: int) -> None:
        self._launcher = launcher
        self.pid = pid
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb")

    def kill(self) -> None:
        self._launcher.kill()

    def end(self, *, kill: bool) -> int | None:
        return self._launcher.end(kill=kill)


def split(config: Config) -> tuple[ScoutStarter, WebFiles]:
    """Return who starts scouts: a process of its own, where serve is to have no privileges.

    Also gives the web configuration, read with them; raises ConfigError.
    """
    starter = LocalStarter(config)
    files = starter.web_files()
    return (RemoteStarter(starter) if permitted() else starter), files


def _launch(link: socket.socket, starter: LocalStarter) -> NoReturn:
    """Be the launcher: answer requests until the other side ends, then end with the scout."""
    # Whoever ends the agent ends serve, and this one with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"tallyman-launch")
    office = _RequestHandler(starter)
    try:
        while True:
            data, descriptors, _, _ = socket.recv_fds(link, _REQUEST_LIMIT, 1)
            if not data:
                break
            answer, back = office.answer(json.loads(data), descriptors)
            socket.send_fds(link, [json.dumps(answer).encode()], back)
            for descriptor in (*descriptors, *back):
                os.close(descriptor)
    except Exception:
        # What it was asked makes no sense: it does nothing more for whoever asks so.
        log.exception("the launcher ends")
    finally:
        office.close()
        logging.shutdown()
        os._exit(0)


class _RequestHandler:
    """What the launcher does when it is asked."""

    def __init__(self, starter: LocalStarter) -> None:
        self._starter = starter
        self._scout: ScoutProcess | None = None

    def answer(
        self, request: dict[str, Any], descriptors: Sequence[int]
    ) -> tuple[dict[str, Any], list[int]]:
        """Return the answer, and the descriptors that come with it, which the caller closes."""
        match request["do"]:
            case "start":
                return self._start(request, *descriptors)
            case "kill":
                if self._scout is not None:
                    self._scout.kill()
                return {}, []
            case "end":
                scout, kill = self._scout, bool(request["kill"])
                code = scout.end(kill=kill) if scout is not None else None
                return {"code": code}, []
            case "reload":
                return _said(self._starter.reload)
            case "web":
                return _said(self._starter.web_files)
        raise ValueError(request)

    def close(self) -> None:
        """Kill the scout."""
        if self._scout is not None:
            self._scout.kill()

    def _start(self, request: dict[str, Any], progress: int) -> tuple[dict[str, Any], list[int]]:
        self.close()
        words = [str(word) for word in request["quarantine"]]
        try:
            self._scout = scout = self._starter.start(progress, words, once=bool(request["once"]))
        except OSError as error:
            return {"error": [error.errno, error.strerror]}, []
        ends = []
        for stream in (scout.stdin, scout.stdout):
            if stream is not None:
                ends.append(os.dup(stream.fileno()))
                stream.close()
        return {"pid": scout.pid}, ends


def _said(read: Any) -> tuple[dict[str, Any], list[int]]:
    """Return what was read in a file without a name, or what is wrong with it."""
    found: object = None
    problems: tuple[str, ...] = ()
    try:
        found = read()
    except ConfigError as error:
        problems = error.problems
    descriptor = os.memfd_create("tallyman-answer")
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        pickle.dump((found, problems), stream)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return {}, [descriptor]
