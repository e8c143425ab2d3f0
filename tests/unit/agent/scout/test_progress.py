from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.scout.progress import Progress


@pytest.fixture
def scouts() -> Iterator[Progress]:
    page = Progress.create()
    yield page
    page.close()


@pytest.fixture
def serves(scouts: Progress) -> Progress:
    """Return the same page, mapped once more, as another process does it."""
    return Progress(scouts.fd)


def busy_with(page: Progress) -> str | None:
    state = page.read()
    return None if state is None else state[1]


def test_a_new_page_is_idle(serves: Progress) -> None:
    assert serves.read() is None


def test_what_the_scout_is_busy_with_is_seen_through_another_mapping(
    scouts: Progress, serves: Progress
) -> None:
    scouts.begin("container 42 \u00e9")
    assert busy_with(serves) == "container 42 \u00e9"
    scouts.begin("x")
    assert busy_with(serves) == "x"
    scouts.idle()
    assert serves.read() is None


def test_the_time_is_that_of_the_last_subject(
    scouts: Progress, serves: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("agent.scout.progress.time.monotonic", lambda: now)
    scouts.begin("one")
    now = 107.0
    assert serves.read() == (7.0, "one")
    scouts.begin("two")
    now = 109.0
    assert serves.read() == (2.0, "two")


def test_a_long_name_is_cut(scouts: Progress, serves: Progress) -> None:
    scouts.begin("x" * 10_000)
    assert set(busy_with(serves) or "") == {"x"}
