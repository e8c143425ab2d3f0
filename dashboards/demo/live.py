"""The made-up hosts go on living: a small web server that answers for each of them."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboards.demo.world import World

_SHORTEST = 1.0
"""Seconds that go by at least between two steps of the world."""


class Live:
    """Serves one host's page on each port, from a world that follows the clock."""

    def __init__(self, world: World, ports: Mapping[str, int]) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._at = 0.0
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", port), self._handler(instance))
            for instance, port in ports.items()
        ]

    def start(self) -> None:
        """Begin to answer."""
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def page(self, instance: str) -> bytes | None:
        """Return a host's page as it is now; None where it does not answer."""
        with self._lock:
            at = time.time() - self._world.end
            step = at - self._at
            if step >= _SHORTEST:
                self._world.advance(at, step)
                self._at = at
            page = dict(self._world.pages(self._at, _SHORTEST))[instance]
        return None if page is None else page.text().encode()

    def _handler(self, instance: str) -> type[BaseHTTPRequestHandler]:
        live = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = live.page(instance)
                # On a busy machine Prometheus may not wait for it.
                with suppress(ConnectionError):
                    self.send_response(503 if body is None else 200)
                    self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                    self.end_headers()
                    self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing of each scrape."""

        return Handler
