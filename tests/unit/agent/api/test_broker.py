"""Who listens is told what happens; while nobody does, nothing is followed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent.api import broker as module
from agent.api.broker import PER_ADDRESS, STREAMS, Broker
from agent.api.changes import reset_event
from agent.api.events import KEPT, EventLog
from agent.api.watch import Pair
from collectors.facts import State
from tests.support.snapshots import LEGACY, NOW, WEB, picture
from tests.support.web_server import FakePages
from tests.unit.agent.api.test_uses import counted, taken


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def kinds(broker: Broker, place: int = 1) -> list[str]:
    found = broker.log.read(place, 0.0)
    assert found is not None
    lines = found[1].decode().splitlines()
    return [json.loads(line[6:])["type"] for line in lines if line.startswith("data: ")]


def test_nobody_listens_and_nothing_is_followed() -> None:
    pages = FakePages()
    Broker(pages, "e")
    assert pages.follower is None
    assert pages.read == 0


def test_events_are_made_while_somebody_listens_and_a_minute_longer() -> None:
    pages, clock = FakePages(), Time()
    broker = Broker(pages, "e", clock)
    assert broker.join("::1") == ""
    follower = pages.follower
    assert follower is not None
    stopped = replace(WEB, state=State.EXITED, init=None)
    follower(picture(WEB), picture(stopped))
    broker.leave("::1")
    clock.now += 59
    follower(picture(stopped), picture(WEB))
    assert kinds(broker) == ["stopped", "started"]
    clock.now += 2
    follower(picture(WEB), picture(stopped))
    assert kinds(broker) == ["stopped", "started"]
    assert pages.follower is None


def test_what_was_there_before_the_agent_did_not_just_happen() -> None:
    pages = FakePages()
    broker = Broker(pages, "e")
    broker.join("::1")
    assert pages.follower is not None
    pages.follower(picture(complete=False), picture(WEB))
    assert kinds(broker) == []


@pytest.mark.parametrize("engine_first", [True, False])
def test_one_kill_that_two_sources_tell_is_one_event(engine_first: bool) -> None:
    pages, clock = FakePages(), Time()
    broker = Broker(pages, "e", clock)
    broker.join("::1")
    assert pages.follower is not None
    told = picture(replace(WEB, oom_events=0)), picture(replace(WEB, oom_events=1))
    pair = Pair(2, taken(3.0, counted("1", oom="1")), taken(1.0, counted("1")))
    for by_engine in (engine_first, not engine_first):
        if by_engine:
            pages.follower(*told)
        else:
            broker._see_reading(pair)
    assert kinds(broker) == ["oom"]
    clock.now += 11
    broker._see_reading(pair)
    assert kinds(broker) == ["oom", "oom"]


def test_one_that_was_killed_before_it_was_seen() -> None:
    pages = FakePages()
    broker = Broker(pages, "e")
    broker.join("::1")
    assert pages.follower is not None
    killed = replace(WEB, state=State.EXITED, init=None, oom_killed=True, finished=NOW - 1)
    pages.follower(picture(LEGACY), picture(LEGACY, killed))
    assert kinds(broker) == ["created", "oom"]
    # Whose end is long ago is only listed again, as by an engine that was away.
    old = replace(killed, id="/old", finished=NOW - 86400)
    pages.follower(picture(LEGACY, killed), picture(LEGACY, killed, old))
    assert kinds(broker) == ["created", "oom", "created"]


def test_streams_have_an_end_for_each_address_and_in_all() -> None:
    broker = Broker(FakePages(), "e")
    assert [broker.join("a") for _ in range(PER_ADDRESS)] == [""] * PER_ADDRESS
    assert "64 event streams of your address" in broker.join("a")
    assert broker.join("b") == ""
    others = [broker.join(f"c{n}") for n in range(STREAMS)]
    assert others.count("") == STREAMS - PER_ADDRESS - 1
    assert "128 event streams" in others[-1]
    broker.leave("a")
    assert broker.join("d") == ""
    assert broker.listeners == STREAMS


def test_a_reader_goes_on_after_the_last_event_that_it_has_seen() -> None:
    log = EventLog("e")
    log.add([reset_event(NOW)] * 3)
    assert log.place_after("e-1") == 2
    assert log.place_after("e-3") == log.end == 4
    for unknown in ("e-4", "e-99", "other-1", "e-", "e-x", "", "e-\u0663", "e-" + "9" * 5000):
        assert log.place_after(unknown) is None, unknown


def test_the_log_has_an_end_and_who_is_too_slow_is_told() -> None:
    log = EventLog("e")
    log.add([reset_event(NOW)] * (KEPT + 5))
    assert log.read(1, 0.0) is None
    assert log.place_after("e-1") is None
    place, text = log.read(log.end - 1, 0.0) or (0, b"")
    assert (place, text.count(b"event: reset")) == (log.end, 1)


def test_huge_names_do_not_make_the_log_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.api.events._BYTES_KEPT", 100_000)
    log = EventLog("e")
    log.add([replace(reset_event(NOW), name="x" * 10_000)] * 50)
    assert log.read(log.end - 20, 0.0) is None
    assert log.read(log.end - 5, 0.0) is not None


def test_a_log_that_is_closed_wakes_its_readers() -> None:
    broker = Broker(FakePages(), "e")
    broker.close()
    assert broker.log.closed
    assert broker.log.read(broker.log.end, 60.0) == (broker.log.end, b"")
    assert module.STREAMS
