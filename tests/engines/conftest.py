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
from tests.engines.harness.programs import hierarchies, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Docker]:
    """Give the Docker daemon of this run."""
    need("dockerd", "docker", "busybox", "ip")
    with docker_daemon() as docker:
        yield docker


@pytest.fixture
def docker(dockerd: Docker) -> Iterator[Docker]:
    """Give the Docker daemon; what a test starts with it is removed after the test."""
    yield dockerd
    dockerd.remove_all()


@pytest.fixture(scope="session")
def agent(dockerd: Docker) -> Iterator[Agent]:
    """Give one agent that runs through all tests, as it would on a host."""
    with running_agent(f"--collector.docker.host={dockerd.endpoint}") as agent:
        agent.wait_ready()
        yield agent


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Assert that a test leaves no process, mount or cgroup of its own on the machine."""
    before = _ours()
    yield
    wait_until(lambda: not _ours() - before, "what the test made to be gone", 10)


def _ours() -> set[str]:
    """Give processes, mounts and cgroups that carry the names that tests give."""
    marks = (f"tm{os.getpid()}-", "/tm-")
    found = {
        line.split(" ")[4]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if any(mark in line for mark in marks)
    }
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                if any(mark in command for mark in marks):
                    found.add(f"{entry.name} {command[:80]}")
    for hierarchy in hierarchies():
        for directory, _, _ in os.walk(hierarchy):
            if any(mark in directory for mark in marks):
                found.add(directory)
    return found
