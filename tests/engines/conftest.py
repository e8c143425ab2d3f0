"""Fixtures of the tests with real engines."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import Agent, running_agent
from tests.engines.harness.dockerd import Docker, docker_daemon
from tests.engines.harness.need import need
from tests.engines.harness.programs import MARK, hierarchies, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Docker]:
    """Return the Docker daemon of this test run."""
    need("dockerd", "docker", "busybox", "ip")
    with docker_daemon() as docker:
        yield docker


@pytest.fixture
def docker(dockerd: Docker) -> Iterator[Docker]:
    """Return the Docker daemon; what a test starts with it is removed after the test."""
    yield dockerd
    dockerd.remove_all()


@pytest.fixture
def mortal() -> Iterator[Docker]:
    """Return a daemon that a test may kill; its containers continue without it."""
    need("dockerd", "docker", "busybox")
    with docker_daemon("--live-restore", own_network=True) as docker:
        yield docker


@pytest.fixture(scope="session")
def agent(dockerd: Docker) -> Iterator[Agent]:
    """Return one agent that runs during all tests, as it would on a host."""
    with running_agent(
        f"--collector.docker.host={dockerd.endpoint}", "--collector.spec_detail"
    ) as agent:
        agent.wait_ready()
        yield agent


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Assert that a test leaves no process, mount or cgroup of its own on the machine."""
    before = _ours()
    yield
    with suppress(AssertionError):
        wait_until(lambda: not _ours() - before, "what the test made to be gone")
    assert _ours() - before == set()


def _ours() -> set[str]:
    """Return processes, mounts and cgroups that carry the mark of the tests."""
    found = {
        line.split(" ")[4]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        # Docker keeps the host's network namespace mounted once a container has shared it.
        if MARK in line and "/netns/default" not in line
    }
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                if MARK in command:
                    found.add(f"{entry.name} {command[:80]}")
    for hierarchy in hierarchies():
        for directory, _, _ in os.walk(hierarchy):
            if MARK in directory:
                found.add(directory)
    return found
