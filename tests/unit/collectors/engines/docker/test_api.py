from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.engines.docker import api as docker_api
from collectors.engines.docker.api import Budget, Client
from collectors.engines.docker.errors import ApiError, NotFound
from tests.support.fake_docker import IMAGE, WEB, FakeDocker, http

WAIT = 0.2
PATIENCE = 60.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDocker]:
    with FakeDocker(tmp_path / "docker.sock").run() as fake:
        yield fake


def connect(daemon: FakeDocker, wait: float = PATIENCE, seconds: float = PATIENCE) -> Client:
    return Client(lambda s: s.connect(str(daemon.path)), wait=wait, seconds=seconds)


def test_a_conversation(daemon: FakeDocker) -> None:
    client = connect(daemon)
    server = client.server()
    assert (server.name, server.data_root) == ("host", "/var/lib/docker")
    assert not server.systemd_cgroups
    assert {entry.text("Id") for entry in client.containers()} >= {WEB}
    assert client.container(WEB).text("Name") == "/web"
    assert client.image(IMAGE).text("Id") == IMAGE
    client.close()


def test_the_version_is_negotiated(daemon: FakeDocker) -> None:
    daemon.answers["/version"]["ApiVersion"] = "1.49"
    asked: list[str] = []
    answer = daemon.answer

    def note(connection: socket.socket, target: str) -> bool:
        asked.append(target)
        return answer(connection, target)

    daemon.answer = note  # type: ignore[method-assign]
    connect(daemon).server()
    assert asked == ["/version", "/v1.49/info"]


def test_what_was_removed_since_is_not_found(daemon: FakeDocker) -> None:
    client = connect(daemon)
    with pytest.raises(NotFound):
        client.container("0" * 64)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (http("500 Internal Server Error", b'{"message": "broken"}'), "HTTP 500 broken"),
        (http("500 Internal Server Error", b"<html>"), "HTTP 500"),
        (http("200 OK", b'[{"Id": "abc'), "no JSON"),
        (http("200 OK", b"[" * 100_000), "no JSON"),
        (http("200 OK", b"\xff" * 5000, "text/plain"), "no JSON"),
        (http("200 OK", b"[]")[:-1], "list: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[", "list: "),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "list: "),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "list: "),
        (b"", "list: "),
    ],
)
def test_broken_answers(daemon: FakeDocker, answer: bytes, why: str) -> None:
    client = connect(daemon)
    daemon.answers["/containers/json"] = answer
    with pytest.raises(ApiError, match=why) as found:
        client.containers()
    assert "\n" not in str(found.value)
    daemon.answers["/containers/json"] = []
    assert client.containers() == []


@pytest.mark.parametrize("answer", [{}, {"a": 1}, "text", 7, [1, "x", None]])
def test_an_answer_of_another_shape_is_empty(daemon: FakeDocker, answer: object) -> None:
    client = connect(daemon)
    daemon.answers["/containers/json"] = answer
    daemon.answers["/info"] = answer
    assert client.containers() == []
    assert client.server().data_root == ""


@pytest.mark.parametrize("version", ["", "x", "1.41; DROP", None, 7, "0.1", "99999.1"])
def test_a_daemon_that_does_not_say_its_version(daemon: FakeDocker, version: object) -> None:
    daemon.answers["/version"] = {"ApiVersion": version}
    with pytest.raises(ApiError):
        connect(daemon)


def test_podmans_service_is_not_docker(daemon: FakeDocker) -> None:
    daemon.answers["/version"]["Components"] = [{"Name": "Podman Engine"}]
    with pytest.raises(ApiError, match="podman"):
        connect(daemon)


def test_a_daemon_that_never_answers(daemon: FakeDocker) -> None:
    client = connect(daemon)
    client._budget.wait = WAIT  # from here on: it has said who it is
    daemon.answers["/containers/json"] = daemon.hang
    with pytest.raises(ApiError, match="timed out"):
        client.containers()


def test_a_daemon_that_answers_a_byte_at_a_time(daemon: FakeDocker) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not daemon._released.wait(0.02):
            connection.sendall(b"x")

    client = connect(daemon)
    client._seconds = WAIT
    daemon.answers["/containers/json"] = drip
    with pytest.raises(ApiError, match=r"timed out|too long"):
        client.containers()


def test_a_daemon_that_answers_without_end(
    daemon: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not daemon._released.is_set():
            connection.sendall(b"1000\r\n" + b"[" * 0x1000 + b"\r\n")

    client = connect(daemon)
    renew = Budget.renew
    monkeypatch.setattr(Budget, "renew", lambda own, seconds, _: renew(own, seconds, 1 << 20))
    daemon.answers["/containers/json"] = flood
    with pytest.raises(ApiError, match="too large"):
        client.containers()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="No such file"):
        Client(lambda s: s.connect(str(tmp_path / "none.sock")), wait=1.0, seconds=1.0)


def test_a_connection_that_was_closed_is_opened_again(tmp_path: Path) -> None:
    fake = FakeDocker(tmp_path / "docker.sock")
    with fake.run():
        client = connect(fake)
        client.containers()
    with fake.run():
        assert client.containers()


def test_no_setting_of_the_agents_user_is_used(
    daemon: FakeDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"proxies": {"default": {"httpProxy": "http://proxy:3128"}}, "credsStore": "desktop"}
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert connect(daemon).containers()
    (tmp_path / ".docker" / "config.json").write_text("[]")
    with pytest.raises(ApiError, match="does not start"):
        connect(daemon)


def test_an_address_of_another_kind_is_an_error() -> None:
    for address in ("ssh://host", "npipe:////./x", "tcp://", "nonsense"):
        with pytest.raises(ApiError):
            Client(address, wait=1.0, seconds=1.0)


def test_events_are_pieces_of_text(daemon: FakeDocker) -> None:
    client = connect(daemon)
    pieces = client.events(1_795_461_700, ("start", "die"))
    assert daemon.following.acquire(timeout=PATIENCE)
    daemon.happen("start", WEB)
    assert json.loads(next(pieces))["Actor"]["ID"] == WEB
    (asked,) = [path for path in daemon.asked if path.startswith("/events")]
    assert "since=1795461700" in asked
    assert "die" in asked
    daemon.cut_events()
    with pytest.raises((ApiError, StopIteration)):
        next(pieces)


def test_waiting_for_events_can_be_ended_by_another_thread(daemon: FakeDocker) -> None:
    client = connect(daemon)
    pieces = client.events(0, ("start",))
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises((ApiError, StopIteration)):
            next(pieces)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    client.abort()
    assert ended.wait(PATIENCE)
    with pytest.raises(ApiError, match="aborted"):
        client.containers()


def test_a_budget() -> None:
    budget = Budget(wait=3000.0)
    assert budget.time_left() == 3000.0
    budget.renew(1000.0, 10)
    left = budget.time_left()
    assert left is not None
    assert left <= 1000.0
    budget.spend(10)
    with pytest.raises(OSError, match="too large"):
        budget.spend(1)
    budget.deadline = time.monotonic() - 1
    with pytest.raises(TimeoutError):
        budget.time_left()
    budget.renew(None)
    budget.wait = None
    assert budget.time_left() is None


def test_the_limit_leaves_room_for_many_containers() -> None:
    assert docker_api.ANSWER_LIMIT > 10_000 * 2_000
