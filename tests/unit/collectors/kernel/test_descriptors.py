"""What a process has open, of processes of this machine and of captured ones."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from collectors.hostfs import Gone, HostFS
from collectors.kernel.descriptors import read_descriptors, socket_owners

GONE = 1 << 22


def tree(place: Path, **links: list[str]) -> HostFS:
    """Return a host with processes, ``p10=["socket:[1]"]``, that have these open."""
    for name, opened in links.items():
        folder = place / "proc" / name[1:] / "fd"
        folder.mkdir(parents=True)
        for number, link in enumerate(opened):
            (folder / str(number)).symlink_to(link)
    return HostFS(str(place / "proc"), str(place), str(place))


def test_of_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Path(__file__).open() as file:
        found = read_descriptors(HostFS(), os.getpid(), 10_000)
        assert found.directory == os.getcwd()
        assert found.links[file.fileno()] == __file__
        assert os.fstat(server.fileno()).st_ino in found.sockets
        assert found.whole


def test_no_more_than_asked_for(tmp_path: Path) -> None:
    host = tree(tmp_path, p10=["/a", "/b", "/c"])
    assert len(read_descriptors(host, 10, 2).links) == 2
    assert not read_descriptors(host, 10, 2).whole
    assert read_descriptors(host, 10, 3).whole


def test_a_process_that_is_gone() -> None:
    with pytest.raises(Gone):
        read_descriptors(HostFS(), GONE)
    assert socket_owners(HostFS(), [GONE], [7]).elsewhere == {7}


def test_sockets_that_none_of_them_has(tmp_path: Path) -> None:
    host = tree(tmp_path, p10=["/dev/null", "socket:[1]"], p11=["pipe:[3]", "socket:[2]"])
    assert socket_owners(host, [10, 11], [1, 2, 3]).elsewhere == {3}
    assert socket_owners(host, [10], [1, 2]).elsewhere == {2}
    assert socket_owners(host, [10, 11], []).elsewhere == frozenset()


def test_of_too_many_descriptors_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.kernel.descriptors._SOCKETS_SOUGHT", 3)
    host = tree(tmp_path, p10=["/a", "/b"], p11=["/a", "socket:[1]"], p12=["/a", "/b", "/c", "/d"])
    assert socket_owners(host, [12], [7]).elsewhere == frozenset()
    assert socket_owners(host, [10, 11], [7]).elsewhere == frozenset()
    assert socket_owners(host, [10], [7]).elsewhere == {7}


def test_whose_a_socket_is(tmp_path: Path) -> None:
    host = tree(tmp_path, p10=["socket:[1]"], p11=["socket:[1]", "socket:[2]"])
    assert socket_owners(host, [10, 11], [1, 2, 3]).pids == {1: 10, 2: 11}
    assert socket_owners(host, [11, 10], [1, 2, 3]).pids == {1: 11, 2: 11}
