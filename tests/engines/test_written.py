"""What a container has written over its image: known where the agent may walk its layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import running_agent
from tests.engines.harness.programs import wait_until

if TYPE_CHECKING:
    from tests.engines.harness.agent import Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine
MIB = 1 << 20


def test_it_is_measured_where_that_is_configured_and_absent_by_default(docker: Docker) -> None:
    if docker.cli("info", "--format", "{{.Driver}}").strip() != "overlay2":
        pytest.skip("this daemon does not use overlay")
    writes = "dd if=/dev/zero of=/written bs=1M count=3; exec sleep 86400"
    name = docker.run(docker.busybox(), "sh", "-c", writes).wait_for("sleep").name
    endpoint = f"--collector.docker.host={docker.endpoint}"
    with running_agent(endpoint, "--inventory.walk=100000") as walks:
        walks.wait_ready()

        def measured() -> Page | None:
            # What starts and ends makes the agent look, and take up what was measured meanwhile.
            docker.cli("run", "--rm", docker.busybox(), "true")
            page = walks.scrape()
            return page if page.value("container_fs_usage_bytes", name=name) else None

        page = wait_until(measured, f"the size of what {name} has written", 60)
        used = page.value("container_fs_usage_bytes", name=name)
        assert used is not None
        assert 3 * MIB <= used < 4 * MIB
    with running_agent(endpoint) as plain:
        plain.wait_ready()
        page = plain.wait_for(lambda page: page.value("container_processes", name=name), name)
        assert page.value("container_fs_usage_bytes", name=name) is None
