"""The kernel's proc connector: it says at once which process executes a program, and which ends.

Off unless asked for: pyroute2 takes 22 MB and most of a second, and every program that the host
starts wakes the agent. What comes in is used as a hint to look, never as a fact.
Documentation/driver-api/connector.rst, linux/cn_proc.h.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from collectors.hostfs import HostReadError
from collectors.syscalls import attach_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from collectors.facts import Process
    from collectors.hostfs import HostFS

log = logging.getLogger(__name__)

_MOST_A_SECOND = 200
"""A host that starts and ends more programs than that, over ten seconds, is not calm."""

_WINDOW = 10.0
_REST = 60.0
"""Seconds for which a host that is not calm is left to the clock."""

_EXEC, _EXIT = 0x00000002, 0x80000000
_WHAT, _PID, _TGID = 36, 52, 56
"""Offsets in a message: the headers of netlink and of the connector come first."""


class ProcessEvents:
    """Wakes whoever wants it when a program begins in mounts that are new, or a container ends."""

    def __init__(self, host: HostFS, wake: Callable[[], None]) -> None:
        self._host = host
        self._wake = wake
        self._inits: AbstractSet[int] = frozenset()
        self._mounts: AbstractSet[str] = frozenset()

    def start(self) -> None:
        """Begin to listen, in a thread of its own."""
        threading.Thread(target=self._run, name="process events", daemon=True).start()

    def know(self, processes: Iterable[Process], inits: Iterable[int]) -> None:
        """Say what is no news any more, and which processes are the first of a container."""
        self._mounts = {f"mnt:[{number}]" for number in {p.namespaces.mnt for p in processes}}
        self._inits = frozenset(inits)

    def _run(self) -> None:
        while True:
            try:
                self._listen()
            except OSError as error:
                log.warning("process events: %s; new processes are found by the clock only", error)
                return
            log.info("process events: too many on this host, not listening for %g s", _REST)
            time.sleep(_REST)

    def _listen(self) -> None:
        """Listen until there are too many; raises OSError where it is not permitted."""
        # Most agents never come here.
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
        try:
            mounts = self._host.proc.readlink(f"{event['process_pid']}/ns/mnt")
        except HostReadError:
            return False  # over already
        return mounts not in self._mounts


def only_beginnings_and_ends(descriptor: int) -> None:
    """Have the kernel pass on nothing but executions and ends of processes, not of threads.

    A filter of classic BPF, socket(7): a host forks and changes names more than it starts programs,
    and what the kernel drops wakes nobody. Numbers in a message are the machine's, BPF's are the
    network's.
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
