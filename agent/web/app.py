"""The WSGI application: the page of metrics, HTML pages without JavaScript, the API."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client.exposition import choose_encoder

from agent.exposition import OPENMETRICS_TYPE, TEXT_TYPE, compressed
from agent.web.answers import accepts_gzip, preferences, start

if TYPE_CHECKING:
    from agent.config import Config
    from agent.exposition import Reading
    from agent.model import Snapshot
    from agent.web.answers import StartResponse
    from agent.web.api import Api

log = logging.getLogger(__name__)

_SLOT_SECONDS = 1.0
"""How long a scrape waits for another one to end before it is answered with 503."""

Reload = Callable[[], Sequence[str]]
"""Reloads the configuration and returns what is wrong with it."""

_OK = "200 OK"
_UNAVAILABLE = "503 Service Unavailable"


class PageSource(Protocol):
    """What the pages are made of."""

    @property
    def ready(self) -> bool:
        """Whether the first complete snapshot is there."""

    def snapshot(self) -> Snapshot:
        """Return the latest snapshot."""

    def metrics(self, openmetrics: bool) -> Iterator[bytes]:
        """Return the page of metrics in pieces."""

    def read_counters(self) -> Reading:
        """Read the counters now."""

    def follow(self, follower: Callable[[Snapshot, Snapshot], None] | None) -> None:
        """Have somebody told of each new snapshot, or nobody any more."""


class App:
    """The WSGI application, PEP 3333."""

    def __init__(self, source: PageSource, config: Config, reload: Reload | None = None) -> None:
        self._source = source
        self._reload = reload
        self._telemetry_path = config.web.telemetry_path
        self._max_scrapes = config.web.max_requests
        self._slots = threading.BoundedSemaphore(self._max_scrapes)
        self._api: Api | None = None
        self._changing = threading.Lock()

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"].startswith("/api/"):
            raw = environ["PATH_INFO"].encode("latin-1")
            try:
                path = raw.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                path = os.fsdecode(raw)
            return self._with_api().answer(environ, path, start_response)
        reloads = environ["PATH_INFO"] == "/-/reload"
        methods = ("POST", "PUT") if reloads else ("GET", "HEAD")
        if environ["REQUEST_METHOD"] not in methods:
            allow = [("Allow", ", ".join(methods))]
            return plain(start_response, "405 Method Not Allowed", headers=allow)
        if reloads:
            return self._answer_reload(start_response)
        try:
            # WSGI passes bytes as latin-1; a container's id need not be valid UTF-8.
            path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return plain(start_response, "404 Not Found")
        if path == self._telemetry_path:
            return self._scrape(environ, start_response)
        body = self._page(path, start_response)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    def close(self) -> None:
        """End the event streams, which have no end of their own."""
        with self._changing:
            if self._api is not None:
                self._api.close()

    def _with_api(self) -> Api:
        # Imported here: the API takes no memory until it is used.
        from agent.web.api import Api  # noqa: PLC0415

        with self._changing:
            if self._api is None:
                self._api = Api(self._source)
            return self._api

    def _page(self, path: str, start_response: StartResponse) -> list[bytes]:
        match path:
            case "/":
                # Imported here: the pages take no memory until one of them is opened.
                from agent.web.page import front  # noqa: PLC0415

                html = front(
                    self._source.snapshot(), self._telemetry_path, ready=self._source.ready
                )
                return _html(start_response, html)
            case "/-/healthy":
                return plain(start_response, _OK, "Tallyman is healthy.")
            case "/-/ready" if self._source.ready:
                return plain(start_response, _OK, "Tallyman is ready.")
            case "/-/ready":
                text = "The first scan of this host is not complete yet."
                return plain(start_response, _UNAVAILABLE, text)
        if path.startswith("/containers/"):
            from agent.web.page import detail  # noqa: PLC0415

            snapshot = self._source.snapshot()
            container = snapshot.containers.get(path.removeprefix("/containers"))
            if container is not None:
                return _html(start_response, detail(container, snapshot))
        return plain(start_response, "404 Not Found")

    def _answer_reload(self, start_response: StartResponse) -> list[bytes]:
        if self._reload is None:
            text = "Reloading by HTTP is off; --web.enable-lifecycle switches it on."
            return plain(start_response, "403 Forbidden", text)
        problems = self._reload()
        if problems:
            # The problems are in the log alone: the client may not be entitled to see the file.
            text = "The configuration has errors and was not changed; the log lists them."
            return plain(start_response, "500 Internal Server Error", text)
        return plain(start_response, _OK, "The configuration was reloaded.")

    def _scrape(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        openmetrics = accepts_openmetrics(environ.get("HTTP_ACCEPT", ""))
        gzip = accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        headers = [
            ("Content-Type", OPENMETRICS_TYPE if openmetrics else TEXT_TYPE),
            ("Vary", "Accept, Accept-Encoding"),
        ]
        if gzip:
            headers.append(("Content-Encoding", "gzip"))
        if environ["REQUEST_METHOD"] == "HEAD":
            start(start_response, _OK, headers)
            return []
        if not self._slots.acquire(timeout=_SLOT_SECONDS):
            log.warning("a scrape was refused: %d are already running", self._max_scrapes)
            text = f"{self._max_scrapes} scrapes are already running, which is the limit."
            return plain(start_response, _UNAVAILABLE, text, headers=[("Retry-After", "1")])
        try:
            pieces = self._source.metrics(openmetrics)
            if gzip:
                pieces = compressed(pieces)
        except BaseException:
            self._slots.release()
            raise
        start(start_response, _OK, headers)
        return _Scrape(pieces, self._slots.release)


class _Scrape:
    """The pieces of a scrape; ``close``, which a WSGI server always calls, frees its slot."""

    def __init__(self, pieces: Iterator[bytes], release: Callable[[], None]) -> None:
        self._pieces = pieces
        self._release = release

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Free the slot for the next scrape."""
        self._release()


