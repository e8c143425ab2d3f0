"""Beyond the limit of series: what is left out, and that it stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.exposition import Options
from tests.support.page_host import Host, running

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_beyond_the_cap_counters_go_first_and_the_page_says_how_many(tmp_path: Path) -> None:
    containers = [running(id=f"/docker/{n:064x}", cgroups={"": "/c"}) for n in range(20)]
    everything = Host(tmp_path / "a").show(*containers)
    host = Host(tmp_path / "b", Options(max_series=300))
    page = host.show(*containers)
    assert len(page["tallyman_container_info"]) == 20
    assert 0 < len(page["container_memory_usage_bytes"]) < 20
    count = sum(map(len, everything.values())) - sum(map(len, page.values()))
    assert page["tallyman_dropped_series"][()] >= count > 0
    assert everything["tallyman_dropped_series"] == {(): 0}


def test_who_stays_below_the_cap_stays_whoever_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path, Options(max_series=300))
    first = [running(id=f"/docker/{n:064x}", name=f"c{n}", cgroups={"": "/c"}) for n in range(20)]
    counted = set(host.show(*first)["container_memory_usage_bytes"])
    (said,) = caplog.messages
    assert "containers.max_series is 300" in said
    new = [running(id=f"/docker/{n:064x}", cgroups={"": "/c"}) for n in range(100, 102)]

    # They come first, whatever order they are told in.
    page = host.show(*new, *reversed(first[1:]))

    assert len(counted) > 2
    assert set(page["container_memory_usage_bytes"]) >= {
        c for c in counted if first[0].id not in str(c)
    }
    assert caplog.messages == [said]
