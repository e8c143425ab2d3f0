"""cheroot with limits for slow, silent and malicious clients.

This subclasses six internal classes of cheroot (HeaderReader, HTTPRequest, HTTPConnection,
ThreadPool, the gateway and the server) and relies on their methods and attributes: that is why
pyproject.toml requires cheroot below 12. Read those classes before raising that limit.

Importing this takes 12 MB: only serve does.
"""

from __future__ import annotations

import logging
import queue
import re
import socket
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cheroot import errors, wsgi
from cheroot.makefile import MakeFile
from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest
from cheroot.workers import threadpool
from cheroot.workers.threadpool import ThreadPool, WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.web.guard import Guard

log = logging.getLogger(__name__)

_CONNECTIONS = 64
"""Most idle connections; one more replaces the one that has been idle longest."""

_WAITING = 64
"""Most requests that wait for a thread; more are answered with 503."""

_SILENCE_SECONDS = 10
"""A connection without any traffic is closed after this time."""

_HEADER_SECONDS = 10.0
"""From the first byte of a request, or of the TLS handshake, to the end of its headers."""

_HURRIED_SECONDS = 0.5
"""The same while others wait for a thread, so that half a request does not hold them up."""

_REQUEST_SECONDS = 30.0
"""From the first byte of a request to the last one of its answer, however slow the client is.
Prometheus itself gives up after 10 s by default."""

_HEADER_LIMIT = 16 << 10
_BODY_LIMIT = 16 << 10
"""No request here needs a body; a small one is read and dropped."""

_STREAM_BUFFER = 32 << 10
"""Bytes of a stream of events that the kernel keeps for a client that does not read them."""

_STOP_SECONDS = 5
"""Time for running requests to end when the server is stopped."""

_END_OF_THREAD = vars(threadpool)["_SHUTDOWNREQUEST"]
"""In the queue of requests: the thread that takes it ends."""

_NAME = re.compile(rb"[A-Za-z0-9!#$%&'*+.^`|~-]+")
"""Name of a header, RFC 9110 section 5.6.2, without the underscore: WSGI makes a dash one too."""

_ONCE = frozenset({b"Content-Length", b"Host", b"Authorization"})
"""Headers that must not repeat: a proxy and this server might each use a different one."""

_HEADERS = (
    "X-Content-Type-Options: nosniff",
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
    "Cache-Control: no-store",
    "Connection: close",
)
"""Headers of the answers that cheroot sends without the application."""


