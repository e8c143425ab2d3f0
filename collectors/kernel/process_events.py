"""The kernel's proc connector: events at once when a process executes a program, or ends.

Off by default: importing pyroute2 takes 22 MB and most of a second, and each program that the host
starts wakes the agent. An event only triggers a pass over /proc; it is never taken as a fact.
Documentation/driver-api/connector.rst, linux/cn_proc.h.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from collectors.hostfs import or_none
from collectors.syscalls import attach_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from collectors.facts import Process
    from collectors.hostfs import HostFS

log = logging.getLogger(__name__)

_MOST_A_SECOND = 200
"""With more events than that, on average over ten seconds, the host is too busy to listen."""

_WINDOW = 10.0
_REST = 60.0
"""Seconds without listening once the host was too busy."""

_EXEC, _EXIT = 0x00000002, 0x80000000
_WHAT, _PID, _TGID = 36, 52, 56
"""Offsets in a message, after the headers of netlink and of the connector."""


class ProcessEvents:
    """Calls ``wake`` when a program starts in a new mount namespace, or a container's init ends."""

    def __init__(self, host: HostFS, wake: Callable[[], None]) -> None:
        self._host = host
        self._wake = wake
        self._inits: AbstractSet[int] = frozenset()
        self._mounts: AbstractSet[str] = frozenset()

    def start(self) -> None:
        """Start listening, in a thread of its own."""
        threading.Thread(target=self._run, name="process events", daemon=True).start()

    def know(self, processes: Iterable[Process], inits: Iterable[int]) -> None:
        """Set which processes are known already, and which of them are the init of a container."""
        self._mounts = {f"mnt:[{number}]" for number in {p.namespaces.mnt for p in processes}}
        self._inits = frozenset(inits)

    def _run(self) -> None:
        while True:
            try:
                self._listen()
            except OSError as error:
                log.warning("process events: %s; new processes are found by polling only", error)
                return
            log.info("process events: too many on this host, not listening for %g s", _REST)
            time.sleep(_REST)

    def _listen(self) -> None:
        """Listen until there are too many events; raises OSError where it is not permitted."""
        # Only here, as most agents never need it.
        from pyroute2.netlink.connector.cn_proc import ProcEventSocket  # noqa: PLC0415

        events = ProcEventSocket()
        try:
            events.bind()
            events.control(listen=True)
            only_beginnings_and_ends(events.fileno())
            began, count = time.monotonic(), 0
            while count <= _MOST_A_SECOND * _WINDOW:
                for event in events.get():
                    count += 1
                    if self._is_news(event):
                        self._wake()
                now = time.monotonic()
                if now - began > _WINDOW:
                    began, count = now, 0
            events.control(listen=False)
        finally:
            events.close()

    def _is_news(self, event: Any) -> bool:
        if event["what"] == _EXIT:
            return event["process_pid"] in self._inits
        if event["what"] != _EXEC:
            return False
        mounts = or_none(self._host.proc.readlink, f"{event['process_pid']}/ns/mnt")
        return mounts is not None and mounts not in self._mounts  # None: it has ended already


def only_beginnings_and_ends(descriptor: int) -> None:
    """Let a socket receive only the events of processes that execute or end, not of threads.

    A filter of classic BPF, socket(7): forks and changes of names are more frequent, and what the
    kernel drops does not wake the agent. BPF loads words in network byte order, and messages are
    in the machine's.
    """
    load, load_x, equal, same, give = 0x20, 0x07, 0x15, 0x1D, 0x06
    program = (
        (load, 0, 0, _WHAT),
        (equal, 5, 0, socket.htonl(_EXEC)),
        (equal, 0, 5, socket.htonl(_EXIT)),
        (load, 0, 0, _PID),
        (load_x, 0, 0, 0),
        (load, 0, 0, _TGID),
        (same, 0, 1, 0),
        (give, 0, 0, 0xFFFFFFFF),
        (give, 0, 0, 0),
    )
    attach_filter(descriptor, program)
