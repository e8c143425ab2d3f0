"""Faults around the agent: it answers or reports why not, and recovers."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.engines.harness.agent import (
    TALLYMAN,
    Page,
    open_descriptors,
    running_agent,
    watchful_agent,
)
from tests.engines.harness.programs import run, wait_until
from tests.hostile.conftest import scout_of
from tests.hostile.stranger import stranger

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent
    from tests.engines.harness.dockerd import Docker
    from tests.hostile.conftest import Neighbour

pytestmark = pytest.mark.engine


def test_a_dockerd_that_hangs(mortal: Docker) -> None:
    """It is stopped at any point: known containers stay, and the failure is reported."""
    made = mortal.run(mortal.busybox(), "sleep", "86400")
    with watchful_agent(mortal.endpoint) as agent:
        before = agent.wait_row(made, style="app", seconds=60)
        assert mortal.daemon
        os.kill(mortal.daemon.pid, signal.SIGSTOP)
        try:
            with stranger() as other:
                agent.wait_row(other, style="app", seconds=60)
            page = agent.wait_for(lambda p: _docker_succeeds(p) == 0, "docker to fail", 90)
            assert page.row(made.name) == before
        finally:
            os.kill(mortal.daemon.pid, signal.SIGCONT)
        agent.wait_for(lambda p: _docker_succeeds(p) == 1, "docker to be back", 90)
        late = mortal.run(mortal.busybox(), "sleep", "86400")
        agent.wait_row(late, style="app", seconds=60)


def test_an_event_stream_that_is_cut(mortal: Docker) -> None:
    """The agent's connections end one after the other: later events are still seen."""
    with watchful_agent(mortal.endpoint) as agent:
        agent.wait_ready(60)
        for _ in range(3):
            made = mortal.run(mortal.busybox(), "sleep", "86400")
            agent.wait_row(made, style="app", seconds=60)
            mortal.kill()
            mortal.start()
            mortal.cli("rm", "--force", made.name)
            agent.wait_for(partial(_has_ended, made.name), "its end", 60)


def test_out_of_descriptors(neighbour: Neighbour) -> None:
    """With 48 descriptors it opens and closes files instead of keeping them, and loses nothing."""
    with running_agent(command=("prlimit", "--nofile=48:48", TALLYMAN)) as agent:
        row = agent.wait_row(neighbour.made, style="app", seconds=60)
        for _ in range(3):
            assert agent.scrape().value("container_memory_usage_bytes", id=row.id)
        assert open_descriptors(agent.pid) <= 48


def test_the_end_in_the_middle_of_a_scrape(neighbour: Neighbour) -> None:
    with running_agent() as agent:
        agent.wait_row(neighbour.made, style="app", seconds=60)
        over = threading.Event()
        broken = []

        def scrape() -> None:
            while not over.is_set():
                try:
                    answer = agent.get("/metrics")
                except OSError:
                    return  # nothing listens any more
                if answer.status == 200:
                    try:
                        Page(answer.text)
                    except ValueError as error:
                        broken.append(error)

        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(scrape)
            wait_until(agent.listens, "scrapes")
            assert agent.daemon.stop(grace=60) == 0
            over.set()
        assert broken == []


def test_fifty_scrapers(neighbour: Neighbour) -> None:
    """All get an answer: the page, or 503 for too many requests."""
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: neighbour.agent.get("/metrics"), range(200)))
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 503}
    assert statuses[200] > 0
    for answer in answers:
        if answer.status == 200:
            assert neighbour.made.name in answer.text
    neighbour.assert_unharmed()


def test_clients_that_do_not_read_or_send(neighbour: Neighbour) -> None:
    """A hundred send nothing, or half a request, or read nothing: others are answered."""
    address = ("127.0.0.1", neighbour.agent.port)
    halves = (
        b"",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    rude = []
    try:
        for number in range(99):
            client = socket.create_connection(address, timeout=60)
            rude.append(client)
            with suppress(OSError):
                client.sendall(halves[number % 3])
        # While there are too many, some are refused, possibly this one.
        page = wait_until(lambda: _page(neighbour.agent), "a page in spite of them", 60)
        neighbour.assert_unharmed(page)
    finally:
        for client in rude:
            client.close()


def _page(agent: Agent) -> Page | None:
    try:
        answer = agent.get("/metrics")
    except OSError:
        return None
    return Page(answer.text) if answer.status == 200 else None


def test_a_log_that_takes_nothing(neighbour: Neighbour) -> None:
    """The disk of the log is full: no container's data is affected."""
    words = ("sh", "-c", f'exec "{TALLYMAN}" "$@" >/dev/full 2>&1', "sh")
    with running_agent("--log.level=debug", command=words) as agent:
        agent.wait_row(neighbour.made, style="app", seconds=60)


def test_a_machine_that_sleeps(neighbour: Neighbour) -> None:
    """All of the agent is stopped for a while, as in a suspend, and continues."""
    with running_agent("--inventory.deadline=2s") as agent:
        agent.wait_row(neighbour.made, style="app", seconds=60)
        processes = [psutil.Process(agent.pid), *psutil.Process(agent.pid).children(recursive=True)]
        for process in processes:
            process.suspend()
        with stranger() as late:
            threading.Event().wait(4)
            for process in processes:
                process.resume()
            agent.wait_row(late, style="app", seconds=60)
            agent.wait_row(neighbour.made, style="app", seconds=60)


def _docker_succeeds(page: Page) -> float | None:
    return page.value("tallyman_collector_success", collector="docker")


def _has_ended(name: str, page: Page) -> bool:
    row = page.row(name)
    return row is None or row.state != "running"


def test_a_new_scout_goes_on_from_what_the_last_one_knew(neighbour: Neighbour) -> None:
    """Ended containers are still shown, with the same end; also those that end without a scout."""
    with running_agent() as agent:
        with stranger() as early, stranger() as late:
            for made in (early, late):
                agent.wait_row(made, seconds=60)
            os.kill(early.pid or 0, signal.SIGKILL)
            run("runc", "delete", "--force", early.name)
            page = agent.wait_for(lambda p: _state(p, early.name) == "dead", "its end", 60)
            ended = _last_seen(page, early.name)
            scout = scout_of(agent)
            scout.suspend()  # so that it sends nothing of what follows
        scout.kill()
        page = agent.wait_for(lambda p: _state(p, late.name) == "dead", "the other end", 60)
        assert scout_of(agent).pid != scout.pid
        assert _state(page, early.name) == "dead"
        assert _last_seen(page, early.name) == ended
        neighbour.assert_unharmed(page)


def _state(page: Page, name: str) -> str:
    row = page.row(name)
    return row.state if row is not None else ""


def _last_seen(page: Page, name: str) -> float | None:
    row = page.row(name)
    return page.value("container_last_seen", id=row.id) if row is not None else None
