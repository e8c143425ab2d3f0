from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.docker.sockets import listening_paths, parse_listening, server_of
from collectors.hostfs import HostReadError
from tests.support.engine_host import EngineHost
from tests.support.processes import process

TABLE = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01  41 /var/run/docker.sock
0000000000000000: 00000002 00000000 00010000 0001 01  42 /run/a path with blanks
0000000000000000: 00000003 00000000 00000000 0001 03  43 /run/docker.sock
0000000000000000: 00000002 00000000 00010000 0001 01  44 @abstract
0000000000000000: 00000002 00000000 00010000 0001 01  45
0000000000000000: 00000002 00000000 nonsense 0001 01  46 /run/nonsense
"""


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def holds(host: EngineHost, pid: int, *inodes: int) -> None:
    host.write(f"proc:{pid}/net/unix", TABLE)
    host.write(f"proc:{pid}/fd/0", "")
    for number, inode in enumerate(inodes, 3):
        host.link(f"proc:{pid}/fd/{number}", f"socket:[{inode}]")


def test_only_sockets_with_a_path_on_which_somebody_listens() -> None:
    assert list(parse_listening(TABLE.encode())) == [
        ("41", "/var/run/docker.sock"),
        ("42", "/run/a path with blanks"),
    ]
    assert list(parse_listening(b"")) == []


def test_a_process_listens_on_those_that_it_holds(host: EngineHost) -> None:
    holds(host, 7, 41, 43)
    daemon = process(7)
    assert listening_paths(host.context(daemon), daemon) == ["/run/docker.sock"]


def test_of_a_process_that_ended_nothing_is_known(host: EngineHost) -> None:
    daemon = process(7)
    with pytest.raises(HostReadError):
        listening_paths(host.context(daemon), daemon)


def test_who_waits_for_the_first_connection_is_no_server(host: EngineHost) -> None:
    """Connecting to a socket that systemd holds would start the daemon."""
    holds(host, 1, 41)
    holds(host, 5, 41)
    holds(host, 7, 42)
    init, manager = process(1), process(5, exe="/usr/lib/systemd/systemd")
    other = process(7)
    context = host.context(init, manager, other)
    assert server_of(context, "/run/docker.sock") is None
    assert server_of(context, "/run/nobody.sock") is None
    holds(host, 9, 41)
    daemon = process(9, exe="/usr/bin/dockerd")
    assert server_of(host.context(init, manager, other, daemon), "/run/docker.sock") == daemon
