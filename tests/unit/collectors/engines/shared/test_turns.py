from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.shared import turns
from collectors.engines.shared.turns import Turns
from tests.support.processes import sighting

if TYPE_CHECKING:
    import pytest

    from collectors.facts import Sighting


def test_what_is_slow_costs_its_own_containers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten are slow, and each gets its turn; what was read stays until it is read again."""
    now = itertools.count()
    monkeypatch.setattr(turns, "monotonic", lambda: float(next(now)))
    calls: list[str] = []

    def read(key: str) -> list[Sighting]:
        calls.append(key)
        return [sighting(name=f"{key}{calls.count(key)}")]

    readers = {key: partial(read, key) for key in "abcdefghij"}
    reader = Turns(seconds=3.0)
    first = reader.read(readers)
    assert 0 < len(first) < 10
    for _ in range(9):
        found = reader.read(readers)
    assert len(found) == 10
    counts = [calls.count(key) for key in readers]
    assert max(counts) - min(counts) <= 1


def test_what_is_gone_is_forgotten() -> None:
    reader = Turns()
    assert reader.read({"a": lambda: [sighting()]})
    assert reader.read({}) == []
