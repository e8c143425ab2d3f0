from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent import wire
from agent.inventory.inventory import InventoryPass
from agent.model import CollectorHealth, Container, LookAlike
from agent.scout.outbox import Outbox
from collectors.facts import HostFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = HostFacts(nodename="host")
HEALTH = (CollectorHealth(name="lxc", success=True, duration_seconds=0, last_success=1.0),)
LOOK_ALIKE = LookAlike(kind="service", name="x", reason="it is one")
INVENTORY = InventoryPass(containers={}, groups={}, look_alikes=(LOOK_ALIKE,), nested={}, dropped=3)


def containers(*names: str) -> dict[str, Container]:
    return {name: Container(id=name, engine="docker") for name in names}


class Sent:
    """An outbox and what has come out of it."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self.outbox = Outbox(self._out)

    def messages(self) -> list[object]:
        """Return what was sent since the last call."""
        data = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return list(wire.Frames().feed(data))

    def update(
        self, judged: Mapping[str, Container], inventory: InventoryPass | None = None
    ) -> wire.Update:
        """Send the containers, and return the update."""
        self.outbox.containers(judged, HOST, HEALTH, 5.0, inventory)
        (message,) = self.messages()
        assert isinstance(message, wire.Update)
        return message


@pytest.fixture
def sent() -> Sent:
    return Sent()


def test_the_first_update_has_all_and_names_all(sent: Sent) -> None:
    first = sent.update(containers("a", "b"), INVENTORY)
    assert first == wire.Update(
        host=HOST,
        changed=tuple(containers("a", "b").values()),
        everyone=frozenset("ab"),
        look_alikes=(LOOK_ALIKE,),
        collectors=HEALTH,
        complete=True,
        as_of=5.0,
        dropped=3,
    )


def test_a_later_update_has_what_changed(sent: Sent) -> None:
    before = containers("a", "b", "c")
    sent.update(before, INVENTORY)
    renamed = replace(before["b"], name="renamed")
    later = sent.update({"a": before["a"], "b": renamed, **containers("d")})
    assert later.changed == (renamed, *containers("d").values())
    assert (later.removed, later.everyone) == (("c",), frozenset())


def test_between_two_inventories_look_alikes_are_as_before(sent: Sent) -> None:
    sent.update({}, INVENTORY)
    later = sent.update({})
    assert (later.look_alikes, later.dropped) == (None, 3)


def test_the_lag_stands_until_there_is_another(sent: Sent) -> None:
    assert sent.update({}).event_lag_seconds is None
    sent.outbox.lag = 0.5
    assert [sent.update({}).event_lag_seconds for _ in range(2)] == [0.5, 0.5]


def test_the_first_inventory_is_sent_in_parts_and_nothing_twice(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.scout.outbox._PART_SIZE", 2)
    judged = containers("a", "b", "c")
    for container in judged.values():
        sent.outbox.part(container, HOST)
    (part,) = sent.messages()
    assert isinstance(part, wire.Update)
    assert ([c.id for c in part.changed], part.complete) == (["a", "b"], False)
    last = sent.update(judged, INVENTORY)
    assert ([c.id for c in last.changed], last.everyone) == (["c"], frozenset("abc"))


def test_a_collector_that_hangs_is_named(sent: Sent) -> None:
    sent.outbox.stuck("collector docker")
    assert sent.messages() == [wire.Stuck("collector docker")]


def test_without_a_reader_sending_fails() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as out, pytest.raises(BrokenPipeError):
        Outbox(out).stuck("collector docker")


def test_details_are_sent_when_they_change_and_when_they_end(sent: Sent) -> None:
    def details(judged: Mapping[str, bytes]) -> Mapping[str, bytes]:
        sent.outbox.containers({}, HOST, HEALTH, 5.0, details=judged)
        (message,) = sent.messages()
        assert isinstance(message, wire.Update)
        return message.details

    first = {"a": b"1", "b": b"2"}
    assert details(first) == first
    assert details(first) == {}
    assert details({"a": b"1", "b": b"3"}) == {"b": b"3"}
    assert details({"a": b"1"}) == {"b": b""}
