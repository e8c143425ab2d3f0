"""A fake vzlist on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.openvz_node import FakeVzlist
from tests.support.vzlist_program import CONTAINERS


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., FakeVzlist]:
    return lambda version: FakeVzlist(tmp_path, version, CONTAINERS[version])
