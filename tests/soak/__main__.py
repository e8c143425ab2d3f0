"""``make soak``: runs an agent through churn and faults; prints what it holds, loses and repeats.

Containers of a private Docker start and stop all the time. Every round causes one more fault: the
scout is killed, dockerd hangs or is killed, clients misbehave. Each round prints a line with the
agent's resources; the exit status is 1 if a container was lost or shown twice, or if descriptors,
threads or memory have grown permanently. Needs root, docker.io and busybox-static.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import psutil

from tests.engines.harness.agent import running_agent
from tests.engines.harness.consistency import inconsistencies
from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.made import unique
from tests.engines.harness.programs import MARK, wait_until, workplace
from tests.soak.holds import holds

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.harness.agent import Agent, Page
from tests.engines.harness.dockerd import Docker

CONTAINERS = 20
"""Containers that run at a time."""

_ALLOWED = {"descriptors": 16, "threads": 4, "megabytes": 16}
"""Growth from the end of the first rounds to the end that does not count as a leak."""

_WARM_UP = 4
_COLUMNS = ("round", "fault", "descriptors", "threads", "megabytes", "scouts", "lost", "doubled")


class Soak:
    """One agent, one Docker, and the containers that should be on the page."""

    def __init__(self, agent: Agent, docker: Docker) -> None:
        self.agent = agent
        self.docker = docker
        self.alive: list[str] = []
        self._random = random.Random(1)
        self.faults: tuple[Callable[[], None], ...] = (
            self.nothing,
            self.scout_killed,
            self.docker_hung,
            self.docker_killed,
            self.rude_clients,
        )

    def nothing(self) -> None:
        """Cause no fault."""

    def scout_killed(self) -> None:
        """Kill the scout, as the OOM killer would."""
        for process in psutil.Process(self.agent.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "agent.scout" in process.cmdline():
                    process.kill()

    def docker_hung(self) -> None:
        """Stop dockerd for some seconds."""
        assert self.docker.daemon
        os.kill(self.docker.daemon.pid, signal.SIGSTOP)
        self._scrape_for(5)
        os.kill(self.docker.daemon.pid, signal.SIGCONT)

    def docker_killed(self) -> None:
        """Kill dockerd, and start it again."""
        self.docker.kill()
        self._scrape_for(3)
        self.docker.start()

    def rude_clients(self) -> None:
        """Open many connections, and send little."""
        with ExitStack() as clients:
            for _ in range(60):
                client = socket.create_connection(("127.0.0.1", self.agent.port), timeout=10)
                clients.enter_context(client)
                client.sendall(b"GET /metrics HT")
            self._scrape_for(3)

    def churn(self) -> None:
        """Replace half of the containers."""
        image = self.docker.busybox()
        self._random.shuffle(self.alive)
        gone, self.alive = self.alive[: CONTAINERS // 2], self.alive[CONTAINERS // 2 :]
        for name in gone:
            self.docker.cli("rm", "--force", name)
        while len(self.alive) < CONTAINERS:
            name = unique("soak")
            self.docker.run(image, "sleep", "86400", name=name)
            self.alive.append(name)

    def judge(self) -> tuple[int, int]:
        """Wait until the page shows all containers; return how many are lost and shown twice."""
        with suppress(AssertionError):
            self.agent.wait_for(lambda page: not self._lost(page), "all containers", 60)
        page = self.agent.scrape()
        return len(self._lost(page)), len(inconsistencies(page))

    def _lost(self, page: Page) -> set[str]:
        shown = {row.name for row in page.rows() if row.state == "running"}
        return set(self.alive) - shown

    def _scrape_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.agent.scrape()
            time.sleep(0.5)


def soak(minutes: float) -> bool:
    """Run for this long; return whether there was no error."""
    with docker_daemon("--live-restore", own_network=True) as docker, ExitStack() as stack:
        only_ours = stack.enter_context(workplace("soak")) / "tallyman.toml"
        # Other containers on the machine must not count.
        only_ours.write_text(f'[containers]\ninclude = [{{ name = "{MARK}soak*" }}]\n')
        agent = stack.enter_context(
            running_agent(
                f"--config.file={only_ours}",
                f"--collector.docker.host={docker.endpoint}",
                "--containers.retention=10s",
                "--inventory.full-interval=10s",
            )
        )
        agent.wait_ready(60)
        one = Soak(agent, docker)
        _print(_COLUMNS)
        end = time.monotonic() + minutes * 60
        number = lost_in_all = doubled_in_all = 0
        first = holds(agent.pid)
        while time.monotonic() < end or number <= _WARM_UP:
            fault = one.faults[number % len(one.faults)]
            fault()
            one.churn()
            lost, doubled = one.judge()
            held = holds(agent.pid)
            scouts = agent.daemon.output().count("a new one starts in")
            _print((number, fault.__name__, *held.values(), scouts, lost, doubled))
            lost_in_all += lost
            doubled_in_all += doubled
            if number == _WARM_UP:
                first = held
            number += 1
        for name in one.alive:
            docker.cli("rm", "--force", name)
        one.alive = []

        def given_back() -> bool:
            last = holds(agent.pid)
            return all(last[what] <= first[what] + more for what, more in _ALLOWED.items())

        try:
            wait_until(given_back, "all to be given back", 60)
        except AssertionError:
            sys.stdout.write(f"grown: {first} after warming up, {holds(agent.pid)} in the end\n")
            return False
        sys.stdout.write(f"lost {lost_in_all}, doubled {doubled_in_all}, nothing has grown\n")
        return not lost_in_all and not doubled_in_all


def _print(row: tuple[object, ...]) -> None:
    sys.stdout.write("".join(f"{cell!s:>14}" for cell in row) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=5)
    sys.exit(0 if soak(parser.parse_args().minutes) else 1)
