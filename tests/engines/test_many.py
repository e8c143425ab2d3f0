"""A thousand containers on one page, which every parser accepts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.bench.load import load
from tests.engines.harness.need import need
from tests.engines.harness.prometheus import promtool_objections

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent, Page

pytestmark = pytest.mark.engine

COUNT = 1000
MOST_SERIES = 70


def test_a_page_of_a_thousand(agent: Agent) -> None:
    need("promtool", "busybox")
    with load(COUNT) as loader:
        ids = {f"/docker/{made.id}" for made in loader.containers}

        def all_of_them(page: Page) -> bool:
            return ids <= {row.id for row in page.rows()}

        # Page parses it with prometheus-client.
        text = agent.wait_for(all_of_them, f"{COUNT} containers", 120)
        openmetrics = agent.scrape(openmetrics=True)

        assert promtool_objections(text.text) == []
    for page in (text, openmetrics):
        found = Counter(row.id for row in page.rows() if row.id in ids)
        assert (len(found), set(found.values())) == (COUNT, {1})
        series = Counter(
            sample.labels["id"]
            for samples in page.samples.values()
            for sample in samples
            if sample.labels.get("id") in ids
        )
        assert max(series.values()) <= MOST_SERIES
