"""Docker, from the container to the page that Prometheus scrapes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import assert_found_once, ls, running_agent, tallyman
from tests.engines.harness.dockerd import SYSTEMD, Docker
from tests.engines.harness.made import unique
from tests.engines.harness.programs import descendants
from tests.engines.harness.prometheus import promtool_objections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

NGINX = ("nginx", "-g", "daemon off;")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Five typical containers."""

    single: Made
    workers: Made
    reaped: Made
    system: Made
    stopped: Made

    def styles(self) -> dict[str, str]:
        """Return the correct style by name."""
        return {
            self.single.name: "app",
            self.workers.name: "app",
            self.reaped.name: "app",
            self.system.name: "system",
            self.stopped.name: "app",
        }


@pytest.fixture(scope="module")
def fleet(dockerd: Docker, agent: Agent) -> Iterator[Fleet]:
    image = dockerd.debian()
    single = dockerd.run(image, "redis-server", name=unique("single"))
    workers = dockerd.run(image, *NGINX, name=unique("workers"))
    reaped = dockerd.run(image, "redis-server", name=unique("reaped"), options=("--init",))
    system = dockerd.run(image, "/sbin/init", name=unique("system"), options=SYSTEMD)
    stopped = dockerd.run(image, *NGINX, name=unique("stopped"))
    workers.wait_for("nginx")
    system.wait_for("systemd", "sshd", "cron", "rsyslogd")
    agent.wait_row(stopped, style="app")
    dockerd.cli("stop", "--time=2", stopped.name)
    agent.wait_row(stopped, state="exited")
    yield Fleet(
        single=single,
        workers=workers,
        reaped=reaped,
        system=system,
        stopped=dockerd.made(stopped.name),
    )
    dockerd.remove_all()


def test_the_page_names_each_with_its_style(fleet: Fleet, agent: Agent) -> None:
    page = agent.wait_for(
        lambda p: (row := p.row(fleet.system.name)) and row.style == "system", "the system's style"
    )

    rows = {row.name: row for row in page.rows()}

    assert {name: rows[name].style for name in fleet.styles()} == fleet.styles()
    assert {rows[name].engine for name in fleet.styles()} == {"docker"}
    assert rows[fleet.stopped.name].state == "exited"
    assert page.value("tallyman_inventory_complete") == 1


def test_the_page_tells_why(fleet: Fleet, agent: Agent) -> None:
    page = agent.scrape()

    system, app = page.row(fleet.system.name), page.row(fleet.single.name)

    assert system
    assert app
    assert (page.value("tallyman_container_style_score", id=system.id) or 0) > 0.3
    assert (page.value("tallyman_container_style_score", id=app.id) or 0) < -0.3
    assert page.value("tallyman_container_mismatch", id=system.id) == 1
    assert page.value("tallyman_container_mismatch", id=app.id) == 0


def test_running_ones_have_counters_and_stopped_ones_have_none(fleet: Fleet, agent: Agent) -> None:
    page = agent.scrape()

    assert (page.value("container_memory_usage_bytes", name=fleet.system.name) or 0) > 1 << 20
    assert (page.value("container_processes", name=fleet.workers.name) or 0) >= 2
    assert page.value("container_memory_usage_bytes", name=fleet.stopped.name) is None


def test_ls_needs_no_agent(fleet: Fleet, dockerd: Docker) -> None:
    rows = ls(f"--collector.docker.host={dockerd.endpoint}")

    for made in (fleet.single, fleet.workers, fleet.reaped, fleet.system):
        assert_found_once(rows, made, style=fleet.styles()[made.name])
    # This agent never saw it run, so it remembers no verdict.
    assert assert_found_once(rows, fleet.stopped, state="exited").style in ("app", "unknown")


def test_names_come_from_disk_where_no_socket_may_be_used(fleet: Fleet, dockerd: Docker) -> None:
    refused = f"--collector.docker.host={dockerd.endpoint}"  # is not asked either
    with running_agent("--no-process.engine-sockets", refused) as agent:
        agent.wait_row(fleet.system, style="system")
        agent.wait_row(fleet.stopped, state="exited")
        page = agent.scrape()
        for pid in (agent.pid, *descendants(agent.pid)):
            assert "\nSeccomp:\t2\n" in Path(f"/proc/{pid}/status").read_text()
    assert page.value("tallyman_collector_success", collector="docker") == 1
    assert page.value("tallyman_collector_denied_total", collector="docker") in (None, 0)


def test_explain_gives_reasons(fleet: Fleet, dockerd: Docker) -> None:
    text = tallyman("explain", fleet.system.name, f"--collector.docker.host={dockerd.endpoint}")

    assert "system" in text
    assert "systemd" in text
    assert "sshd" in text


def test_the_plain_page_lists_them(fleet: Fleet, agent: Agent) -> None:
    answer = agent.get("/")

    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<script" not in answer.text
    assert all(name in answer.text for name in fleet.styles())


@pytest.mark.usefixtures("fleet")
def test_both_formats_have_the_same_samples(agent: Agent) -> None:
    text, openmetrics = agent.scrape(), agent.scrape(openmetrics=True)

    assert openmetrics.text.endswith("# EOF\n")
    assert set(text.samples) == set(openmetrics.samples)


@pytest.mark.usefixtures("fleet")
def test_promtool_objects_only_to_the_listed_names(agent: Agent) -> None:
    assert promtool_objections(agent.scrape().text) == []


@pytest.mark.usefixtures("fleet")
def test_the_page_can_be_had_compressed(agent: Agent) -> None:
    answer = agent.get("/metrics", **{"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.body.startswith(b"\x1f\x8b")
