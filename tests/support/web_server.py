"""A web server of fake pages, and what asks it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.config import load
from agent.exposition import Reading
from agent.web.app import make_app
from agent.web.server import WebServer
from collectors.kernel.counters import Counters, Scalar
from tests.support.snapshots import NOW, picture

if TYPE_CHECKING:
    from agent.model import Snapshot

TIMEOUT = 60


@dataclass
class FakePages:
    """What an application shows, without an agent."""

    ready: bool = True
    asked: list[bool] = field(default_factory=list)
    broken: bool = False
    read: int = 0
    follower: Callable[[Snapshot, Snapshot], None] | None = None

    def snapshot(self) -> Snapshot:
        return picture()

    def read_counters(self) -> Reading:
        self.read += 1
        counters = Counters((None,) * len(Scalar), {})
        return Reading(as_of=NOW, at=time.monotonic(), cost=0.0, host=counters, containers={})

    def follow(self, follower: Callable[[Snapshot, Snapshot], None] | None) -> None:
        self.follower = follower

    def metrics(self, openmetrics: bool) -> Iterator[bytes]:
        self.asked.append(openmetrics)
        if self.broken:
            raise ValueError("broken")
        return iter((b"one 1\n", b"two 2\n"))


@dataclass
class EndlessPages(FakePages):
    """A page of metrics without an end."""

    def metrics(self, openmetrics: bool) -> Iterator[bytes]:
        self.asked.append(openmetrics)
        while True:
            yield b"x" * 65536


@dataclass
class SlowPages(FakePages):
    """A page of metrics that takes so many seconds."""

    seconds: float = 0.0

    def metrics(self, openmetrics: bool) -> Iterator[bytes]:
        time.sleep(self.seconds)
        return super().metrics(openmetrics)


@contextmanager
def serving(source: FakePages, **flags: object) -> Iterator[tuple[str, int]]:
    """Serve the pages on a free port of 127.0.0.1; ``flags`` are keys of [web]."""
    named = {f"web.{name}": value for name, value in flags.items()}
    config = load("", {"web.listen_address": "127.0.0.1:0", **named})
    server = WebServer(config, make_app(source, config))
    server.bind()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.address
    finally:
        server.stop()
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def get(address: tuple[str, int], path: str, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a page."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body
