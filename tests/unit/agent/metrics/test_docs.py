from __future__ import annotations

from agent.metrics.docs import page
from tests.support import CLONE

DOCS = CLONE / "docs"


def test_the_page_of_metrics_is_current() -> None:
    written = (DOCS / "metrics.md").read_text()
    assert written == page(), "run: python -m agent.metrics > docs/metrics.md"
