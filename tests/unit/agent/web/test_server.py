from __future__ import annotations

import http.client
import logging
import socket
import subprocess
import sys
import threading

import pytest

from agent.config import load
from agent.web.app import make_app
from agent.web.server import CannotListenError, WebServer
from tests.support.web_server import TIMEOUT, FakePages, get, serving


def test_pages_and_scrapes(address: tuple[str, int]) -> None:
    assert get(address, "/-/healthy") == (200, b"Tallyman is healthy.\n")
    assert get(address, "/metrics") == (200, b"one 1\ntwo 2\n")
    assert get(address, "/x")[0] == 404


def test_it_answers_as_soon_as_it_serves_what_came_before() -> None:
    config = load("", {"web.listen_address": "127.0.0.1:0"})
    server = WebServer(config, make_app(FakePages(), config))
    server.bind()
    with socket.create_connection(server.address, timeout=TIMEOUT) as early:
        early.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert early.recv(100).startswith(b"HTTP/1.1 200")
    server.stop()
    thread.join(TIMEOUT)


_TOO_FEW_THREADS = """
import itertools, threading
from agent.config import load
from agent.web.server import WebServer
from cheroot.workers.threadpool import WorkerThread

numbers = itertools.count()

def start(thread):
    if next(numbers) == 2:
        raise RuntimeError("can't start new thread")
    threading.Thread.start(thread)

WorkerThread.start = start
server = WebServer(load("", {"web.listen_address": "127.0.0.1:0"}), lambda *_: [])
server.bind()
server.serve_forever()
"""


def test_a_process_that_gets_too_few_threads_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TOO_FEW_THREADS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "can't start new thread" in done.stderr


def test_an_address_in_use_is_told_in_one_line(address: tuple[str, int]) -> None:
    config = load("", {"web.listen_address": f"127.0.0.1:{address[1]}"})
    server = WebServer(config, make_app(FakePages(), config))
    with pytest.raises(CannotListenError) as caught:
        server.bind()
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{address[1]}: Address already in use; "
        "name another address with --web.listen-address"
    )


def test_an_open_address_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), serving(FakePages(), listen_address=":0") as found:
        status, _ = get(("127.0.0.1", found[1]), "/-/healthy")
    assert status == 200
    assert any(
        record.levelno == logging.WARNING and "without a password" in record.message
        for record in caplog.records
    )


def test_reading_again_by_post() -> None:
    problems: list[tuple[str, ...]] = [(), ("x: secret detail",)]
    config = load("", {"web.listen_address": "127.0.0.1:0", "web.enable_lifecycle": True})
    server = WebServer(config, make_app(FakePages(), config, lambda: problems.pop(0)))
    server.bind()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    answers = []
    for _ in range(2):
        connection = http.client.HTTPConnection(*server.address, timeout=TIMEOUT)
        connection.request("POST", "/-/reload")
        answer = connection.getresponse()
        answers.append((answer.status, answer.read()))
        connection.close()
    server.stop()
    thread.join(TIMEOUT)
    assert answers[0] == (200, b"The configuration was reloaded.\n")
    assert answers[1][0] == 500
    assert b"secret" not in answers[1][1]
