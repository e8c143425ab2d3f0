"""Fixtures and options shared by all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

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
