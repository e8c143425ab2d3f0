"""Two hundred containers come, change and go while the agent is scraped each second."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import open_descriptors, running_agent
from tests.engines.harness.consistency import inconsistencies
from tests.engines.harness.made import unique
from tests.engines.harness.programs import descendants, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

LIVES = 200
WARM_UP = 80
WORKERS = 3
RETENTION = 2


@dataclass(slots=True)
class Scrapes:
    """Scrapes each second in the background, and records what was wrong."""

    agent: Agent
    pages: int = 0
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(1):
            page = self.agent.scrape()
            self.wrong += inconsistencies(page)
            self.pages += 1


def test_churn(docker: Docker) -> None:
    prefix = unique("churn")
    with running_agent(
        f"--collector.docker.host={docker.endpoint}",
        f"--containers.retention={RETENTION}s",
        "--inventory.full-interval=10s",
    ) as agent:
        agent.wait_ready()
        scrapes = Scrapes(agent)
        scraper = threading.Thread(target=scrapes.run)
        scraper.start()
        try:
            # Growth by the first ones is not a leak; growth by later ones would be.
            _live_all(agent, docker, prefix, range(WARM_UP))
            before = _resources(agent, prefix)
            page = _live_all(agent, docker, prefix, range(WARM_UP, LIVES))
        finally:
            scrapes.over.set()
            scraper.join()

        assert inconsistencies(page) == []
        assert scrapes.wrong == []
        assert scrapes.pages > 10
        with suppress(AssertionError):
            wait_until(lambda: not _grown(before, _resources(agent, prefix)), "all given back", 120)
        assert _grown(before, _resources(agent, prefix)) == []


def _live_all(agent: Agent, docker: Docker, prefix: str, numbers: Iterable[int]) -> Page:
    image = docker.busybox()
    with ThreadPoolExecutor(WORKERS) as pool:
        lives = [pool.submit(live, docker, image, f"{prefix}-{n}", n) for n in numbers]
    for ended in lives:
        ended.result()
    return agent.wait_for(
        lambda page: not _shown(page, prefix), "all to be forgotten", RETENTION + 60
    )


def live(docker: Docker, image: str, name: str, seed: int) -> None:
    """Run one container through its life."""
    docker.cli("run", "--detach", "--name", name, image, "sleep", "86400")
    for action in random.Random(seed).sample(("pause", "restart", "rename", "kill", "stop"), 1):
        match action:
            case "pause":
                docker.cli("pause", name)
                docker.cli("unpause", name)
            case "rename":
                docker.cli("rename", name, f"{name}-renamed")
                name = f"{name}-renamed"
            case "restart":
                docker.cli("restart", "--time=0", name)
            case "stop":
                docker.cli("stop", "--time=0", name)
                docker.cli("start", name)
            case "kill":
                docker.cli("kill", name)
                docker.cli("wait", name)
                docker.cli("start", name)
    docker.cli("rm", "--force", name)


def _shown(page: Page, prefix: str) -> list[str]:
    return [row.name for row in page.rows() if row.name.startswith(prefix)]


def _resources(agent: Agent, prefix: str) -> dict[str, int]:
    """Return descriptors, threads and memory of serve and scout together.

    Also the number of other containers on this machine, which use some of each.
    """
    rows = agent.scrape().rows()
    found = Counter(others=sum(not row.name.startswith(prefix) for row in rows))
    for pid in (agent.pid, *descendants(agent.pid)):
        found["descriptors"] += open_descriptors(pid)
        found["threads"] += len(os.listdir(f"/proc/{pid}/task"))
        status = Path(f"/proc/{pid}/statm").read_text().split()
        found["memory"] += int(status[1]) * os.sysconf("SC_PAGE_SIZE")
        found["processes"] += 1
    return dict(found)


def _grown(before: dict[str, int], after: dict[str, int]) -> list[str]:
    allowed = {"descriptors": 8, "threads": 2, "memory": 12 << 20, "processes": 0}
    of_each_other = {"descriptors": 30, "threads": 0, "memory": 256 << 10, "processes": 0}
    others = max(0, after["others"] - before["others"])
    return [
        f"{what}: {before[what]} before, {after[what]} after, {others} more of others"
        for what, more in allowed.items()
        if after[what] > before[what] + more + others * of_each_other[what]
    ]
