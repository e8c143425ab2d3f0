"""The agent under test, used through its command line and over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.engines.harness.counters import CounterWatch
from tests.engines.harness.programs import Daemon, run, wait_until, workplace
from tests.engines.harness.roots import CACHE
from tests.support import old_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from prometheus_client.samples import Sample

    from tests.engines.harness.made import Made


def tallyman_under(kernel: str) -> Path:
    """Return a command that runs the agent without the system calls newer than this Linux."""
    program = Path(sys.executable).with_name("tallyman")
    if not kernel:
        return program
    wrapper = CACHE / f"tallyman-linux-{kernel}"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    wrapper.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{old_kernel.__file__}" {kernel} "{program}" "$@"\n'
    )
    wrapper.chmod(0o755)
    return wrapper


TALLYMAN = tallyman_under(os.environ.get("TALLYMAN_TEST_KERNEL", ""))
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One container or look-alike, as the agent shows it."""

    id: str
    name: str
    engine: str
    state: str
    style: str
    parent_id: str
    pid: int | None = None
    cgroup: str = ""
    reason: str = ""
    """Why it is a look-alike; empty for a container."""


def rows_about(rows: list[Row], made: Made) -> list[Row]:
    """Return the rows of the container that the test made, and of anything in or around it."""
    pids = set(made.pids())
    return [
        row
        for row in rows
        if (made.name and row.name == made.name)
        or made.handle in row.id
        or made.handle in row.cgroup
        or row.pid in pids
    ]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Page:
    """One scrape, parsed with prometheus-client's own parser."""

    def __init__(self, text: str, *, openmetrics: bool = False) -> None:
        self.text = text
        parse = parse_openmetrics if openmetrics else parse_text
        self.families = list(parse(text))
        self.samples: dict[str, list[Sample]] = {}
        for family in self.families:
            for sample in family.samples:
                self.samples.setdefault(sample.name, []).append(sample)

    def value(self, metric: str, /, **labels: str) -> float | None:
        """Return the value of the one sample with these labels; None where there is none."""
        found = [
            sample.value
            for sample in self.samples.get(metric, [])
            if labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, f"{metric}{labels} stands {len(found)} times on the page"
        return found[0] if found else None

    def rows(self) -> list[Row]:
        """Return the containers of the page."""
        states = {
            s.labels["id"]: s.labels["state"]
            for s in self.samples.get("tallyman_container_state", [])
        }
        return [
            Row(
                id=s.labels["id"],
                name=s.labels.get("name", ""),
                engine=s.labels["engine"],
                state=states.get(s.labels["id"], ""),
                style=s.labels["style"],
                parent_id=s.labels.get("parent_id", ""),
            )
            for s in self.samples.get("tallyman_container_info", [])
        ]

    def row(self, name: str) -> Row | None:
        """Return the container of that name; None if it is not on the page yet."""
        found = [row for row in self.rows() if row.name == name]
        assert len(found) <= 1, f"{name} stands {len(found)} times on the page: {found}"
        return found[0] if found else None


class Agent:
    """A running ``tallyman serve``."""

    def __init__(
        self,
        place: Path,
        *flags: str,
        command: tuple[str | Path, ...] = (TALLYMAN,),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.counters = CounterWatch()
        """Sees every page that is scraped."""
        self.daemon = Daemon(
            *command,
            "serve",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *flags,
            log=place / "agent.log",
            env=env,
        )

    @property
    def pid(self) -> int:
        return self.daemon.pid

    def get(self, path: str, **headers: str) -> Answer:
        """Request a path; raises OSError while nothing listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def scrape(self, *, openmetrics: bool = False) -> Page:
        """Scrape once."""
        accept = OPENMETRICS if openmetrics else "text/plain; version=0.0.4"
        answer = self.get("/metrics", Accept=accept)
        assert answer.status == 200, answer
        page = Page(answer.text, openmetrics=openmetrics)
        if not openmetrics:
            self.counters.see(page)
        return page

    def assert_no_counter_fell(self) -> None:
        """Fail if one fell on the pages so far; the page may show a restart a moment later."""

        def excused() -> bool:
            if self.counters.fallen():
                with suppress(OSError):
                    self.scrape()
            return not self.counters.fallen()

        with suppress(AssertionError):
            wait_until(excused, "the restarts that excuse what fell", 10)
        assert self.counters.fallen() == [], self.counters.fallen()

    def listens(self) -> bool:
        """Return whether it answers at all."""
        try:
            return self.get("/-/healthy").status == 200
        except OSError:
            return False

    def is_ready(self) -> bool:
        """Return whether its first snapshot is complete."""
        try:
            return self.get("/-/ready").status == 200
        except OSError:
            return False

    def wait_ready(self, seconds: float = 120) -> None:
        """Wait for the first complete snapshot."""
        self.daemon.wait_for(self.is_ready, "the agent to be ready", seconds)

    def wait_for(self, look: Callable[[Page], Any], what: str, seconds: float = 60) -> Page:
        """Scrape until a page meets the condition, and return that page."""

        def pleases() -> Page | None:
            page = self.scrape()
            return page if look(page) else None

        return self.daemon.wait_for(pleases, what, seconds)

    def wait_row(
        self, made: Made, *, state: str = "running", style: str = "", seconds: float = 60
    ) -> Row:
        """Wait until a container is on the page in that state (and style), and return its row."""

        def there(page: Page) -> bool:
            row = page.row(made.name)
            return row is not None and row.state == state and style in ("", row.style)

        what = f"{made.engine} container {made.name}, {state} {style}"
        page = self.wait_for(there, what, seconds)
        row = page.row(made.name)
        assert row is not None
        return row


def tallyman(*words: str, timeout: float = 120, env: Mapping[str, str] | None = None) -> str:
    """Run the command, as a user would."""
    return run(TALLYMAN, *words, timeout=timeout, env=env)


def ls(*flags: str) -> list[Row]:
    """Return what ``tallyman ls --all --json`` shows."""
    text = tallyman("ls", "--all", "--json", "--timeout=4m", *flags, timeout=300)
    return [row_of(found) for found in json.loads(text)]


def assert_found_once(
    rows: list[Row], made: Made, *, state: str = "running", style: str = ""
) -> Row:
    """Assert that exactly one row shows this container, and that it is right."""
    about = [row for row in rows_about(rows, made) if not row.reason]
    inner = {row.id for row in about}
    # Nested containers are in its cgroup, too, but name it as their parent.
    about = [row for row in about if row.parent_id not in inner]
    assert len(about) == 1, f"{made} was found {len(about)} times: {about}"
    row = about[0]
    assert (row.engine, row.state) == (made.engine, state), row
    assert made.name in ("", row.name), f"{row.name} should be called {made.name}"
    assert style in ("", row.style), f"{row} should be {style}"
    if made.pid is not None:
        assert row.pid == made.pid, f"init of {made.name} is {made.pid}, not {row.pid}"
    if made.parent is None:
        assert row.parent_id == "", f"{made.name} is in no container, but {row}"
    else:
        assert row.parent_id == assert_found_once(rows, made.parent).id
    return row


def assert_no_container(rows: list[Row], made: Made) -> Row:
    """Assert that this is shown as a look-alike, with the reason."""
    about = rows_about(rows, made)
    false = [row for row in about if not row.reason]
    assert not false, f"{made.name} is no container, but was found: {false}"
    assert about, f"{made} is not shown among what is no container"
    assert all(row.style == "none" for row in about), about
    return about[0]


@contextmanager
def running_agent(
    *flags: str,
    command: tuple[str | Path, ...] = (TALLYMAN,),
    env: Mapping[str, str] | None = None,
    start_seconds: float = 60,
) -> Iterator[Agent]:
    """Return an agent that listens; it is stopped afterwards."""
    with workplace("agent") as place:
        agent = Agent(place, *flags, command=command, env=env)
        try:
            agent.daemon.wait_for(agent.listens, "the agent to listen", start_seconds)
            yield agent
            agent.assert_no_counter_fell()
        finally:
            agent.daemon.stop()


def watchful_agent(endpoint: str) -> AbstractContextManager[Agent]:
    """Return an agent that polls one Docker daemon often."""
    return running_agent(
        f"--collector.docker.host={endpoint}",
        "--inventory.full-interval=2s",
        "--inventory.poll-interval=1s",
    )


def free_port() -> int:
    """Return a TCP port of the loopback address that is free at the moment.

    It is below the ephemeral ports, so that no connection takes it in between.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def open_descriptors(pid: int) -> int:
    """Return the number of open descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def row_of(found: dict[str, Any]) -> Row:
    return Row(
        id=found["id"] or "",
        name=found["name"],
        engine=found["engine"],
        state=found["state"] or "",
        style=found["style"],
        parent_id=found["parent_id"],
        pid=found["pid"],
        cgroup=found["cgroup"],
        reason=found.get("reason", ""),
    )
