"""Keeps the privileges that serve drops, in a small process that serve asks through a socket.

The launcher is forked before serve opens its port and starts threads. It starts and ends scouts
and reads the configuration as ``LocalStarter`` does; in serve, ``RemoteStarter`` asks for it. No
request can choose what is executed or which file is read: the command and the files were fixed
when the launcher was forked.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn

from agent.config import Config, ConfigError
from agent.memory_file import memory_file
from agent.serve.privileges import permitted
from agent.serve.starter import LauncherGone, LocalStarter
from collectors.syscalls import forbid_unix_sockets, set_thread_name

if TYPE_CHECKING:
    from agent.serve.starter import LocalScout, ScoutStarter
    from agent.web.webconfig import WebFiles

log = logging.getLogger(__name__)

_REQUEST_LIMIT = 64 << 10


def split(config: Config) -> tuple[ScoutStarter, WebFiles]:
    """Fork the launcher if this process has privileges to drop; return the starter for serve.

    Also returns the web configuration, read before they are dropped. Raises ConfigError.
    """
    starter = LocalStarter(config)
    files = starter.web_files()
    return (RemoteStarter(starter) if permitted() else starter), files


class RemoteStarter:
    """Asks the launcher process to start scouts and to read the configuration."""

    pid: int | None

    def __init__(self, starter: LocalStarter) -> None:
        """Fork the launcher. Must be called before there are threads."""
        self.config = starter.config
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.freeze()  # no collection touches the objects of now, so their pages stay shared
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _run_launcher(theirs, starter)
        gc.unfreeze()
        theirs.close()

    def start(self, progress: int, quarantine: Iterable[str], *, once: bool) -> RemoteScout:
        """Have a scout started."""
        request = {"do": "start", "quarantine": sorted(quarantine), "once": once}
        answer, descriptors = self._ask(request, progress)
        if "error" in answer:
            raise OSError(*answer["error"])
        return RemoteScout(self, answer["pid"], *descriptors)

    def end(self, *, kill: bool) -> int | None:
        """Have the scout ended and return its exit code; None if it hangs in the kernel."""
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
        """Have the launcher end, with its scout, and wait for that."""
        self._socket.close()
        if self.pid is not None:
            os.waitpid(self.pid, 0)

    def _read(self, what: str) -> Any:
        _, descriptors = self._ask({"do": what})
        with os.fdopen(descriptors[0], "rb") as stream:
            value, problems = pickle.load(stream)  # noqa: S301 - written by the more trusted side
        if problems:
            raise ConfigError(problems)
        return value

    def _ask(self, request: object, *descriptors: int) -> tuple[dict[str, Any], list[int]]:
        with self._lock:
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
                data, received, _, _ = socket.recv_fds(self._socket, _REQUEST_LIMIT, 2)
            except OSError as error:
                raise LauncherGone("the launcher cannot be asked") from error
        if not data:
            raise LauncherGone("the launcher has ended")
        return json.loads(data), list(received)


class RemoteScout:
    """A scout that is a child of the launcher."""

    def __init__(self, starter: RemoteStarter, pid: int, stdin: int, stdout: int) -> None:
        self._starter = starter
        self.pid = pid
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb")

    def kill(self) -> None:
        """Have it killed."""
        self._starter.kill()

    def end(self, *, kill: bool) -> int | None:
        """Have it ended and return its exit code; None if it hangs in the kernel."""
        return self._starter.end(kill=kill)


def _run_launcher(link: socket.socket, starter: LocalStarter) -> NoReturn:
    """Answer requests until serve ends, then kill the scout and exit."""
    # Signals that end the agent are for serve; the launcher ends with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        set_thread_name("tallyman-launch")
    if not starter.config.process.engine_sockets:
        # Before the first scout: what it cannot do, no scout can.
        forbid_unix_sockets()
    handler = _RequestHandler(starter)
    try:
        while True:
            data, descriptors, _, _ = socket.recv_fds(link, _REQUEST_LIMIT, 1)
            if not data:
                break
            answer, attached = handler.answer(json.loads(data), descriptors)
            socket.send_fds(link, [json.dumps(answer).encode()], attached)
            for descriptor in (*descriptors, *attached):
                os.close(descriptor)
    except Exception:
        # An invalid request: serve may have been taken over, so nothing more is done for it.
        log.exception("the launcher ends")
    finally:
        handler.close()
        logging.shutdown()
        os._exit(0)


class _RequestHandler:
    """What the launcher does for each request."""

    def __init__(self, starter: LocalStarter) -> None:
        self._starter = starter
        self._scout: LocalScout | None = None

    def answer(
        self, request: dict[str, Any], descriptors: Sequence[int]
    ) -> tuple[dict[str, Any], list[int]]:
        """Return the answer, and the descriptors to send with it, which the caller closes.

        Raises ValueError, KeyError or TypeError for a request that is not one of the five.
        """
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
                return {}, [_to_memory_file(self._starter.reload)]
            case "web":
                return {}, [_to_memory_file(self._starter.web_files)]
        raise ValueError(request)

    def close(self) -> None:
        """Kill the scout."""
        if self._scout is not None:
            self._scout.kill()

    def _start(self, request: dict[str, Any], progress: int) -> tuple[dict[str, Any], list[int]]:
        self.close()
        quarantine = [str(subject) for subject in request["quarantine"]]
        try:
            scout = self._starter.start(progress, quarantine, once=bool(request["once"]))
        except OSError as error:
            return {"error": [error.errno, error.strerror]}, []
        self._scout = scout
        ends = []
        for stream in (scout.stdin, scout.stdout):
            if stream is not None:
                ends.append(os.dup(stream.fileno()))
                stream.close()
        return {"pid": scout.pid}, ends


def _to_memory_file(read: Callable[[], object]) -> int:
    """Return a descriptor of what ``read`` returns, or of the problems that it found, pickled.

    It is in a memory file, as it may be too long for one message.
    """
    value: object = None
    problems: tuple[str, ...] = ()
    try:
        value = read()
    except ConfigError as error:
        problems = error.problems
    descriptor = memory_file("tallyman-answer")
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        pickle.dump((value, problems), stream)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
