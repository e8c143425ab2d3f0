from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from collectors.contract import CollectorError
from collectors.engines.incus import api as incus_api
from collectors.engines.incus.api import list_instances
from tests.support.system_host import fixture

PATIENCE = 60.0

Answers = Callable[[str], bytes]


class Daemon:
    """A daemon on a Unix socket that answers each request as a test says."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.answers: Answers = lambda _: b""
        self.asked: list[str] = []
        self.hold = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                url = connection.recv(65536).split(b" ")[1].decode()
                self.asked.append(url)
                with suppress(OSError):  # whoever asked may have gone
                    connection.sendall(self.answers(url))
                self.hold.wait()

    def close(self) -> None:
        self.hold.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    server = Daemon(str(tmp_path / "unix.socket"))
    server.hold.set()
    yield server
    server.close()


def page(metadata: object, status: str = "200 OK") -> bytes:
    body = json.dumps({"type": "sync", "metadata": metadata}).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def test_what_a_real_daemon_said(daemon: Daemon) -> None:
    body = fixture("lxd-instances.json").encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:999], body[999:], b""))
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    daemon.answers = lambda _: head + chunked
    found = list_instances(daemon.path, PATIENCE)
    assert sorted(str(i["name"]) for i in found) == ["frozen", "off", "one", "two"]
    assert daemon.asked == ["/1.0/instances?recursion=1&all-projects=true"]


def test_an_old_daemon_knows_containers_only(daemon: Daemon) -> None:
    daemon.answers = lambda url: (
        page([{"name": "old"}]) if "containers" in url else page(None, "404 Not Found")
    )
    assert list_instances(daemon.path, PATIENCE) == [{"name": "old"}]


def test_in_a_cluster_only_this_members_count(daemon: Daemon) -> None:
    instances = [{"name": "a", "location": "n1"}, {"name": "b", "location": "n2"}, "junk"]
    daemon.answers = lambda url: (
        page(instances) if "instances" in url else page({"environment": {"server_name": "n2"}})
    )
    assert [i["name"] for i in list_instances(daemon.path, PATIENCE)] == ["b"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\nnot json",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        page({"not": "a list"}),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_a_wrong_answer_is_an_error_with_the_socket(daemon: Daemon, answer: bytes) -> None:
    daemon.answers = lambda _: answer
    with pytest.raises(CollectorError, match=r"unix\.socket"):
        list_instances(daemon.path, PATIENCE)


def test_one_that_hangs_is_left(daemon: Daemon) -> None:
    daemon.hold.clear()
    daemon.answers = lambda _: b"HTTP/1.1 200 OK\r\n"
    with pytest.raises(CollectorError, match=r"unix\.socket"):
        list_instances(daemon.path, 0.05)


def test_a_huge_answer_is_cut(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incus_api, "ANSWER_LIMIT", 100)
    daemon.answers = lambda _: page(["x" * 1000])
    with pytest.raises(CollectorError, match="larger than"):
        list_instances(daemon.path, PATIENCE)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="nowhere"):
        list_instances(str(tmp_path / "nowhere"), 1)