def make_app(source: PageSource, config: Config, reload: Reload | None = None) -> App:
    """Return the application; ``reload`` is only used if the configuration enables it."""
    return App(source, config, reload if config.web.enable_lifecycle else None)


_FORMATS = frozenset({"application/openmetrics-text", "text/plain", "text/*", "*/*"})
"""Media types a client may accept that this server writes."""


def accepts_openmetrics(accept: str) -> bool:
    """Return whether a client prefers OpenMetrics 1.0.0 to the text format 0.0.4.

    prometheus_client decides among the types with the highest quality, as it ignores ``q=``
    itself. It knows later versions, which get the text format here.
    """
    wanted = [
        (quality, part)
        for part, quality in preferences(accept)
        if quality > 0 and part.partition(";")[0] in _FORMATS
    ]
    best = max((quality for quality, _ in wanted), default=0.0)
    try:
        _, kind = choose_encoder(",".join(part for quality, part in wanted if quality == best))
    except (TypeError, ValueError):  # a version that is not a number
        return False
    return kind.startswith("application/openmetrics-text; version=1.0.0")


def plain(
    start_response: StartResponse,
    status: str,
    text: str = "",
    *,
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Answer with a line of text, by default the status itself."""
    body = f"{text or status}\n".encode()
    kind = ("Content-Type", "text/plain; charset=utf-8")
    start(start_response, status, [kind, ("Content-Length", str(len(body))), *headers])
    return [body]


def _html(start_response: StartResponse, html: str) -> list[bytes]:
    from agent.web.page import CONTENT_SECURITY_POLICY  # noqa: PLC0415

    body = html.encode()
    kind = ("Content-Type", "text/html; charset=utf-8")
    length = ("Content-Length", str(len(body)))
    start(start_response, _OK, [kind, length], CONTENT_SECURITY_POLICY)
    return [body]
