from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS

RUNS = 20_000
"""For each target. The inputs are the same each time, so that what this finds is in the change that
is tested; new ones are for ``make fuzz``."""


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform")
    assert fuzz(name, tmp_path, f"-runs={RUNS}", "-seed=1")
