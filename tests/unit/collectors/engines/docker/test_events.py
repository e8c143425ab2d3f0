from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.engines.docker import events as docker_events
from collectors.engines.docker.api import Client
from collectors.engines.docker.errors import ApiError
from collectors.engines.docker.events import Follower
from tests.support.fake_docker import DONE, WEB, FakeDocker

PATIENCE = 60.0


class Woken:
    """Counts how often it was woken, and can be waited for."""

    def __init__(self) -> None:
        self._times = threading.Semaphore(0)

    def __call__(self) -> None:
        self._times.release()

    def wait(self) -> None:
        assert self._times.acquire(timeout=PATIENCE)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDocker]:
    monkeypatch.setattr(docker_events, "_FIRST_PAUSE", 0.01)
    with FakeDocker(tmp_path / "docker.sock").run() as fake:
        yield fake


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def follower(daemon: FakeDocker, woken: Woken) -> Iterator[Follower]:
    found = Follower(
        lambda: Client(lambda s: s.connect(str(daemon.path)), wait=PATIENCE, seconds=PATIENCE),
        "test",
        woken,
    )
    found.start()
    woken.wait()
    yield found
    found.close()
    found._thread.join(PATIENCE)
    assert not found._thread.is_alive()


def test_everything_may_have_changed_until_it_follows(daemon: FakeDocker) -> None:
    found = Follower(lambda: pytest.fail("not yet"), "test", Woken())
    assert found.take() == (True, set())
    assert found.take() == (True, set())
    assert daemon.asked == []


def test_what_happens_is_told_once(daemon: FakeDocker, follower: Follower, woken: Woken) -> None:
    assert follower.take() == (True, set())
    assert follower.take() == (False, set())
    daemon.happen("start", WEB)
    woken.wait()
    daemon.happen("die", DONE)
    woken.wait()
    assert follower.take() == (False, {WEB, DONE})
    assert follower.take() == (False, set())


def test_a_stream_that_is_cut_is_taken_up_where_it_was(
    daemon: FakeDocker, follower: Follower, woken: Woken
) -> None:
    assert daemon.following.acquire(timeout=PATIENCE)
    daemon.happen("start", WEB, second=1_900_000_000)
    woken.wait()
    follower.take()
    daemon.cut_events()
    woken.wait()  # it is cut
    woken.wait()  # it is connected again
    assert daemon.following.acquire(timeout=PATIENCE)
    assert follower.take() == (True, set())
    last = [asked for asked in daemon.asked if asked.startswith("/events")][-1]
    assert "since=1899999998" in last
    daemon.happen("die", WEB)
    woken.wait()
    assert follower.take() == (False, {WEB})


def test_nonsense_among_the_events_is_passed_over(
    daemon: FakeDocker, follower: Follower, woken: Woken
) -> None:
    follower.take()
    daemon.tell(b"what\n")
    daemon.tell(b"[]\n")
    daemon.happen("start", WEB)
    woken.wait()
    assert follower.take() == (False, {WEB})


def test_an_event_without_an_end_ends_the_stream(
    daemon: FakeDocker, follower: Follower, woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.take()
    monkeypatch.setattr(docker_events, "_LINE_LIMIT", 10)
    daemon.tell(b"x" * 20)
    woken.wait()
    woken.wait()
    assert follower.take()[0] is True


def test_too_many_changes_are_one(
    daemon: FakeDocker, follower: Follower, woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.take()
    monkeypatch.setattr(docker_events, "_CHANGED_LIMIT", 3)
    for number in range(4):
        daemon.happen("start", str(number))
        woken.wait()
    assert follower.take() == (True, set())


def test_it_tries_again_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_events, "_FIRST_PAUSE", 0.001)
    tries = threading.Semaphore(0)

    def refuse() -> Client:
        tries.release()
        raise ApiError("nobody listens")

    found = Follower(refuse, "test", Woken())
    found.start()
    for _ in range(3):
        assert tries.acquire(timeout=PATIENCE)
    assert found.take() == (True, set())
    found.close()
    found._thread.join(PATIENCE)
    assert not found._thread.is_alive()
