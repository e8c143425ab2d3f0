"""What others can reach: by address, by port, by whose socket it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.classifier.listening import is_outward, is_private, lets_people_in, takes_messages
from agent.classifier.scene_reader import read_scene
from collectors.facts import Descriptors, Listener, NetworkFacts
from tests.support.subjects import NGINX, Node, run, subject

if TYPE_CHECKING:
    from agent.classifier.scene import Program
    from agent.model import Subject

RSYSLOG = run("/usr/sbin/rsyslogd", args="-n")
MYSQL = run("/usr/sbin/mysqld", uid=101)


def listening(protocol: str, address: str, port: int, **more: int) -> Listener:
    return Listener(protocol=protocol, address=address, port=port, **more)


def with_network(tree: Node, *listeners: Listener, network: str = "own") -> Subject:
    facts = NetworkFacts(listeners=listeners)
    return replace(subject(tree, network=network), network=facts)


def program_of(family: str, judged: Subject) -> Program:
    return next(p for p in read_scene(judged).programs if p.family == family)


@pytest.mark.parametrize(
    ("listener", "outward"),
    [
        (listening("tcp", "0.0.0.0", 80), True),
        (listening("tcp6", "::", 80), True),
        (listening("udp", "10.0.0.2", 514), True),
        (listening("tcp", "127.0.0.11", 53), False),
        (listening("tcp6", "::1", 80), False),
        (listening("tcp6", "::ffff:127.0.0.1", 80), False),
        (listening("unix", "/dev/log", 0), False),
    ],
)
def test_what_can_be_reached_from_other_hosts(listener: Listener, outward: bool) -> None:
    assert is_outward(listener) is outward


@pytest.mark.parametrize(
    ("listener", "network", "lets"),
    [
        (listening("tcp", "0.0.0.0", 22), "own", True),
        (listening("tcp6", "::", 23), "own", True),
        (listening("tcp", "0.0.0.0", 2222), "own", False),
        (listening("udp", "0.0.0.0", 22), "own", False),
        (listening("tcp", "127.0.0.1", 22), "own", False),
        (listening("tcp", "0.0.0.0", 22), "host", False),  # it may be the host's own sshd
    ],
)
def test_who_may_log_in(listener: Listener, network: str, lets: bool) -> None:
    assert lets_people_in(with_network(NGINX, listener, network=network)) is lets


def test_where_the_network_was_not_read_nothing_is_known() -> None:
    unread = subject(MYSQL, network="own")
    assert not lets_people_in(unread)
    assert not is_private(program_of("mysql", unread), unread)


@pytest.mark.parametrize(
    ("listeners", "private"),
    [
        ((), True),
        ((listening("tcp", "127.0.0.1", 3306, uid=101),), True),
        ((listening("tcp", "0.0.0.0", 80, uid=0),), True),
        ((listening("tcp", "0.0.0.0", 3306, uid=0),), False),  # by its port
        ((listening("tcp", "0.0.0.0", 9999, uid=101),), False),  # by its user
    ],
)
def test_a_database_that_nobody_outside_can_reach_is_private(
    listeners: tuple[Listener, ...], private: bool
) -> None:
    judged = with_network(MYSQL, *listeners)
    assert is_private(program_of("mysql", judged), judged) is private


def test_a_program_whose_ports_are_not_known_is_not_private() -> None:
    judged = with_network(NGINX)
    assert not is_private(program_of("nginx", judged), judged)


@pytest.mark.parametrize(
    ("listener", "opened", "takes"),
    [
        (listening("udp", "0.0.0.0", 514, inode=7), 7, True),
        (listening("udp", "0.0.0.0", 5140, inode=7), 7, True),  # its own, on any port
        (listening("udp", "127.0.0.1", 514, inode=7), 7, False),
        (listening("udp", "0.0.0.0", 514, inode=8), 7, False),  # of another program
        (listening("udp", "0.0.0.0", 514, inode=7), None, True),  # unread: by the port
        (listening("udp", "0.0.0.0", 5140, inode=7), None, False),
    ],
)
def test_a_syslog_takes_messages_from_others_by_a_socket_of_its_own(
    listener: Listener, opened: int | None, takes: bool
) -> None:
    judged = with_network(RSYSLOG, listener)
    (init,) = judged.processes
    if opened is not None:
        socket = Descriptors(links={0: f"socket:[{opened}]"})
        judged = replace(judged, descriptors={init.pid: socket})
    assert takes_messages([program_of("syslog", judged)], judged) is takes