class Headers(HeaderReader):
    """Reads headers strictly: what a proxy might read differently is an error, RFC 9112."""

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Read up to the empty line. Raises ValueError."""
        headers: dict[bytes, bytes] = {} if hdict is None else hdict
        while True:
            text = rfile.readline()
            if text == b"\r\n":
                return headers
            if not text.endswith(b"\r\n"):
                raise ValueError("Each header must end with CRLF.")
            name, colon, value = text[:-2].partition(b":")
            if b"_" in name:
                continue
            # An illegal name may be a folded line, or a name with a space before its colon.
            if not colon or not _NAME.fullmatch(name):
                raise ValueError("Illegal header line.")
            if b"\0" in value or b"\r" in value:
                raise ValueError("Illegal header value.")
            name, value = name.title(), value.strip(b" \t")
            if name in headers:
                if name in _ONCE:
                    raise ValueError(f"{name.decode()} must not be repeated.")
                value = headers[name] + b", " + value
            headers[name] = value


class Request(HTTPRequest):
    """A request that answers each violated limit with the status that HTTP has for it."""

    header_reader = Headers()

    def read_request_line(self) -> bool:
        """Read the request line."""
        try:
            return bool(super().read_request_line())  # type: ignore[no-untyped-call]
        except ValueError:
            self.simple_response("400 Bad Request", "Malformed Request-URI")
            return False

    def read_request_headers(self) -> bool:
        """Read the headers; refuse what a proxy might understand differently."""
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
            self.simple_response("400 Bad Request", "A Host header is required.")
        else:
            # What follows a body is never read as another request.
            self.close_connection = self.close_connection or int(length) > 0
            return True
        return False

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer without the application, and close."""
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
    """A connection with a deadline for each request, and with TLS where that is configured."""

    RequestHandlerClass = Request
    _is_entered = False
    _is_lent = False
    """Its request was one without an end, after which it is closed."""
    is_cut_off = False
    """It exceeded a deadline; its thread may need a while to notice."""

    def communicate(self) -> bool:
        """Read a request and answer it; return whether the connection stays open."""
        busy, now = self.server.busy, time.monotonic()
        busy[self] = (now + _HEADER_SECONDS, now + _REQUEST_SECONDS)
        self.server.wanted.set()
        try:
            stays = self._enter() and bool(super().communicate())  # type: ignore[no-untyped-call]
            return stays and not self._is_lent
        finally:
            busy.pop(self, None)

    def close(self) -> None:
        """Close it. After a failed handshake it is closed already: that would stop cheroot."""
        try:
            super().close()
        except OSError as error:
            log.debug("%s was closed already: %s", self.remote_addr, error)
        finally:
            self.server.idle.pop(self, None)

    def has_headers(self) -> None:
        """Note that the headers are complete: from now on only the request's deadline applies."""
        deadlines = self.server.busy.get(self)
        if deadlines is not None:
            self.server.busy[self] = (deadlines[1], deadlines[1])

    def lend(self) -> Callable[[], None]:
        """Make its request one without an end: no deadline but that of each write applies.

        Another thread is started in place of the one that this takes; what is returned ends one
        again. Raises RuntimeError where there can be no more threads.
        """
        threads: _Threads = self.server.requests
        threads.lend()
        self._is_lent = True
        self.server.busy.pop(self, None)
        with suppress(OSError):
            # What a client does not read is kept by the kernel, up to this.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STREAM_BUFFER)
        return threads.take_back

    def _enter(self) -> bool:
        """Do the TLS handshake where it is still to be done; return whether it succeeded.

        It takes as long as the client likes, and cheroot would do it in the thread that accepts.
        """
        gate = self.server.guard.gate if self.server.guard is not None else None
        if self._is_entered or gate is None:
            self._is_entered = True
            return True
        from agent.web.tls import RefusedError  # noqa: PLC0415 - brings OpenSSL

        try:
            # In two steps, so that the deadline can shut down the new socket during the handshake.
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
        """Return whether TLS has already buffered the next request."""
        pending = getattr(self.socket, "pending", None)
        return pending is not None and pending() > 0


class _Threads(ThreadPool):
    """Threads that start in ``begin``, after the process has dropped its privileges."""

    def __init__(self, server: Server, threads: int) -> None:
        super().__init__(
            server,
            min=threads,
            max=threads,
            accepted_queue_size=_WAITING,
            # The thread that accepts never waits for those that answer.
            accepted_queue_timeout=0,
        )
        self._waiting: queue.Queue[Any] = vars(self)["_queue"]
        self._running: list[WorkerThread] = vars(self)["_threads"]
        self._lending = threading.Lock()
        self._owed = 0
        """Threads more than there should be."""

    def start(self) -> None:
        """Do nothing: cheroot calls this as soon as it listens."""

    def begin(self) -> None:
        """Start the threads."""
        super().start()

    def lend(self) -> None:
        """Start another thread, in place of one that is kept busy for long."""
        with self._lending:
            self._running[:] = [t for t in self._running if t.is_alive()]
            if self._owed:
                self._owed -= 1
            else:
                self._running.append(self._spawn_worker())

    def take_back(self) -> None:
        """Have one thread end."""
        with self._lending:
            try:
                self._waiting.put_nowait(_END_OF_THREAD)
            except queue.Full:
                self._owed += 1

    def _spawn_worker(self) -> WorkerThread:
        """Start one thread. None keeps a process from ending whose main thread has ended.

        Where threads run out, as by RLIMIT_NPROC or pids.max, cheroot raises an error, and forgets
        those that it has started.
        """
        worker = WorkerThread(self.server)  # type: ignore[no-untyped-call]
        worker.name = f"web {worker.name}"
        worker.daemon = True
        worker.start()
        return worker


