"""cheroot with limits that a slow, silent or rude client runs into.

Importing this takes 12 MB: only serve does.
"""

from __future__ import annotations

import logging
import re
import socket
import sys
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from cheroot import errors, wsgi
from cheroot.makefile import MakeFile
from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest
from cheroot.workers.threadpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.web.guard import Guard

log = logging.getLogger(__name__)

_CONNECTIONS = 64
"""Most connections that are open and say nothing; for one more, the longest silent has to go."""

_WAITING = 64
"""Requests that wait for a thread; more are answered with 503."""

_SILENCE_SECONDS = 10
"""A connection on which nothing comes or goes for so long is closed."""

_HEADER_SECONDS = 10.0
"""From a request's first byte, or that of TLS, to the end of its headers."""

_HURRIED_SECONDS = 0.5
"""The same while others wait for a thread: who sends half a request must not keep them waiting."""

_REQUEST_SECONDS = 30.0
"""No request takes longer from its first byte to the last of its answer, however slow its client
is. Prometheus itself gives up after 10 s by default."""

_HEADER_LIMIT = 16 << 10
_BODY_LIMIT = 16 << 10
"""Nothing here takes a body; a small one is read and dropped."""

_STOP_SECONDS = 5
"""What requests under way get when the server is stopped."""

_NAME = re.compile(rb"[A-Za-z0-9!#$%&'*+.^`|~-]+")
"""Of a header, RFC 9110 section 5.6.2, without the underscore: in WSGI's names it is a dash."""

_ONCE = frozenset({b"Content-Length", b"Host", b"Authorization"})
"""Headers that two of would be read differently by us and by what stands before us."""

_HEADERS = (
    "X-Content-Type-Options: nosniff",
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
    "Cache-Control: no-store",
    "Connection: close",
)
"""Besides what our application says itself: those of answers that it never sees."""


class Headers(HeaderReader):
    """Reads headers by the letter: what a proxy might read differently is an error, RFC 9112."""

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Read up to the empty line. Raises ValueError."""
        found: dict[bytes, bytes] = {} if hdict is None else hdict
        while True:
            text = rfile.readline()
            if text == b"\r\n":
                return found
            if not text.endswith(b"\r\n"):
                raise ValueError("Each header must end with CRLF.")
            name, colon, value = text[:-2].partition(b":")
            if b"_" in name:
                continue
            # A name that is none may be a line that goes on, or one with a blank before its colon.
            if not colon or not _NAME.fullmatch(name):
                raise ValueError("Illegal header line.")
            if b"\0" in value or b"\r" in value:
                raise ValueError("Illegal header value.")
            name, value = name.title(), value.strip(b" \t")
            if name in found:
                if name in _ONCE:
                    raise ValueError(f"{name.decode()} must stand there once.")
                value = found[name] + b", " + value
            found[name] = value


class Request(HTTPRequest):
    """A request whose limits end in the status that is meant for them."""

    header_reader = Headers()

    def read_request_line(self) -> bool:
        """Read the first line."""
        try:
            return bool(super().read_request_line())  # type: ignore[no-untyped-call]
        except ValueError:
            self.simple_response("400 Bad Request", "Malformed Request-URI")
            return False

    def read_request_headers(self) -> bool:
        """Read the headers, and refuse what we and a proxy might understand differently."""
        try:
            read = bool(super().read_request_headers())  # type: ignore[no-untyped-call]
        except errors.MaxSizeExceeded:
            self.simple_response("431 Request Header Fields Too Large")
            return False
        if not read:
            return False
        self.conn.has_headers()
        length = self.inheaders.get(b"Content-Length", b"0")
        if b"Transfer-Encoding" in self.inheaders:
            self.simple_response("411 Length Required")
        elif not length.isdigit():
            self.simple_response("400 Bad Request", "Malformed Content-Length Header.")
        elif b"Host" not in self.inheaders and self.response_protocol == "HTTP/1.1":
            self.simple_response("400 Bad Request", "There must be a Host header.")
        else:
            # What comes after a body is not read as another request.
            self.close_connection = self.close_connection or int(length) > 0
            return True
        return False

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer what our application never sees, and close."""
        self.close_connection = True
        body = (msg or status).encode() + b"\n"
        lines = (
            f"{self.server.protocol} {status}",
            f"Content-Length: {len(body)}",
            "Content-Type: text/plain; charset=utf-8",
            *_HEADERS,
            "\r\n",
        )
        head = "\r\n".join(lines).encode("latin-1")
        try:
            self.conn.wfile.write(head if getattr(self, "method", b"") == b"HEAD" else head + body)
        except OSError as error:
            log.debug("the client was gone already: %s", error)


