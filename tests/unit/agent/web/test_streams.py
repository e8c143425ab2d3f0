"""Streams of events over real connections: readers that are slow, many, or come back."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agent.api import broker, events
from agent.web import api
from collectors.facts import State
from tests.support.snapshots import WEB, picture
from tests.support.web_server import TIMEOUT, FakePages, get, serving

if TYPE_CHECKING:
    from agent.model import Snapshot

Address = tuple[str, int]

STOPPED = replace(WEB, state=State.EXITED, init=None)
REQUEST = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"


class Pages(FakePages):
    """Pages whose snapshot is changed, of which a follower is told."""

    def change(self, before: Snapshot, after: Snapshot) -> None:
        until(lambda: self.follower is not None)
        assert self.follower is not None
        self.follower(before, after)

    def blink(self) -> None:
        """Stop and start a container."""
        self.change(picture(WEB), picture(STOPPED))
        self.change(picture(STOPPED), picture(WEB))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def address(pages: Pages) -> Iterator[Address]:
    with serving(pages) as address:
        yield address


class Stream:
    """A client that reads events."""

    def __init__(self, address: Address, last: str = "") -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)
        headers = {"Last-Event-ID": last} if last else {}
        self.connection.request("GET", "/api/v1/events", headers=headers)
        self.answer = self.connection.getresponse()
        self.last = last

    def block(self) -> dict[str, str]:
        """Read up to the next empty line; return the fields before it."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
            if name == "id":
                self.last = value
        return fields

    def event(self) -> dict[str, Any]:
        while "data" not in (fields := self.block()):
            assert not self.answer.isclosed()
        found: dict[str, Any] = json.loads(fields["data"])
        assert found["type"] == fields["event"]
        return found

    def close(self) -> None:
        self.connection.close()


def test_what_happens_is_sent_at_once(pages: Pages, address: Address) -> None:
    stream = Stream(address)
    assert stream.answer.status == 200
    assert stream.answer.headers["Content-Type"] == "text/event-stream"
    assert stream.answer.headers["X-Content-Type-Options"] == "nosniff"
    assert stream.block()["retry"] == "2000"
    pages.blink()
    assert [stream.event()["type"] for _ in range(2)] == ["stopped", "started"]
    stream.close()


def test_who_comes_back_goes_on_and_misses_nothing(pages: Pages, address: Address) -> None:
    stream = Stream(address)
    stream.block()
    stream.close()  # before any event: the id of the first block is enough
    pages.blink()
    again = Stream(address, stream.last)
    assert [again.event()["type"] for _ in range(2)] == ["stopped", "started"]
    again.close()


def test_who_has_seen_another_agent_is_told_to_ask_anew(pages: Pages, address: Address) -> None:
    stream = Stream(address, "0123456789ab-17")
    assert stream.event()["type"] == "reset"
    pages.blink()
    assert stream.event()["type"] == "stopped"
    stream.close()


def test_200_streams_that_never_read_harm_nobody(pages: Pages, address: Address) -> None:
    honest = Stream(address)
    honest.block()
    silent = []
    statuses = []
    for _ in range(200):
        sock = socket.create_connection(address, timeout=TIMEOUT)
        sock.sendall(REQUEST)
        silent.append(sock)
        statuses.append(sock.recv(12)[9:])
    assert statuses.count(b"200") == broker.PER_ADDRESS - 1
    assert statuses.count(b"503") == 200 - broker.PER_ADDRESS + 1
    refused, body = get(address, "/api/v1/events")
    assert refused == 503
    assert "64 event streams of your address" in json.loads(body)["detail"]
    pages.blink()
    assert honest.event()["type"] == "stopped"
    for path in ("/metrics", "/-/healthy", "/", "/api/v1/containers"):
        assert get(address, path)[0] == 200
    for sock in silent:
        sock.close()
    honest.close()
    until(lambda: beat(pages) and extra_threads() == 0)


def beat(pages: Pages) -> bool:
    """Have something sent, by which it is seen who is gone."""
    pages.blink()
    return True


def extra_threads() -> int:
    """Return how many threads there are besides those of a server without streams."""
    return sum("WorkerThread" in type(t).__name__ for t in threading.enumerate()) - 12


def test_a_reader_that_is_too_slow_is_dropped(
    pages: Pages, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEPT", 20)
    sock = socket.socket()
    sock.settimeout(TIMEOUT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(address)
    sock.sendall(REQUEST)
    assert b"200 OK" in sock.recv(100)
    honest = Stream(address)
    honest.block()
    huge = replace(WEB, name="x" * 20_000)
    for _ in range(60):
        pages.change(picture(huge), picture(replace(STOPPED, name=huge.name)))
        assert honest.event()["type"] == "stopped"
    received = b""
    while piece := sock.recv(1 << 16):  # up to the end: it was dropped
        received += piece
    assert received.count(b"event: stopped") < 60
    honest.close()


def test_a_stream_does_not_last_for_ever(
    pages: Pages, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_LIFE", 0.0)
    stream = Stream(address)
    assert stream.block()["retry"] == "2000"
    assert stream.answer.read() == b""
    monkeypatch.undo()
    pages.blink()
    assert Stream(address, stream.last).event()["type"] == "stopped"


def test_no_deadline_of_requests_ends_a_stream(
    pages: Pages, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.web.httpd._REQUEST_SECONDS", 0.6)
    monkeypatch.setattr(api, "_HEARTBEAT", 0.5)
    stream = Stream(address)
    for _ in range(4):
        stream.block()
    pages.blink()
    assert stream.event()["type"] == "stopped"
    stream.close()


def test_the_server_stops_at_once_under_its_streams(pages: Pages) -> None:
    with serving(pages) as address:
        streams = [Stream(address) for _ in range(5)]
        for stream in streams:
            stream.block()
        begun = time.monotonic()
    assert time.monotonic() - begun < api._HEARTBEAT + TIMEOUT
    for stream in streams:
        assert stream.answer.read() in (b"", b":\n\n")


def test_readings_go_on_for_a_stream_and_for_nobody_else(pages: Pages, address: Address) -> None:
    assert pages.read == 0
    stream = Stream(address)
    stream.block()
    until(lambda: pages.read >= 1)
    stream.close()
