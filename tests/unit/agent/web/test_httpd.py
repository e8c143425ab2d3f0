from __future__ import annotations

import io
import logging
import socket
from contextlib import ExitStack

import pytest

from agent import logs
from agent.web import app, httpd
from tests.support.web_server import TIMEOUT, EndlessPages, FakePages, SlowPages, get, serving


def say(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, timeout=TIMEOUT) as client:
        client.sendall(request)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"get / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET x HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET /%ff%00 HTTP/1.0\r\n\r\n", b"404"),
        (b"GET /containers/%2e%2e/%2e%2e/etc/passwd HTTP/1.0\r\n\r\n", b"404"),
    ],
)
def test_rude_requests(address: tuple[str, int], request_: bytes, status: bytes) -> None:
    assert say(address, request_).split(b" ", 2)[1] == status


def test_silent_clients_hold_no_thread(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address) for _ in range(40)]
    try:
        assert get(address, "/-/healthy")[0] == 200
    finally:
        for client in silent:
            client.close()


def test_the_longest_silent_client_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "_SILENCE_SECONDS", 3600)
    with serving(FakePages()) as address:
        silent = [
            socket.create_connection(address, timeout=TIMEOUT)
            for _ in range(httpd.Server.keep_alive_conn_limit)
        ]
        try:
            assert get(address, "/metrics")[0] == 200
            assert silent[0].recv(1) == b""
            # The others are still there, and are answered when they say something.
            for client in silent[1:]:
                client.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
        finally:
            for client in silent:
                client.close()


def test_many_more_silent_clients_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "_SILENCE_SECONDS", 3600)
    monkeypatch.setattr(httpd.Server, "keep_alive_conn_limit", 2)
    with serving(FakePages()) as address:
        silent = [socket.create_connection(address, timeout=TIMEOUT) for _ in range(50)]
        try:
            assert [client.recv(1) for client in silent[:-2]] == [b""] * 48
            assert get(address, "/metrics")[0] == 200
        finally:
            for client in silent:
                client.close()


def test_a_slow_reader_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_SLOT_SECONDS", 0.01)
    with (
        serving(EndlessPages(), max_requests=1) as address,
        socket.create_connection(address, timeout=TIMEOUT) as client,
    ):
        with monkeypatch.context() as short:
            short.setattr(httpd, "_REQUEST_SECONDS", 0.5)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(10)
        # It reads no more, and still the one place for scrapes becomes free.
        while (status := _status(address)) == b"503":
            pass
        assert status == b"200"


def _status(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=TIMEOUT) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        return client.recv(200).split(b" ", 2)[1]


def test_a_slow_sender_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "_HEADER_SECONDS", 0.5)
    with (
        serving(FakePages()) as address,
        socket.create_connection(address, timeout=TIMEOUT) as client,
    ):
        client.sendall(b"GET / HT")
        assert client.recv(100).split(b" ", 2)[1:2] in ([], [b"400"])


def test_slow_senders_on_every_thread_are_cut_off_when_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpd, "_HEADER_SECONDS", 3600.0)
    monkeypatch.setattr(httpd, "_REQUEST_SECONDS", 3601.0)
    with serving(FakePages(), max_requests=1) as address:
        slow = [socket.create_connection(address, timeout=TIMEOUT) for _ in range(20)]
        for client in slow:
            client.sendall(b"GET / HT")
        assert get(address, "/metrics")[0] == 200
        for client in slow:
            client.close()


def test_a_failing_page_is_a_500_and_the_next_one_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = FakePages(broken=True)
    with serving(state) as address:
        assert get(address, "/metrics")[0] == 500
        state.broken = False
        assert get(address, "/metrics")[0] == 200
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_a_client_that_leaves_is_nobodys_trouble(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with socket.create_connection(address) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert get(address, "/-/healthy")[0] == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET //[ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: a\rb\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n", b"431"),
        (b"DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
        (b"GET /-/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
        (b"POST /-/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"403"),
    ],
)
def test_what_a_proxy_might_understand_differently(
    address: tuple[str, int], request_: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head, _, body = say(address, request_).partition(b"\r\n\r\n")
    assert head.split(b" ", 2)[1] == status
    assert b"x-content-type-options: nosniff" in head.lower()
    assert b"HTTP/1." not in body, "a second answer"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_what_comes_after_a_body_is_no_other_request(address: tuple[str, int]) -> None:
    inner = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    outer = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    answer = say(address, outer + inner)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_one_connection_serves_several_requests(address: tuple[str, int]) -> None:
    first = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert say(address, first + last).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/x", "/containers/x"])
def test_head_has_the_headers_of_get_and_no_body(address: tuple[str, int], path: str) -> None:
    asked = f"{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    heads = []
    for method in (b"GET ", b"HEAD "):
        head, _, body = say(address, method + asked).partition(b"\r\n\r\n")
        names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
        heads.append((head.split(b"\r\n")[0], names - {b"transfer-encoding"}))
        assert bool(body) is (method == b"GET ")
    assert heads[0] == heads[1]


def test_a_header_with_an_underscore_is_no_other_one(address: tuple[str, int]) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nContent_Length: 5\r\nConnection: close\r\n\r\n"
    assert say(address, request).startswith(b"HTTP/1.1 200 ")


def test_a_request_that_is_cut_off_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(httpd, "_REQUEST_SECONDS", 0.1)
    caplog.set_level(logging.INFO)
    with serving(SlowPages(seconds=2)) as address:
        assert say(address, b"GET /metrics HTTP/1.0\r\n\r\n") == b""
    assert len([r for r in caplog.records if "took too long" in r.getMessage()]) == 1


def test_a_client_that_cuts_off_its_requests_cannot_fill_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpd, "_HEADER_SECONDS", 0.1)
    stream = io.StringIO()
    handler = logs.BoundedHandler(stream)
    logger = logging.getLogger("agent.web.httpd")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        with serving(FakePages(), max_requests=40) as address, ExitStack() as clients:
            for _ in range(50):
                client = socket.create_connection(address, timeout=TIMEOUT)
                clients.enter_context(client)
                client.sendall(b"GET /metrics HT")
                clients.callback(client.recv, 1)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        handler.close()
    *single, rest = stream.getvalue().splitlines()
    assert len(single) == 10
    assert rest.startswith("40 more of this kind")
