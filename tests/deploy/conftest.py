"""Builds what is installed on hosts, once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import __version__
from tests.engines.harness.need import need
from tests.engines.harness.programs import run

CLONE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deb() -> Path:
    """Build the Debian package and return the file."""
    return build_deb()


def build_deb() -> Path:
    """Build the Debian package and return the file."""
    need("dpkg-buildpackage", "dh")
    run(CLONE / "deploy/debian/build", timeout=600)
    found = sorted((CLONE / "dist").glob(f"tallyman_{__version__}-*.deb"))
    assert len(found) == 1, found
    return found[0]