class Connection(HTTPConnection):
    """A connection whose requests have a deadline, and whose first bytes may be those of TLS."""

    RequestHandlerClass = Request
    _is_entered = False

    def communicate(self) -> bool:
        """Read a request and answer it; says whether the connection stays."""
        busy, now = self.server.busy, time.monotonic()
        busy[self] = (now + _HEADER_SECONDS, now + _REQUEST_SECONDS)
        self.server.wanted.set()
        try:
            return self._enter() and bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            busy.pop(self, None)

    def close(self) -> None:
        """Close it; one that did not get in is closed already, and cheroot would end all for it."""
        try:
            super().close()
        except OSError as error:
            log.debug("%s was closed already: %s", self.remote_addr, error)
        finally:
            self.server.silent.pop(self, None)

    def has_headers(self) -> None:
        """Note that the headers of the request are there: from here on its whole deadline holds."""
        deadlines = self.server.busy.get(self)
        if deadlines is not None:
            self.server.busy[self] = (deadlines[1], deadlines[1])

    def _enter(self) -> bool:
        """Shake hands where that is still to be done.

        It takes as long as the client likes, and cheroot would do it in the thread that accepts.
        """
        gate = self.server.guard.gate if self.server.guard is not None else None
        if self._is_entered or gate is None:
            self._is_entered = True
            return True
        from agent.web.tls import RefusedError  # noqa: PLC0415 - brings OpenSSL

        try:
            # Two steps: the deadline is for the socket that is ours while hands are shaken.
            self.socket = secured = gate.wrap(self.socket)
            secured.settimeout(self.server.timeout)
            gate.admit(secured)
        except RefusedError as error:
            log.debug("%s was refused: %s", self.remote_addr, error)
            if error.plain:
                request = Request(self.server, self)
                request.simple_response("400 Bad Request", "This port speaks TLS: https://")
            return False
        except OSError:
            return False
        self.rfile = MakeFile(self.socket, "rb", self.rbufsize)
        self.wfile = MakeFile(self.socket, "wb", self.wbufsize)
        self.ssl_env = {"wsgi.url_scheme": "https", "HTTPS": "on"}
        self._is_entered = True
        return True

    def has_more(self) -> bool:
        """Another request has come already, and lies in a buffer of TLS."""
        pending = getattr(self.socket, "pending", None)
        return pending is not None and pending() > 0


class _Threads(ThreadPool):
    """Threads that begin with ``begin``: what the process gives up before, they never had."""

    def start(self) -> None:
        """Do nothing yet: cheroot calls this when it listens."""

    def begin(self) -> None:
        """Start the threads."""
        super().start()


class Server(wsgi.Server):
    """The server; ``prepare`` listens, ``serve`` blocks, ``stop`` ends it from another thread."""

    ConnectionClass = Connection
    max_request_header_size = _HEADER_LIMIT
    max_request_body_size = _BODY_LIMIT
    keep_alive_conn_limit = _CONNECTIONS
    expiration_interval = 1.0
    """Seconds between two looks for connections that are silent, and for whether to stop."""

    def __init__(
        self,
        address: tuple[str, int],
        app: Callable[..., Iterable[bytes]],
        threads: int,
        guard: Guard | None = None,
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
        )
        self.requests = _Threads(
            self,
            min=threads,
            max=threads,
            accepted_queue_size=_WAITING,
            # The thread that accepts never waits for those that answer.
            accepted_queue_timeout=0,
        )
        self.guard = guard
        self.busy: dict[Connection, tuple[float, float]] = {}
        """Until when each connection at work must have done what it is at, and all of it."""
        self.wanted = threading.Event()
        """Set while a connection may be at work: at rest nobody looks at the clock."""
        self.silent: OrderedDict[Connection, None] = OrderedDict()
        """Those that say nothing, longest first, without those that were told to go."""
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
        self.requests.begin()
        watchdog = threading.Thread(target=self._cut_off, name="web deadline", daemon=True)
        watchdog.start()
        try:
            super().serve()
        finally:
            self._ended.set()
            self.wanted.set()

    def process_conn(self, conn: Connection) -> None:
        """Hand a connection to a thread, but a new one only when its first byte is there."""
        if conn.last_used is not None:
            self.silent.pop(conn, None)
            super().process_conn(conn)
            return
        if not self.can_add_keepalive_connection:
            self._make_room()
        self.put_conn(conn)

    def put_conn(self, conn: Connection) -> None:
        """Take back a connection that stays."""
        if conn.has_more():
            self.process_conn(conn)
            return
        self.silent[conn] = None
        super().put_conn(conn)

    def _make_room(self) -> None:
        """Let the longest silent go: refusing who comes would let the silent keep all others out.

        It is not closed here, as cheroot may have heard of it in this very round. It reads as ended
        instead, and what it has said just now is still answered.
        """
        try:
            oldest, _ = self.silent.popitem(last=False)
        except KeyError:  # they have all begun to speak
            return
        log.debug("%s has to go: there are too many that say nothing", oldest.remote_addr)
        _shut(oldest.socket, socket.SHUT_RD)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Send cheroot's messages where ours go; a client's broken connection is no error."""
        if isinstance(sys.exc_info()[1], OSError):
            level, traceback = logging.DEBUG, False
        log.log(level, "%s", msg, exc_info=traceback)

    def _cut_off(self) -> None:
        while not self._ended.wait(0.25):
            if not self.busy:
                self.wanted.clear()
                if not self.busy:  # nobody has come in between
                    self.wanted.wait()
            now = time.monotonic()
            hurry = _HEADER_SECONDS - _HURRIED_SECONDS if self.requests.qsize else 0.0
            for connection, (until, last) in list(self.busy.items()):
                if until - (hurry if until < last else 0.0) < now:
                    log.info(
                        "a request of %s was cut off: it took too long", connection.remote_addr
                    )
                    _shut(connection.socket)


def _shut(sock: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        # Not close: the thread that reads or writes it wakes up with an error and closes it. And
        # not TLS's own, which would tear down what that thread is using.
        socket.socket.shutdown(sock, how)
    except OSError:
        log.debug("the client was gone already")
