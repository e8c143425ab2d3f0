"""Fixtures and options shared by all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.engines.harness.guest_runs import GUEST_RUNS

settings.register_profile(
    "tallyman",
    # How long an example takes says something of the machine only.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples each time: what they find is in the change that is tested.
    derandomize=True,
    database=None,
)
settings.load_profile("tallyman")


# Files that a group may write are refused as configuration.
os.umask(0o022)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden pages of tests/hosts anew instead of comparing with them",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Return whether golden pages are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


_WITHOUT_ENGINES = tuple(f"tests/{name}/" for name in ("unit", "hosts", "corpus", "fuzz"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what may run beside the guest, then what waits for it; the rest runs alone."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.nodeid.startswith(_WITHOUT_ENGINES):
        return 0
    return 1 if item.get_closest_marker("vm") else 2


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to run the guest."""
    if session.config.option.collectonly:
        return
    waiting = [item for item in session.items if item.get_closest_marker("vm")]
    modules = [item.getparent(pytest.Module) for item in waiting]
    GUEST_RUNS.begin(list(dict.fromkeys(m.obj.__name__ for m in modules if m is not None)))


def pytest_sessionfinish() -> None:
    """End what still runs."""
    GUEST_RUNS.end()
