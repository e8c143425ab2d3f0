"""docs/verdict.md is generated."""

from __future__ import annotations

from agent.classifier.manual import render
from tests.support import CLONE


def test_the_page_about_the_model_is_current() -> None:
    page = CLONE / "docs" / "verdict.md"
    assert page.read_text() == render(), "run: python -m agent.classifier.manual > docs/verdict.md"
