"""The sockets of a container as they are shown: which program can be reached, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.identity import identify
from agent.model import Socket

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from collectors.facts import Listener, Process

SOCKETS_SHOWN = 64
NAME_LIMIT = 100
"""Longest name of a program that is shown: whoever made the container chose it."""

_PASSING = 32768
"""From here on the kernel gives out ports by itself, ip_local_port_range of ip(7): a socket of UDP
that has one asks somebody, and is another one each time."""


def shown_sockets(
    listeners: Iterable[Listener], owners: Mapping[int, int], members: Sequence[Process]
) -> tuple[Socket, ...]:
    """Return the sockets of TCP and UDP among some; ``owners`` are pids by the socket's inode."""
    by_pid = {process.pid: process for process in members}
    sockets = set()
    for listener in listeners:
        protocol = listener.protocol.removesuffix("6")
        if protocol not in ("tcp", "udp") or (protocol == "udp" and listener.port >= _PASSING):
            continue
        process = by_pid.get(owners.get(listener.inode or 0, 0))
        sockets.add(
            Socket(
                protocol=protocol,
                address=listener.address,
                port=listener.port,
                program=program_name(process) if process is not None else "",
                pid=process.pid if process is not None else None,
            )
        )
    found = sorted(sockets, key=lambda s: (s.port, s.protocol, s.address, s.pid or 0))
    return tuple(found[:SOCKETS_SHOWN])


def program_name(process: Process) -> str:
    """Return the name of the program that a process runs, cut to what is shown."""
    return identify(process).title[:NAME_LIMIT]
