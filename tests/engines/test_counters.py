"""Counters and what is counted, at moments when a container is not at rest."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.metrics.cadvisor import CADVISOR
from collectors.kernel.counters import parse
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import hierarchies, run, wait_until

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


def test_no_counter_falls_or_vanishes_while_the_hosts_processes_pass_through(
    agent: Agent, docker: Docker
) -> None:
    work = "while true; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1; done"
    made = start(agent, docker, work, "--health-cmd=true", "--health-interval=1s", "--memory=64m")
    agent.wait_for(lambda p: p.value("container_memory_usage_bytes", name=made.name), "its memory")
    before = counters_of(agent.scrape(), made)
    # What runc exec does: it enters one hierarchy after the other, and the namespaces at the end.
    for directory in directories(made):
        with subprocess.Popen(["sleep", "86400"]) as passing:
            (directory / "cgroup.procs").write_text(str(passing.pid))
            # A new container makes the agent look; a pass follows within two seconds.
            other = start(agent, docker, "exec sleep 86400")
            for _ in range(3):
                missing = before - counters_of(agent.scrape(), made)
                assert not missing, f"{missing} vanished while {directory} held another process"
                time.sleep(0.3)
            passing.kill()
        docker.cli("rm", "--force", other.name)
    agent.assert_no_counter_fell()


def test_oom_kills_are_counted_over_restarts(agent: Agent, docker: Docker) -> None:
    made = docker.run(
        docker.busybox(),
        *("sh", "-c", "sleep 3; tail /dev/zero"),
        name=unique("greedy"),
        options=("--restart=on-failure:3", "--memory=12m"),
    )
    agent.wait_row(made)

    def ended() -> bool:
        agent.scrape()  # the watch of all counters sees each page
        return bool(docker.inspect(made.name)["State"]["Status"] == "exited")

    def kills(page: Page) -> float:
        return page.value("container_oom_events_total", name=made.name) or 0

    for least in (1, 2, 3):
        agent.wait_for(lambda p, least=least: kills(p) >= least, "one more kill")  # type: ignore[misc]
    wait_until(ended, "the last attempt to fail", 120)
    agent.wait_row(made, state="exited")
    agent.wait_for(lambda p: kills(p) == 4, "all four")
    agent.assert_no_counter_fell()
    docker.cli("start", made.name)
    page = agent.wait_for(
        lambda p: p.value("container_memory_usage_bytes", name=made.name), "the next start"
    )
    assert kills(page) == 4


def test_a_kill_of_another_kind_is_no_oom_kill(agent: Agent, docker: Docker) -> None:
    made = start(agent, docker, "exec sleep 86400", "--memory=12m")
    docker.cli("kill", made.name)
    agent.wait_row(made, state="exited")
    assert not agent.scrape().value("container_oom_events_total", name=made.name)


def test_zombies_are_told_from_threads_and_found(agent: Agent, docker: Docker) -> None:
    fork = "for (1..40) { fork or exit } sleep 86400"
    made = docker.run(docker.debian(), "perl", "-e", fork, name=unique("unreaped"))
    row = agent.wait_row(made)
    page = agent.wait_for(
        lambda p: p.value("tallyman_container_zombies", id=row.id) == 40, "the zombies"
    )
    assert page.value("container_processes", name=made.name) == 1
    assert page.value("container_threads", name=made.name) == 1
    page = agent.wait_for(
        lambda p: p.value("tallyman_container_finding", id=row.id, finding="unreaped"),
        "the finding, once they have stayed",
        180,
    )


def counters_of(page: Page, made: Made) -> set[str]:
    """Return the names of what is read of a container at each scrape."""
    return {
        sample.name
        for metric in CADVISOR
        if metric.shows
        for sample in page.samples.get(metric.name, [])
        if sample.labels.get("name") == made.name
    }


def directories(made: Made) -> list[Path]:
    """Return the directories of a container's cgroups in hierarchies with counters."""
    found = {}
    for line in Path(f"/proc/{made.pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for top in hierarchies():
            names = {"unified": "", "systemd": "name=systemd"}.get(top.name, top.name)
            told = controllers in ("", "cpuacct", "memory")
            if told and names == controllers and path != "/" and (top / path[1:]).is_dir():
                found[top] = top / path[1:]
    assert found
    return list(found.values())
