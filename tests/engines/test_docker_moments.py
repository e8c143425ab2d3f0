"""Containers come and go while somebody looks all the time: each is there once at every moment."""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import ls, running_agent
from tests.engines.harness.made import unique

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.engines.harness.agent import Agent, Row
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

ROUNDS = 8
_NAMED_BY_PROCESS = re.compile(r"/(\d+)-\d+$")


@dataclass(slots=True)
class Watcher:
    """Reads page and listing without a pause, and notes what is wrong with them."""

    agent: Agent
    endpoint: str
    handles: set[str] = field(default_factory=set)
    """Ids of the engine's: of the containers that were made."""
    started: set[str] = field(default_factory=set)
    """Those that Docker has said to run."""
    pages: int = 0
    listings: int = 0
    wrong: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        threads = [threading.Thread(target=look) for look in (self._pages, self._listings)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _pages(self) -> None:
        while not self._over.wait(0.05):
            self._check(self.agent.scrape().rows(), "page", frozenset())
            self.pages += 1

    def _listings(self) -> None:
        while not self._over.wait(0.05):
            started = frozenset(self.started)
            rows = ls(f"--collector.docker.host={self.endpoint}")
            self._check((row for row in rows if not row.reason), "ls", started)
            self.listings += 1

    def _check(self, rows: Iterable[Row], where: str, started: frozenset[str]) -> None:
        """Note what is wrong; ``started`` are those that ran before somebody looked."""
        ours = [(row, handle) for row in rows if (handle := self._handle(row)) is not None]
        for handle, count in Counter(handle for _, handle in ours).items():
            if count > 1:
                both = [row for row, other in ours if other == handle]
                self.wrong.append(f"{where}: {handle} is there {count} times: {both}")
        for row, handle in ours:
            if not row.id.startswith("/docker/") or row.engine != "docker":
                self.wrong.append(f"{where}: another id or engine: {row}")
            if handle in started and row.state != "running":
                self.wrong.append(f"{where}: it runs and is called {row.state}: {row}")

    def _handle(self, row: Row) -> str | None:
        """Return which of the containers a row shows, by its id, its cgroup or its process."""
        pid = _NAMED_BY_PROCESS.search(row.id)
        places = [row.id, row.cgroup]
        if pid:
            with suppress(OSError):
                places.append(Path(f"/proc/{pid[1]}/cgroup").read_text())
        return next((h for h in tuple(self.handles) if any(h in place for place in places)), None)


def test_each_is_there_once_while_it_is_created_and_started(docker: Docker) -> None:
    image = docker.busybox()
    prefix = unique("moment")
    with running_agent(f"--collector.docker.host={docker.endpoint}") as agent:
        agent.wait_ready()
        watcher = Watcher(agent, docker.endpoint)
        with watcher.watching():
            for number in range(ROUNDS):
                name = f"{prefix}-{number}"
                handle = docker.cli("create", "--name", name, image, "sleep", "86400")
                watcher.handles.add(handle)
                docker.cli("start", name)
                watcher.started.add(handle)
            agent.wait_for(
                lambda page: (
                    sum(
                        row.name.startswith(prefix) and row.state == "running"
                        for row in page.rows()
                    )
                    == ROUNDS
                ),
                "all of them to run",
            )
        ours = [row for row in agent.scrape().rows() if row.name.startswith(prefix)]

    assert watcher.wrong == []
    assert watcher.pages
    assert watcher.listings
    assert Counter(row.id.rpartition("/")[2] for row in ours) == Counter(watcher.handles)
