"""Tells systemd how the agent does, sd_notify(3): ready, a line of status, and that it is alive.

``READY=1`` is said when the agent listens, not when its picture is complete: a hung engine delays
the picture, and must not make the start fail. /-/ready says when the picture is complete.

The watchdog is for what the agent cannot mend by itself. A scout that hangs is killed and replaced
by its supervisor, and whoever hung it is left alone afterwards: a restart by systemd would forget
that. So what counts is that the supervisor hears or does something, and that the web server
answers. Where one of them does not, systemd is told nothing more, and starts the agent anew.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model import Snapshot

log = logging.getLogger(__name__)

_INTERVAL = 10.0
"""Seconds between two looks at how things are, where the watchdog does not want them sooner."""

_ANSWER_SECONDS = 5.0
"""How long the web server may take for its first byte; it has threads that scrapes cannot take."""


class Notifier:
    """The datagram socket of whoever started the agent; without one it says nothing."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        # Taken out: it is meant for this process and not for those that it starts.
        address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        self.watchdog: float | None = None
        """After so many seconds without a word from ``alive`` the agent is started anew."""
        self._socket: socket.socket | None = None
        if not address:
            return
        try:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # "@" stands for an address in the abstract namespace.
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log.warning("NOTIFY_SOCKET %s: %s", address, error)
            return
        sock.settimeout(1.0)
        self._socket = sock
        if usec.isdecimal() and int(usec) and pid in ("", str(os.getpid())):
            self.watchdog = int(usec) / 1e6

    def ready(self) -> None:
        """Say that the agent has started, or that it has read its configuration again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again; ``ready`` says when that is done."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the agent ends."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        """Return the line that ``systemctl status`` shows."""
        self._send("STATUS=" + text.replace("\n", " "))

    def alive(self) -> None:
        """Say that every loop has advanced."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(text.encode())
        except OSError as error:
            log.debug("systemd could not be told %s: %s", text, error)

    @property
    def listened_to(self) -> bool:
        """There is somebody to tell."""
        return self._socket is not None


class Reporter:
    """Tells the notifier the status and, as long as nothing is wrong, that the agent is alive."""

    def __init__(
        self, notifier: Notifier, status: Callable[[], str], trouble: Callable[[], str]
    ) -> None:
        """Begin with nothing said. ``trouble`` gives what has stopped, empty while all is well."""
        self._notifier = notifier
        self._status = status
        self._trouble = trouble
        self._said = ""
        self._complained = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Report from a thread of its own until ``stop``."""
        if self._notifier.listened_to:
            threading.Thread(target=self._run, name="notify", daemon=True).start()

    def stop(self) -> None:
        """Say that the agent ends, and nothing afterwards."""
        self._ended.set()
        self._notifier.stopping()

    def report(self) -> None:
        """Say once how things are."""
        trouble = self._trouble()
        if not trouble:
            self._notifier.alive()
        elif not self._complained:
            # The journal then says why the watchdog bit.
            log.error("%s; systemd is no longer told that the agent is alive", trouble)
        self._complained = bool(trouble)
        status = trouble or self._status()
        if status != self._said and not self._ended.is_set():
            self._notifier.status(status)
            self._said = status

    def _run(self) -> None:
        # Three chances each time.
        interval = min(_INTERVAL, (self._notifier.watchdog or 3 * _INTERVAL) / 3)
        while not self._ended.is_set():
            self.report()
            self._ended.wait(interval)


def summary(snapshot: Snapshot) -> str:
    """Return the status in a line."""
    if not snapshot.complete:
        return "looking at this host for the first time"
    styles: dict[str, int] = {}
    for container in snapshot.containers.values():
        if not container.gone:
            style = container.verdict.style.value
            styles[style] = styles.get(style, 0) + 1
    counted = ", ".join(f"{number} {style}" for style, number in sorted(styles.items()))
    failing = sorted(health.name for health in snapshot.collectors if not health.success)
    text = f"{sum(styles.values())} containers" + (f": {counted}" if counted else "")
    return text + (f"; failing: {', '.join(failing)}" if failing else "")


def answers(address: tuple[str, int], seconds: float = _ANSWER_SECONDS) -> bool:
    """Return whether the web server at this address says anything at all to a request.

    Whether it refuses (no TLS spoken, no password given, too many connections) does not matter:
    its loop and one of its threads are at work.
    """
    try:
        with socket.create_connection((_reachable(address[0]), address[1]), seconds) as sock:
            sock.settimeout(seconds)
            sock.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            return bool(sock.recv(1))
    except OSError:
        return False


def _reachable(host: str) -> str:
    """Return the loopback address in place of the one that stands for all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
