"""A Docker daemon that says what was recorded of a real one, and goes wrong when told to."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.engine_host import fixture

WEB, DONE, NEW = (
    json.loads(fixture(f"docker/inspect-{name}.json"))["Id"] for name in ("web", "done", "new")
)
IMAGE = json.loads(fixture("docker/image.json"))["Id"]

PATIENCE = 60.0

Trouble = Callable[[socket.socket], None]


class FakeDocker:
    """Answers on a unix socket. ``answers`` may be changed at any time, by path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Any] = {
            "/version": json.loads(fixture("docker/version.json")),
            "/info": json.loads(fixture("docker/info.json")),
            "/containers/json": json.loads(fixture("docker/containers.json")),
            f"/images/{IMAGE}/json": json.loads(fixture("docker/image.json")),
        }
        for name in ("web", "done", "new"):
            document = json.loads(fixture(f"docker/inspect-{name}.json"))
            self.answers[f"/containers/{document['Id']}/json"] = document
        self.asked: list[str] = []
        self.following = threading.Semaphore(0)
        """Released for each connection that begins to follow the events."""
        self._open: set[socket.socket] = set()
        self._streams: list[socket.socket] = []
        self._beginning = threading.Lock()
        """Held from a stream's first byte until it is told of what happens."""
        self._released = threading.Event()

    def count(self, path: str) -> int:
        """Say how often something was asked for."""
        return sum(1 for asked in self.asked if asked.partition("?")[0] == path)

    def hang(self, _: socket.socket) -> None:
        """Accept a question and never answer."""
        self._released.wait(PATIENCE)

    def happen(
        self,
        action: str,
        engine_id: str,
        second: int = 1_795_461_800,
        nanoseconds: int = 0,
        **attributes: str,
    ) -> None:
        """Tell everybody who follows of an event."""
        actor = {"ID": engine_id, "Attributes": attributes}
        event = {"Type": "container", "Action": action, "Actor": actor, "time": second}
        if nanoseconds:
            event["timeNano"] = second * 1_000_000_000 + nanoseconds
        self.tell(json.dumps(event).encode() + b"\n")

    def tell(self, data: bytes) -> None:
        """Tell these bytes to everybody who follows."""
        with self._beginning:
            streams = list(self._streams)
        for stream in streams:
            stream.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def cut_events(self) -> None:
        """End all event streams, as a daemon that is restarted."""
        with self._beginning:
            streams, self._streams = self._streams, []
        for stream in streams:
            stream.shutdown(socket.SHUT_RDWR)

    def answer(self, connection: socket.socket, target: str) -> bool:
        """Answer one question; False ends the connection."""
        path = re.sub(r"^/v1\.\d+", "", target).partition("?")[0]
        self.asked.append(re.sub(r"^/v1\.\d+", "", target))
        found = self.answers.get(path)
        if path == "/events" and found is None:
            with self._beginning:
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                self._streams.append(connection)
            self.following.release()
            self._released.wait()
            return False
        if callable(found):
            found(connection)
            return False
        if isinstance(found, bytes):
            connection.sendall(found)
            return False
        status = "200 OK" if found is not None else "404 Not Found"
        body = json.dumps(found if found is not None else {"message": "No such thing"}).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return True

    @contextmanager
    def run(self) -> Iterator[FakeDocker]:
        """Answer until the block ends."""
        fake = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                fake._open.add(self.connection)
                try:
                    while line := self.rfile.readline():
                        while self.rfile.readline().strip():
                            pass  # the head of the question
                        if not fake.answer(self.connection, line.split()[1].decode()):
                            return
                except OSError:
                    return  # whoever asked has gone
                finally:
                    fake._open.discard(self.connection)

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            block_on_close = False

        self._released.clear()
        with Server(str(self.path), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self._released.set()
                server.shutdown()
                thread.join(PATIENCE)
                # As when a daemon ends: its connections end with it.
                for connection in list(self._open):
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
        self.path.unlink(missing_ok=True)


def http(status: str, body: bytes, kind: str = "application/json") -> bytes:
    """Make a whole answer by hand."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
