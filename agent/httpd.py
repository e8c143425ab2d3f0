"""cheroot with limits that a slow, silent or rude client runs into.

Importing this takes 12 MB: only serve does.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from cheroot import wsgi
from cheroot.server import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

_CONNECTIONS = 64
"""Most connections that are open and say nothing."""

_WAITING = 64
"""Requests that wait for a thread; more are answered with 503."""

_SILENCE_SECONDS = 10
"""A connection on which nothing comes or goes for so long is closed."""

_REQUEST_SECONDS = 30.0
"""No request takes longer from its first byte to the last of its answer, however slow its client
is. Prometheus itself gives up after 10 s by default."""

_HEADER_LIMIT = 16 << 10
_BODY_LIMIT = 16 << 10
"""Nothing here takes a body; a small one is read and dropped."""

_STOP_SECONDS = 5
"""What requests under way get when the server is stopped."""


class Connection(HTTPConnection):
    """A connection whose requests have a deadline."""

    def communicate(self) -> bool:
        """Read a request and answer it; says whether the connection stays."""
        self.server.busy[self] = time.monotonic()
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self.server.busy.pop(self, None)


class Server(wsgi.Server):
    """The server; ``prepare`` listens, ``serve`` blocks, ``stop`` ends it from another thread."""

    ConnectionClass = Connection
    max_request_header_size = _HEADER_LIMIT
    max_request_body_size = _BODY_LIMIT
    keep_alive_conn_limit = _CONNECTIONS

    def __init__(
        self, address: tuple[str, int], app: Callable[..., Iterable[bytes]], threads: int
    ) -> None:
        super().__init__(
            address,
            app,
            numthreads=threads,
            max=threads,
            server_name="tallyman",
            request_queue_size=_CONNECTIONS,
            timeout=_SILENCE_SECONDS,
            shutdown_timeout=_STOP_SECONDS,
            accepted_queue_size=_WAITING,
            # The thread that accepts never waits for those that answer.
            accepted_queue_timeout=0,
        )
        self.busy: dict[Connection, float] = {}
        """Since when each connection is at work on a request."""
        self.refusal: OSError | None = None
        """Why the address could not be bound; ``prepare`` itself raises without the cause."""
        self._ended = threading.Event()

    def bind(self, family: int, type: int, proto: int = 0) -> Any:  # noqa: A002 - cheroot's name
        """Make and bind the listening socket."""
        try:
            return super().bind(family, type, proto)
        except OSError as error:
            self.refusal = error
            raise

    def serve(self) -> None:
        """Answer requests until ``stop``."""
        watchdog = threading.Thread(target=self._cut_off, name="web deadline", daemon=True)
        watchdog.start()
        try:
            super().serve()
        finally:
            self._ended.set()

    def process_conn(self, conn: Connection) -> None:
        """Hand a connection to a thread, but a new one only when its first byte is there."""
        if conn.last_used is not None:
            super().process_conn(conn)
        elif self.can_add_keepalive_connection:
            self.put_conn(conn)
        else:
            self._unservicable_conns.put(conn)  # type: ignore[attr-defined]

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Send cheroot's messages where ours go."""
        log.log(level, "%s", msg, exc_info=traceback)

    def _cut_off(self) -> None:
        while not self._ended.wait(1.0):
            oldest = time.monotonic() - _REQUEST_SECONDS
            for connection, since in list(self.busy.items()):
                if since < oldest:
                    log.info("a request was cut off after %g s", _REQUEST_SECONDS)
                    _shut(connection.socket)


def _shut(sock: Any) -> None:
    try:
        # Not close: the thread that reads or writes it wakes up with an error and closes it.
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("the client was gone already")
