"""The web server: binds at once, answers with a bounded number of threads, stops cleanly."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from agent.config.sections import parse_address

if TYPE_CHECKING:
    from agent.config import Config
    from agent.web.guard import Guard

log = logging.getLogger(__name__)

_MARGIN_THREADS = 4
"""Threads in addition to those for scrapes, so that /-/healthy and the pages always answer."""


class CannotListenError(Exception):
    """The address cannot be bound; the message says why and what to do, in one line."""


class WebServer:
    """``bind`` first, then ``serve_forever``, which blocks; ``stop`` from any thread."""

    def __init__(
        self, config: Config, app: Callable[..., Iterable[bytes]], guard: Guard | None = None
    ) -> None:
        self._listen_address = config.web.listen_address
        self._app = app if guard is None else guard.protect(app)
        self._close: Callable[[], None] = getattr(app, "close", lambda: None)
        self._guard = guard
        self._threads = config.web.max_requests + _MARGIN_THREADS
        self._server: Any = None

    @property
    def address(self) -> tuple[str, int]:
        """The bound host and port; the actual port if the configured one is 0."""
        host, port = self._server.bind_addr
        return str(host), int(port)

    def bind(self) -> None:
        """Listen; clients that connect from now on wait for ``serve_forever``.

        Raises ``CannotListenError``.
        """
        from agent.web.httpd import Server  # noqa: PLC0415 - brings cheroot

        host, port = parse_address(self._listen_address)
        server = Server((host or _every_address(), port), self._app, self._threads, self._guard)
        try:
            server.prepare()
        except OSError as error:
            why = server.refusal or error
            raise CannotListenError(
                f"cannot listen on {self._listen_address}: {why.strerror or why}; "
                "name another address with --web.listen-address"
            ) from error
        self._server = server
        shown, port = self.address
        shown = f"[{shown}]" if ":" in shown else shown
        encrypted = self._guard is not None and self._guard.is_encrypted
        log.info("listening on %s://%s:%d/", "https" if encrypted else "http", shown, port)
        if _is_loopback(self.address[0]):
            return
        if self._guard is None or not self._guard.asks:
            log.warning(
                "anyone who can reach %s:%d can read what runs on this host, without a password: "
                "listen on 127.0.0.1, or set a password with --web.config.file",
                shown,
                port,
            )
        elif not encrypted:
            log.warning(
                "passwords for %s:%d are sent unencrypted: add tls_server_config to the file of "
                "--web.config.file",
                shown,
                port,
            )

    def serve_forever(self) -> None:
        """Answer until ``stop``. Blocks."""
        self._server.serve()

    def stop(self) -> None:
        """Stop listening, give running requests some seconds to end, and end the threads."""
        self._close()
        if self._server is not None:
            self._server.stop()


def _every_address() -> str:
    """Return the wildcard address: that of IPv6, which takes IPv4 as well, where there is IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return "0.0.0.0"  # noqa: S104 - asked for by an address without a host
    return "::"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
