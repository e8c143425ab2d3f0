"""The API and `ls` on a real Docker: what is shown, what happens, and what is not told."""

from __future__ import annotations

import http.client
import json
import os
import queue
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.engines.harness.agent import TALLYMAN, free_port, tallyman
from tests.engines.harness.made import unique
from tests.engines.harness.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engines.harness.agent import Agent
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

ROOT = "/api/v1"
SECRET = "hunter2-real"
SCRIPT = "httpd -f -p 80 & sleep 77777 & wait"


class Events:
    """Reads the agent's events on a thread of its own."""

    def __init__(self, agent: Agent) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=120)
        self._connection.request("GET", f"{ROOT}/events")
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        self._found: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self._answer:
                if line.startswith(b"data: "):
                    self._found.put(json.loads(line[6:]))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # it was closed under its reader

    def wait(self, name: str, kind: str) -> dict[str, Any]:
        """Return the next event of that kind of a container."""
        end = time.monotonic() + 60
        while True:
            event = self._found.get(timeout=max(0.0, end - time.monotonic()))
            if (event["name"], event["type"]) == (name, kind):
                return event

    def close(self) -> None:
        if self._connection.sock is not None:
            self._connection.sock.shutdown(2)


@contextmanager
def events_of(agent: Agent) -> Iterator[Events]:
    events = Events(agent)
    try:
        yield events
    finally:
        events.close()


def details(agent: Agent, identity: str) -> dict[str, Any]:
    answer = agent.get(f"{ROOT}/containers{quote(identity)}")
    assert answer.status == 200
    found: dict[str, Any] = json.loads(answer.body)
    return found


def wait_for(agent: Agent, identity: str, look: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    def pleases() -> dict[str, Any] | None:
        found = details(agent, identity)
        return found if look(found) else None

    return wait_until(pleases, "the API to show it")


def flat(processes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return programs and roles, parents first."""
    found = []
    for process in processes:
        found.append((process["program"], process["role"]))
        found += flat(process["children"])
    return found


def test_a_life_is_told_and_shown(docker: Docker, agent: Agent) -> None:
    name, port = unique("api"), free_port()
    with events_of(agent) as events:
        docker.run(
            docker.busybox(),
            *("sh", "-c", f"{SCRIPT} # --password={SECRET}"),
            name=name,
            options=(f"--publish=127.0.0.1:{port}:80", f"--env=PASSWORD={SECRET}", "--memory=64m"),
        )
        identity = events.wait(name, "started")["id"]
        shown = wait_for(
            agent,
            identity,
            lambda c: (
                (c["use"] or {"rates": {}})["rates"].get("cpu_cores") is not None
                and c["ports"][0]["program"] == "httpd"
            ),
        )
        listed = json.loads(agent.get(f"{ROOT}/containers?engine=docker").body)["containers"]
        assert identity in [entry["id"] for entry in listed]
        _assert_shown(shown, port)
        for path in (f"/containers{quote(identity)}", "/containers", "/use", "/host"):
            assert SECRET not in agent.get(ROOT + path).text, path
        told = json.loads(agent.get(f"{ROOT}/use").body)["containers"][identity]["counters"]
        page = agent.scrape().value("container_memory_usage_bytes", name=name)
        assert page is not None
        assert told["memory_bytes"] == pytest.approx(page, rel=0.2)

        _assert_listed(docker, name, port)

        docker.cli("exec", "--detach", name, "sleep", "66666")
        wait_for(agent, identity, lambda c: flat(c["processes"]).count(("sleep", "job")) == 2)
        renamed = f"{name}-renamed"
        docker.cli("rename", name, renamed)
        events.wait(renamed, "changed")
        docker.cli("kill", renamed)
        assert events.wait(renamed, "stopped")["state"] == "exited"
        docker.cli("rm", renamed)
        events.wait(renamed, "removed")

        # The shell lives on, so that the kernel's counter can be seen to rise.
        killed = unique("oom")
        again = "while :; do tail /dev/zero; sleep 1; done"
        docker.run(docker.busybox(), "sh", "-c", again, name=killed, options=("--memory=8m",))
        events.wait(killed, "oom")


def _assert_shown(shown: dict[str, Any], port: int) -> None:
    first = shown["ports"][0]
    assert (first["published_address"], first["published_port"], first["port"]) == (
        "127.0.0.1",
        port,
        80,
    )
    assert flat(shown["processes"]) == [("sh", "init"), ("httpd", "service"), ("sleep", "job")]
    assert shown["processes"][0]["arguments"] is None
    assert shown["processes"][0]["inner_pid"] == 1
    assert any(mount["target"] == "/" for mount in shown["mounts"])
    assert shown["limits"]["memory_bytes"] == 64 << 20
    assert shown["evidence"]
    assert shown["use"]["counters"]["processes"] == 3


def _assert_listed(docker: Docker, name: str, port: int) -> None:
    """Assert that `ls` shows the port on a terminal, and completion the name."""
    flags = (f"--collector.docker.host={docker.endpoint}", "--config.file=")
    table = tallyman("ls", "--wide", *flags)
    row = next(line for line in table.splitlines() if line.split()[0] == name)
    assert row.endswith(f"127.0.0.1:{port}→80 httpd")
    where = Path(TALLYMAN).parent
    script = (
        f"{tallyman('completion', 'bash')}\nCOMP_WORDS=(tallyman explain {name[:-1]})\n"
        'COMP_CWORD=2; _tallyman; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{where}:{os.environ['PATH']}"},
    )
    # The names that it completes are those of the engines that it finds by itself.
    assert done.stderr == ""
