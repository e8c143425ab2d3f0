"""Captured hosts, unpacked where the agent can be pointed at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.archive import load

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.txt"))


@pytest.fixture(params=NAMES)
def host_name(request: pytest.FixtureRequest) -> str:
    """Return the name of each captured host in turn."""
    name: str = request.param
    return name


@pytest.fixture
def tree(host_name: str, tmp_path: Path) -> Path:
    """Unpack that host, and give where."""
    place = tmp_path / "host"
    place.mkdir()
    load((HERE / f"{host_name}.txt").read_text()).unpack(place)
    return place