class _Gateway(wsgi.Gateway_10):
    """Tells the application, besides what WSGI says, how an answer becomes one without an end."""

    def get_environ(self) -> Any:
        """Return the environment of a request."""
        environ: Any = super().get_environ()  # type: ignore[no-untyped-call]
        return {**environ, "tallyman.stream": self.req.conn.lend}


class Server(wsgi.Server):
    """The server; ``prepare`` listens, ``serve`` blocks, ``stop`` ends it from another thread."""

    ConnectionClass = Connection
    max_request_header_size = _HEADER_LIMIT
    max_request_body_size = _BODY_LIMIT
    keep_alive_conn_limit = _CONNECTIONS
    expiration_interval = 1.0
    """Seconds between two checks for idle connections, and for whether to stop."""

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
        self.gateway = _Gateway
        self.requests = _Threads(self, threads)
        self.guard = guard
        self.busy: dict[Connection, tuple[float, float]] = {}
        """Deadlines by busy connection: of its current step, and of the whole request."""
        self.wanted = threading.Event()
        """Set while a connection may be busy; otherwise the watchdog sleeps."""
        self.idle: OrderedDict[Connection, None] = OrderedDict()
        """Idle connections, the longest idle first, without those being closed."""
        self.refusal: OSError | None = None
        """Why the address could not be bound, which ``prepare`` does not say when it raises."""
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
        """Hand a connection to a thread; a new one only once its first byte has come."""
        if conn.last_used is not None:
            self.idle.pop(conn, None)
            super().process_conn(conn)
            return
        if not self.can_add_keepalive_connection:
            self._make_room()
        self.put_conn(conn)

    def put_conn(self, conn: Connection) -> None:
        """Take back a connection that stays open."""
        if conn.has_more():
            self.process_conn(conn)
            return
        self.idle[conn] = None
        super().put_conn(conn)

    def _make_room(self) -> None:
        """Close the longest idle connection; otherwise idle clients could keep all others out.

        Only its reading side is shut down: cheroot may have seen it become readable in this very
        round, and then what it has sent is still answered.
        """
        try:
            oldest, _ = self.idle.popitem(last=False)
        except KeyError:  # all of them have become busy
            return
        log.debug("%s is closed: too many connections are idle", oldest.remote_addr)
        _shut(oldest.socket, socket.SHUT_RD)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log cheroot's messages; a connection that a client has broken is not an error."""
        if isinstance(sys.exc_info()[1], OSError):
            level, traceback = logging.DEBUG, False
        log.log(level, "%s", msg, exc_info=traceback)

    def _cut_off(self) -> None:
        while not self._ended.wait(0.25):
            if not self.busy:
                self.wanted.clear()
                if not self.busy:  # none has become busy in between
                    self.wanted.wait()
            now = time.monotonic()
            hurry = _HEADER_SECONDS - _HURRIED_SECONDS if self.requests.qsize else 0.0
            for connection, (until, last) in list(self.busy.items()):
                if until - (hurry if until < last else 0.0) < now:
                    if not connection.is_cut_off:
                        connection.is_cut_off = True
                        log.info(
                            "a request of %s was aborted: it took too long", connection.remote_addr
                        )
                    # Each time: its thread may be just replacing the socket by one with TLS.
                    _shut(connection.socket)


def _shut(sock: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        # Not close: the thread that reads or writes it gets an error and closes it. And not the
        # method of SSLSocket, which would discard the TLS state that this thread is using.
        socket.socket.shutdown(sock, how)
    except OSError:
        log.debug("the client was gone already")
