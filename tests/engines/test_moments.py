"""What changes inside a container, or around it, without any event that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines.harness import systems
from tests.engines.harness.agent import running_agent
from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

_SLEEP = ("/bin/sleep", "86400")


@pytest.fixture(scope="module")
def watcher(dockerd: Docker) -> Iterator[Agent]:
    """Return an agent whose first full pass is its last."""
    with running_agent(
        f"--collector.docker.host={dockerd.endpoint}", "--inventory.full-interval=1d"
    ) as agent:
        agent.wait_ready()
        yield agent


def test_a_container_that_is_paused_while_nothing_else_happens() -> None:
    """No process comes or goes, and LXC makes no note of it; the agent never looks by itself."""
    need("lxc-start", "busybox")
    never = ("--inventory.full-interval=1d", "--inventory.poll-interval=1h")
    with systems.lxc(*_SLEEP) as made, running_agent(*never) as agent:
        agent.wait_row(made)
        for program, state in (("lxc-freeze", "paused"), ("lxc-unfreeze", "running")):
            run(program, f"--lxcpath={made.place}", f"--name={made.name}")
            agent.wait_row(made, state=state)


def services(page: Page, name: str) -> tuple[float | None, float | None]:
    """Return how many services run in a container, and how many sockets listen."""
    row = page.row(name)
    return (
        (
            page.value("tallyman_container_services", id=row.id),
            page.value("tallyman_container_listening_sockets", id=row.id),
        )
        if row
        else (None, None)
    )


@pytest.mark.parametrize(("waits_in", "at_first"), [("sh", 0), ("python3", 1)])
def test_an_entrypoint_that_waits_and_then_becomes_the_service(
    docker: Docker, watcher: Agent, waits_in: str, at_first: int
) -> None:
    """As one that waits for a database does; the process stays the same one."""
    prepare = "mkdir -p /run/sshd; mkfifo /ready"
    script = {
        "sh": f"{prepare}; read x < /ready; exec /usr/sbin/sshd -D",
        "python3": f'{prepare}; exec python3 -c "import os; open(\\"/ready\\").read(); '
        'os.execv(\\"/usr/sbin/sshd\\", [\\"/usr/sbin/sshd\\", \\"-D\\"])"',
    }[waits_in]
    made = docker.run(docker.debian(), "sh", "-c", script, name=unique(f"waits-{waits_in}"))
    made.wait_for(waits_in)
    watcher.wait_for(lambda page: services(page, made.name) == (at_first, 0), "the entrypoint")
    docker.cli("exec", made.name, "sh", "-c", "echo now > /ready")
    made.wait_for("sshd")
    watcher.wait_for(lambda page: services(page, made.name) == (1, 2), "the service")


def test_a_person_is_a_shell_that_waits_and_no_command_with_a_terminal(
    docker: Docker, watcher: Agent
) -> None:
    image = docker.busybox()
    commands = docker.run(image, *_SLEEP)
    person = docker.run(image, *_SLEEP)
    docker.cli("exec", "--detach", "--tty", commands.name, "sh", "-c", "sleep 86400; true")
    docker.cli("exec", "--detach", "--tty", person.name, "sh")

    def logged_into(page: Page) -> set[str]:
        rows = {row.id: row.name for row in page.rows()}
        return {
            rows[sample.labels["id"]]
            for sample in page.samples.get("tallyman_container_finding", [])
            if sample.labels["finding"] == "logged_into"
        } & {commands.name, person.name}

    watcher.wait_for(logged_into, "the person")
    page = watcher.wait_for(
        lambda page: all(
            (page.value("container_processes", name=made.name) or 0) >= at_least
            for made, at_least in ((commands, 3), (person, 2))
        ),
        "what was started in both",
    )
    assert logged_into(page) == {person.name}


def test_dockers_name_server_is_not_the_containers() -> None:
    need("dockerd", "docker", "busybox", "iptables")
    with docker_daemon("--iptables=true", own_network=True) as docker:
        docker.cli("network", "create", "--subnet=10.198.7.0/24", "named")
        quiet = docker.run(docker.busybox(), *_SLEEP, options=("--network=named",))
        able = docker.run(
            docker.busybox(), *_SLEEP, options=("--network=named", "--cap-add=NET_ADMIN")
        )
        web = docker.run(docker.busybox(), "httpd", "-f", "-p", "80", options=("--network=named",))
        flags = (f"--collector.docker.host={docker.endpoint}", "--collector.verdict_detail")
        with running_agent(*flags) as agent:
            agent.wait_ready()
            page = agent.wait_for(lambda page: services(page, web.name)[1], "the web server")
            sockets = {made.name: services(page, made.name)[1] for made in (quiet, able, web)}
            assert sockets == {quiet.name: 0, able.name: 0, web.name: 1}
            ids = {row.id for row in page.rows() if row.name in sockets}
            assert len(ids) == 3
            rules = {
                sample.labels["rule"]
                for sample in page.samples["tallyman_container_evidence"]
                if sample.labels["id"] in ids
            }
            assert rules
            assert "network.firewall" not in rules
