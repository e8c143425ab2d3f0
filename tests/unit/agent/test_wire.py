from __future__ import annotations

import io
from dataclasses import replace
from random import Random

import pytest

from agent import wire
from agent.model import (
    CollectorHealth,
    Container,
    Details,
    LookAlike,
    ProcessEntry,
    Snapshot,
    Task,
)
from collectors.facts import HostFacts

HOST = HostFacts(nodename="h")
ONE, TWO = Container(id="/one", engine="none"), Container(id="/two", engine="none")
HEALTH = CollectorHealth(name="lxc", success=True, duration_seconds=0, last_success=1.0)
LOOK_ALIKE = LookAlike(kind="service", name="x", reason="it is one")


def frames(*messages: object) -> bytes:
    out = io.BytesIO()
    for message in messages:
        wire.send(out, message)
    return out.getvalue()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_arrive_whole_in_pieces_of_any_size(size: int) -> None:
    messages = [wire.Stuck("one"), wire.Update(host=HOST, changed=(ONE,)), wire.Stuck("two")]
    data, received = frames(*messages), wire.Frames()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [m for piece in pieces for m in received.feed(piece)] == messages


def test_half_a_message_is_none() -> None:
    data, received = frames(wire.Stuck("one")), wire.Frames()
    assert list(received.feed(data[:-1])) == []
    assert list(received.feed(data[-1:])) == [wire.Stuck("one")]


def test_updates_make_the_next_snapshot_and_leave_the_last_alone() -> None:
    first = wire.apply(None, wire.Update(host=HOST, changed=(ONE, TWO), look_alikes=()))
    second = wire.apply(first, wire.Update(host=HOST, removed=("/one",), complete=True))
    assert set(first.containers) == {"/one", "/two"}
    assert set(second.containers) == {"/two"}
    assert (first.complete, second.complete) == (False, True)
    assert isinstance(second, Snapshot)


def test_what_an_update_leaves_out_is_as_before() -> None:
    first = wire.Update(
        host=HOST, changed=(ONE,), look_alikes=(LOOK_ALIKE,), collectors=(HEALTH,), complete=True
    )
    before = wire.apply(None, first)
    after = wire.apply(before, wire.Update(host=HOST, as_of=5.0, event_lag_seconds=0.5))
    assert after.containers is before.containers
    assert (after.look_alikes, after.collectors) == ((LOOK_ALIKE,), (HEALTH,))
    assert (after.complete, after.as_of, after.event_lag_seconds) == (True, 5.0, 0.5)


def test_the_first_update_of_a_new_scout_ends_what_it_does_not_name() -> None:
    before = wire.apply(None, wire.Update(host=HOST, changed=(ONE, TWO), complete=True))
    fresh = wire.Update(host=HOST, everyone=frozenset({"/two"}), complete=True, fresh=True)
    assert set(wire.apply(before, fresh).containers) == {"/two"}


def test_orders_cross_as_one_line() -> None:
    orders = wire.Orders(
        file="/etc/x.toml",
        text="# two\n# lines",
        flags={"a.b": True},
        quarantine=frozenset({"q"}),
        once=True,
    )
    line = orders.to_line()
    assert line.count(b"\n") == 1
    assert wire.Orders.from_line(line) == orders


@pytest.mark.parametrize("line", [b"", b"hello\n", b"{}\n"])
def test_anything_else_is_no_orders(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        wire.Orders.from_line(line)


def entry(pid: int, name: str) -> ProcessEntry:
    return ProcessEntry(
        pid=pid, parent=1, inner_pid=pid, start_ticks=1, program=name, task=Task.WORKER
    )


def test_details_are_what_they_were() -> None:
    details = Details(processes=(entry(7, "nginx"),), more_processes=3)
    assert wire.unpack(wire.pack(details)) == details


def test_details_that_do_not_compress_are_cut() -> None:
    random = Random(7)
    names = ("".join(random.choices("abcdefghijklmnop0123456789", k=100)) for _ in range(1000))
    packed = wire.pack(Details(processes=tuple(entry(n, name) for n, name in enumerate(names))))
    shown = wire.unpack(packed)
    assert len(packed) <= 16 << 10
    assert 50 < len(shown.processes) < 1000
    assert len(shown.processes) + shown.more_processes == 1000


def test_details_come_and_go_with_their_containers() -> None:
    one, two = (Container(id=name, engine="docker") for name in ("/one", "/two"))
    first = wire.Update(
        host=HostFacts(),
        changed=(one, two),
        everyone=frozenset({"/one", "/two"}),
        details={"/one": b"1", "/two": b"2", "/none": b"3"},
        complete=True,
        fresh=True,
    )
    shown = wire.apply(None, first)
    assert shown.details == {"/one": b"1", "/two": b"2"}
    later = wire.apply(shown, wire.Update(host=HostFacts(), details={"/one": b""}))
    assert later.details == {"/two": b"2"}
    same = wire.apply(later, wire.Update(host=HostFacts()))
    assert same.details is later.details
    gone = wire.apply(same, wire.Update(host=HostFacts(), removed=("/two",)))
    assert gone.details == {}
    again = wire.apply(shown, replace(first, details={"/two": b"4"}))
    assert again.details == {"/two": b"4"}
