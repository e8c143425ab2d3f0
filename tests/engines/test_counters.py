"""Counters and what is counted, at moments when a container is not at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.kernel.counters import parse
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import run

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine


def start(agent: Agent, docker: Docker, script: str, *options: str) -> Made:
    made = docker.run(docker.busybox(), "sh", "-c", script, name=unique("counted"), options=options)
    agent.wait_row(made)
    return made


def interfaces(page: Page, made: Made) -> list[str]:
    samples = page.samples.get("container_network_receive_bytes_total", [])
    return [s.labels["interface"] for s in samples if s.labels.get("name") == made.name]


def inside(made: Made, *command: str) -> None:
    run("nsenter", "--target", str(made.pid), "--net", *command)


def test_each_of_many_interfaces_by_its_whole_name(agent: Agent, docker: Docker) -> None:
    need("nsenter")
    made = start(agent, docker, "exec sleep 86400")
    names = ["local0", "veth0", "docker1", *(f"dummy{n}" for n in range(17))]
    for name in names:
        inside(made, "ip", "link", "add", name, "type", "bridge")
    page = agent.wait_for(lambda p: len(interfaces(p, made)) > 20, "the interfaces")
    assert sorted(interfaces(page, made)) == sorted([*names, "eth0"])
    assert page.value("tallyman_dropped_interfaces") == 0


def test_of_too_many_interfaces_the_quietest_are_left_out_and_counted(
    agent: Agent, docker: Docker
) -> None:
    need("nsenter")
    made = start(agent, docker, "exec sleep 86400")
    for n in range(parse.MOST_INTERFACES + 9):
        inside(made, "ip", "link", "add", f"dummy{n}", "type", "bridge")
    # A new interface of the engine's stands last; it has sent what IPv6 makes it send, at least.
    inside(made, "ip", "link", "set", "eth0", "name", "late0")
    page = agent.wait_for(lambda p: p.value("tallyman_dropped_interfaces") == 10, "ten left out")
    shown = interfaces(page, made)
    assert len(shown) == parse.MOST_INTERFACES
    assert "late0" in shown
    assert made.name in agent.daemon.output()


def test_what_never_ran_was_never_last_seen(agent: Agent, docker: Docker) -> None:
    made = unique("created")
    docker.cli("create", "--name", made, docker.busybox(), "true")
    agent.wait_for(lambda p: p.row(made), "the container")
    # Each makes the agent look twice again, and could be taken for the moment of an end.
    for other in (unique("removed") for _ in range(3)):
        docker.cli("create", "--name", other, docker.busybox(), "true")
        agent.wait_for(lambda p, name=other: p.row(name), "another one")  # type: ignore[misc]
        docker.cli("rm", other)
        page = agent.wait_for(
            lambda p, name=other: not p.row(name),  # type: ignore[misc]
            "its removal",
        )
        assert page.value("container_last_seen", name=made) is None
    docker.cli("start", made)
    docker.cli("wait", made)
    page = agent.wait_for(lambda p: p.value("container_last_seen", name=made), "that it ran")
    row = page.row(made)
    assert row
    finished = page.value("tallyman_container_finished_seconds", id=row.id)
    assert page.value("container_last_seen", name=made) == finished
