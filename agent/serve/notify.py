"""Notifies systemd, sd_notify(3): that the agent is ready and alive, and a line of status.

``READY=1`` is sent when the agent listens, not when its inventory is complete: a hung engine delays
that, and must not make the start fail. /-/ready answers when it is complete.

The watchdog is for what the agent cannot repair itself. A scout that hangs is killed and replaced
by its supervisor, which then skips what hung it; a restart by systemd would forget that. So the
agent counts as alive while the supervisor hears or does something, and the web server answers. If
one of them does not, nothing more is sent, and systemd restarts the agent.
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
"""Seconds between two reports, unless the watchdog needs them more often."""

_ANSWER_SECONDS = 5.0
"""How long the web server may take for its first byte; some of its threads serve no scrapes."""


class Notifier:
    """The datagram socket that systemd gave the agent; without one nothing is sent."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        # Removed from the environment: they are for this process, not for those that it starts.
        address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        self.watchdog: float | None = None
        """Seconds after the last ``alive`` at which systemd restarts the agent; None: never."""
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
        """Send that the agent has started, or has read its configuration again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Send that the configuration is being read again; ``ready`` ends that state."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Send that the agent ends."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        """Send the line that ``systemctl status`` shows."""
        self._send("STATUS=" + text.replace("\n", " "))

    def alive(self) -> None:
        """Send that every loop has advanced."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(text.encode())
        except OSError as error:
            log.debug("systemd could not be sent %s: %s", text, error)

    @property
    def is_connected(self) -> bool:
        """Whether systemd, or another manager, receives what is sent."""
        return self._socket is not None


class Reporter:
    """Sends the status and, as long as nothing is wrong, that the agent is alive."""

    def __init__(
        self, notifier: Notifier, status: Callable[[], str], trouble: Callable[[], str]
    ) -> None:
        """Begin with nothing sent. ``trouble`` returns what has stopped; "" if nothing has."""
        self._notifier = notifier
        self._status = status
        self._trouble = trouble
        self._sent_status = ""
        self._in_trouble = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Report from a thread of its own until ``stop``."""
        if self._notifier.is_connected:
            threading.Thread(target=self._run, name="notify", daemon=True).start()

    def stop(self) -> None:
        """Send that the agent ends, and nothing afterwards."""
        self._ended.set()
        self._notifier.stopping()

    def report(self) -> None:
        """Send one report."""
        trouble = self._trouble()
        if not trouble:
            self._notifier.alive()
        elif not self._in_trouble:
            # So that the journal says why the watchdog restarted the agent.
            log.error("%s; systemd is no longer notified that the agent is alive", trouble)
        self._in_trouble = bool(trouble)
        status = trouble or self._status()
        if status != self._sent_status and not self._ended.is_set():
            self._notifier.status(status)
            self._sent_status = status

    def _run(self) -> None:
        # Two of three reports may be late.
        interval = min(_INTERVAL, (self._notifier.watchdog or 3 * _INTERVAL) / 3)
        while not self._ended.is_set():
            self.report()
            self._ended.wait(interval)


def summary(snapshot: Snapshot) -> str:
    """Return the status as one line."""
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
    """Return whether the web server at this address answers a request with anything at all.

    It may refuse it (no TLS, no password, too many connections): its loop and one of its threads
    work.
    """
    try:
        with socket.create_connection((_reachable(address[0]), address[1]), seconds) as sock:
            sock.settimeout(seconds)
            sock.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            return bool(sock.recv(1))
    except OSError:
        return False


def _reachable(host: str) -> str:
    """Return the loopback address for the one that stands for all addresses, any other as it is."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
