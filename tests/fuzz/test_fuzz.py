from __future__ import annotations

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS

SECONDS = 1
"""For each target: enough for thousands of inputs. ``make fuzz`` takes longer."""


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform")
    assert fuzz(name, SECONDS)
