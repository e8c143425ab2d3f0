"""What others can reach in a container's network, and which program it belongs to.

A listening socket is dear to forge: whoever opens one to be taken for a server, serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.classifier.scene import Program
    from agent.model import Subject
    from collectors.facts import Listener

_LOOPBACK = "::1"
SSH, TELNET = 22, 23
LOGINS = frozenset({SSH, TELNET})
_SYSLOG = frozenset({514, 601, 6514})
"""syslog, syslog-conn and syslog-tls in the registry of service names, RFC 6335."""
_PORTS: Mapping[str, frozenset[int]] = {
    "mail": frozenset({25, 110, 143, 465, 587, 993, 995, 2525, 4190}),
    "mysql": frozenset({3306, 33060}),
    "postgres": frozenset({5432, 6432}),
    "redis": frozenset({6379, 26379}),
    "memcached": frozenset({11211}),
    "mongodb": frozenset({27017}),
    "openldap": frozenset({389, 636}),
}
"""Ports of programs that often serve only what runs beside them."""


def is_outward(listener: Listener) -> bool:
    """Return whether a TCP or UDP socket can be reached from other hosts."""
    address = listener.address.removeprefix("::ffff:")
    local = address.startswith("127.") or address == _LOOPBACK
    return listener.protocol.startswith(("tcp", "udp")) and not local


def has_read_network(subject: Subject) -> bool:
    """Return whether a container has a network of its own, in which all that listens is known."""
    return subject.network is not None and subject.container.network == "own"


def serves_others(subject: Subject) -> bool:
    """Return whether something listens on TCP for other hosts in a container's own network."""
    network = subject.network if has_read_network(subject) else None
    return network is not None and any(
        listener.protocol.startswith("tcp") and is_outward(listener)
        for listener in network.listeners
    )


def lets_people_in(subject: Subject, ports: Collection[int] = LOGINS) -> bool:
    """Return whether something listens for logins from other hosts, whatever it is called."""
    if subject.network is None or subject.container.network != "own":
        return False
    return any(
        listener.port in ports and listener.protocol.startswith("tcp") and is_outward(listener)
        for listener in subject.network.listeners
    )


def is_private(program: Program, subject: Subject) -> bool:
    """Return whether nobody outside can reach a program, as far as is known.

    That holds where the container's own network was read, and nothing that listens for others in it
    has a port of the program's kind or belongs to the program's user.
    """
    ports = _PORTS.get(program.family)
    if ports is None or subject.network is None or subject.container.network != "own":
        return False
    user = program.lead.uid
    return not any(
        listener.port in ports or (user and listener.uid == user)
        for listener in subject.network.listeners
        if is_outward(listener) and listener.protocol.startswith("tcp")
    )


def takes_messages(syslog: Iterable[Program], subject: Subject) -> bool:
    """Return whether a syslog takes messages from other hosts.

    Its sockets are known where its descriptors could be read; else its ports decide.
    """
    if subject.network is None:
        return False
    outward = [one for one in subject.network.listeners if is_outward(one)]
    pids = [process.pid for program in syslog for process in program.processes]
    opened = [subject.descriptors[pid] for pid in pids if pid in subject.descriptors]
    if pids and opened:
        sockets = frozenset(number for one in opened for number in one.sockets)
        return any(listener.inode in sockets for listener in outward)
    own = subject.container.network == "own"
    return bool(pids) and own and any(listener.port in _SYSLOG for listener in outward)
