"""The whole page of each captured host, from the real agent that is pointed at its tree."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.engines.harness.agent import TALLYMAN, Page, running_agent
from tests.engines.harness.programs import run
from tests.engines.harness.prometheus import promtool_objections
from tests.hosts.conftest import HERE

OF_THIS_RUN = re.compile(
    r"^(?:process_|python_|tallyman_process_|tallyman_scrape|tallyman_kept_descriptors"
    r"|tallyman_config_last_reload_success_timestamp_seconds"
    r"|tallyman_inventory_age_seconds|tallyman_event_lag_seconds"
    r"|tallyman_collector_duration_seconds|tallyman_collector_last_success_timestamp_seconds"
    r"|container_last_seen)"
)
"""Metrics that tell of the agent's own work, or of now."""

OF_THE_TREE = re.compile(
    r"^(?:tallyman_container_created_seconds|container_fs_(?:usage|limit|inodes))"
)
"""Birth of a directory, where an engine does not say when; how full the disk under the tree is."""


@pytest.fixture
def page(tree: Path) -> str:
    """Return what the agent shows of the tree once its picture is complete."""
    with running_agent(
        f"--path.procfs={tree}/proc",
        f"--path.sysfs={tree}/sys",
        f"--path.rootfs={tree}/root",
        command=(*_as_root(), TALLYMAN),
    ) as agent:
        agent.wait_ready(60)
        return agent.get("/metrics").text


def test_page(host_name: str, page: str, *, update_golden: bool) -> None:
    golden = HERE / f"{host_name}.metrics"
    normal = normalised(page)
    if update_golden:
        golden.write_text(normal)

    assert normal == golden.read_text()


def test_page_is_what_promtool_likes(page: str) -> None:
    assert promtool_objections(page) == []


def test_containers(host_name: str, page: str) -> None:
    """The same ten things were started on each of these hosts; see tests/engines/guest."""
    rows = Page(page).rows()

    found = sorted((row.engine, row.name, row.state, row.style) for row in rows)

    assert found == [
        ("docker", "dock-app", "running", "app"),
        ("docker", "dock-stopped", "exited", found[1][3]),
        ("docker", "dock-system", "running", "system"),
        ("lxc", "lxcstopped", "exited", found[3][3]),
        ("lxc", "lxcsystem", "running", "system"),
        ("nspawn", "machsystem", "running", "system"),
        ("podman", "pod-app", "running", "app"),
        ("unshare", "sleep", "running", "app"),
    ]
    assert Page(page).value("tallyman_host_info", cgroup_mode=host_name) == 1


def normalised(page: str) -> str:
    """Return the page without what differs from run to run."""
    lines = []
    for line in page.splitlines():
        varies = OF_THIS_RUN.match(line) or OF_THE_TREE.match(line)
        steady = f"{line.rpartition(' ')[0]} …" if varies else line
        lines.append(re.sub(r'python="[^"]*"', 'python="…"', steady))
    return "\n".join([*lines, ""])


def _as_root() -> tuple[str, ...]:
    # A host's files belong to root, and so must those of its tree.
    return () if os.geteuid() == 0 else ("unshare", "--map-root-user")


def test_containers_where_the_kernel_writes_no_nspid(tree: Path) -> None:
    where = (f"--path.{name}fs={tree}/{name}" for name in ("proc", "sys", "root"))
    words: list[str | Path] = [*_as_root(), TALLYMAN, "ls", "--all", "--json", *where]
    before = json.loads(run(*words))
    for status in tree.glob("proc/[0-9]*/status"):
        status.write_bytes(re.sub(rb"(?m)^NSpid:.*\n", b"", status.read_bytes()))

    after = json.loads(run(*words))

    assert len(after) == len(before) > 6
    for now, then in zip(after, before, strict=True):
        assert now == then
