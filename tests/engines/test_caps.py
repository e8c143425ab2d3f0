"""More containers or series than the limits: what is left out is counted, and stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import running_agent
from tests.engines.harness.made import unique

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.harness.agent import Page
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

SLEEP = ("/bin/sleep", "86400")
MOST = 24
LIMIT = 1000


def test_caps(docker: Docker, tmp_path: Path) -> None:
    word = unique("capped")
    made = [docker.run(docker.busybox(), *SLEEP, name=f"{word}-{n}") for n in range(MOST + 2)]
    # Other containers on this machine are not counted.
    config = tmp_path / "tallyman.toml"
    config.write_text(f'[containers]\ninclude = [{{engine = "docker", name = "{word}-*"}}]\n')
    with running_agent(
        f"--config.file={config}",
        f"--collector.docker.host={docker.endpoint}",
        f"--containers.max={MOST}",
        f"--containers.max-series={LIMIT}",
    ) as agent:
        agent.wait_ready()
        page = agent.wait_for(lambda p: p.value("tallyman_dropped_containers") == 2, "two too many")
        # The container that has run longest stays.
        assert [r.name for r in sorted(page.rows(), key=lambda r: r.id)] == _names(made[:MOST])
        assert (page.value("tallyman_dropped_series") or 0) > 0
        first = _counted(page)
        assert 0 < len(first) < MOST

        made += [
            docker.run(docker.busybox(), *SLEEP, name=f"{word}-{n}") for n in (MOST + 2, MOST + 3)
        ]
        page = agent.wait_for(lambda p: p.value("tallyman_dropped_containers") == 4, "four of them")
        pages = [page, agent.scrape(), agent.scrape()]

        assert [_counted(p) for p in pages] == [first] * 3
        assert {r.name for r in page.rows()} == {m.name for m in made[:MOST]}
        log = agent.daemon.output()
        assert f"containers are left out, as containers.max is {MOST}: 2 of docker" in log
        assert f"containers, as containers.max_series is {LIMIT}" in log


def _names(made: list[Made]) -> list[str]:
    return [m.name for m in sorted(made, key=lambda m: m.handle)]


def _counted(page: Page) -> set[str]:
    """Return the containers that have counters on the page."""
    samples = page.samples["container_memory_usage_bytes"]
    return {s.labels["id"] for s in samples} - {"/"}
