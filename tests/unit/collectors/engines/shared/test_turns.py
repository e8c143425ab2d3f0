from __future__ import annotations

import itertools
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from collectors.engines.shared import turns
from collectors.engines.shared.turns import Turns, owner_of
from tests.support.processes import HOST, process
from tests.support.system_host import context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collectors.engines.shared.turns import Reader


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Turns[str]:
    """One owner's turn in each pass, and one thing in each turn."""
    monkeypatch.setattr(turns, "_SHORTEST", 0.0)
    monkeypatch.setattr(turns, "_GRACE", 60.0)
    give(monkeypatch, 0.0)
    return Turns()


def give(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(turns, "_SECONDS", seconds)
    monkeypatch.setattr(turns, "_FIRST_SECONDS", seconds)


def read_until(reader: Turns[str], readers: dict[str, Reader[str]], wanted: list[str]) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if sorted(reader.read(readers)) == wanted:
            return True
    return False


def wait_until_idle(reader: Turns[str], owner: str) -> None:
    end = time.monotonic() + 60
    while reader.is_busy(owner) and time.monotonic() < end:
        time.sleep(0.01)


def test_what_never_answers_costs_its_owner_only(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, 0.1)
    answer = threading.Event()

    def hang() -> Iterator[str]:
        answer.wait(60)
        yield "late"

    reader: Turns[str] = Turns()
    readers: dict[str, Reader[str]] = {"hung": hang, "other": lambda: iter(["there"])}
    try:
        assert read_until(reader, readers, ["there"])
        for _ in range(5):
            assert reader.read(readers) == ["there"]
            assert reader.is_busy("hung")
        assert sum(t.name == "turn" for t in threading.enumerate()) == 1
    finally:
        answer.set()
    assert read_until(reader, readers, ["late", "there"])


def test_too_many_that_hang_take_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_STUCK", 2)
    give(monkeypatch, 0.2)
    answer = threading.Event()

    def hang() -> Iterator[str]:
        answer.wait(60)
        yield "late"

    reader: Turns[str] = Turns()
    owners = dict.fromkeys("abcdef", hang)
    try:
        for _ in range(3):
            reader.read(owners)
        assert sum(map(reader.is_busy, owners)) == 2
    finally:
        answer.set()


def test_each_has_its_turn_and_what_was_read_stays(hurried: Turns[str]) -> None:
    calls: list[str] = []

    def read(key: str) -> Iterator[str]:
        calls.append(key)
        yield f"{key}{calls.count(key)}"

    readers = {key: partial(read, key) for key in "abcdefghij"}
    assert len(hurried.read(readers)) < 10
    for _ in range(40):
        found = hurried.read(readers)
    assert len(found) == 10
    counts = [calls.count(key) for key in readers]
    assert max(counts) - min(counts) <= 1


def test_a_long_reading_goes_on_at_the_next_turn(hurried: Turns[str]) -> None:
    """What was found is returned when all was read; until then, what was found before."""
    begun = itertools.count()

    def read() -> Iterator[str | None]:
        number = next(begun)
        for name in "abc":
            yield f"{name}{number}"
            yield None

    passes = [hurried.read({"owner": read}) for _ in range(20)]
    different = [found for found, _ in itertools.groupby(passes)]
    assert different[:3] == [[], ["a0", "b0", "c0"], ["a1", "b1", "c1"]]


def test_a_reading_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_CONTAINERS", 5)
    reader: Turns[int] = Turns()
    assert reader.read({"owner": itertools.count}) == [0, 1, 2, 3, 4]


def test_what_was_never_read_to_the_end_asks_for_another_pass_but_not_for_ever(
    hurried: Turns[str],
) -> None:
    asked: list[bool] = []
    for _ in range(50):
        hurried.read({"owner": lambda: itertools.repeat("x")}, lambda: asked.append(True))
    assert 0 < len(asked) < 20


def test_only_the_first_pass_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_SECONDS", 0.0)
    monkeypatch.setattr(turns, "_FIRST_SECONDS", 60.0)
    answer = threading.Event()

    def slow() -> Iterator[str]:
        answer.wait(60)
        yield "late"

    reader: Turns[str] = Turns()
    assert reader.read({"one": lambda: iter(["there"])}) == ["there"]
    try:
        owners: dict[str, Reader[str]] = {"one": lambda: iter(["there"]), "new": slow}
        assert reader.read(owners, first=False) == ["there"]
        assert reader.is_busy("new")
    finally:
        answer.set()


def test_a_reading_that_ends_after_its_pass_asks_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give(monkeypatch, 0.0)
    monkeypatch.setattr(turns, "_LATE_SECONDS", 60.0)
    answer, woken = threading.Event(), threading.Event()
    names = ["a"]

    def slow() -> Iterator[str]:
        answer.wait(60)
        yield from list(names)

    reader: Turns[str] = Turns()
    for expected in (["a"], ["a", "b"]):
        answer.clear()
        woken.clear()
        reader.read({"owner": slow}, woken.set)
        assert reader.is_busy("owner")
        assert not woken.is_set()
        answer.set()
        assert woken.wait(60)
        assert read_until(reader, {"owner": slow}, expected)
        wait_until_idle(reader, "owner")
        names.append("b")


def test_a_late_reading_without_news_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, 0.0)
    answer, woken = threading.Event(), threading.Event()
    answer.set()

    def read() -> Iterator[str]:
        answer.wait(60)
        yield "a"

    reader: Turns[str] = Turns()
    assert read_until(reader, {"owner": read}, ["a"])
    wait_until_idle(reader, "owner")
    answer.clear()
    reader.read({"owner": read}, woken.set)
    assert reader.is_busy("owner")
    answer.set()
    wait_until_idle(reader, "owner")
    assert not woken.wait(0.1)


def test_what_is_gone_is_forgotten() -> None:
    reader: Turns[str] = Turns()
    assert reader.read({"a": lambda: ["x"]}) == ["x"]
    assert reader.read({}) == []


def test_an_error_costs_its_owner_only_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Iterator[str]:
        yield "x"
        raise ValueError("unforeseen")

    reader: Turns[str] = Turns()
    for _ in range(3):
        assert reader.read({"a": fail, "b": lambda: ["y"]}) == ["y"]
    assert len(caplog.records) == 1


def test_owners(tmp_path: Path) -> None:
    """Who has many namespaces is one owner: the user; who has a cgroup of his own, that one."""
    ctx = context(tmp_path, HOST, [])
    elsewhere = {"mnt": 20, "pid": 21}
    assert owner_of(ctx, process(1)) == ""
    assert owner_of(ctx, process(2, uid=1000)) == "user 1000"
    assert owner_of(ctx, process(3, uid=1000, ns=elsewhere, root=3)) == "user 1000"
    inside = process(4, ns=elsewhere, root=4, cgroup="/docker/kind")
    assert owner_of(ctx, inside) == "/docker/kind:"
