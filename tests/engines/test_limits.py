"""Limits of every kind on real cgroups: whoever sets them, wherever on the way up, whenever.

On cgroup v1 and hybrid hosts; tests/engines/guest does the same on v2.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.dockerd import SYSTEMD
from tests.engines.harness.made import unique
from tests.engines.harness.programs import hierarchies, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

MIB = 1 << 20
MEMORY = "container_spec_memory_limit_bytes"
QUOTA = "container_spec_cpu_quota"


def need_v1() -> None:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("limits on cgroup v2 are tried in the guest")


def start(agent: Agent, docker: Docker, *options: str, old: bool = False) -> Made:
    """Start a container and wait until its limits are shown; ``old``: it is settled by then."""
    made = docker.run(docker.busybox(), "sleep", "86400", name=unique("limited"), options=options)
    agent.wait_row(made)
    agent.wait_for(
        lambda page: page.value("container_spec_cpu_shares", name=made.name), "its limits"
    )
    if old:
        # What is younger is read again now and then, whether it has changed or not.
        time.sleep(35)
    return made


@contextmanager
def a_job(docker: Docker, **files: str) -> Iterator[str]:
    """Make a cgroup in all hierarchies of v1, and write limits into it; remove what is in it."""
    name = unique("job")
    tops = [top for top in hierarchies() if (top / "cgroup.procs").exists()]
    for top in tops:
        (top / name).mkdir()
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (top / file).exists():  # they are empty until they are set
                (top / name / file).write_text((top / file).read_text())
    for file, text in files.items():
        write_limit(name, file.replace("__", "."), text)
    try:
        yield name
    finally:
        docker.remove_all()
        jobs = [top / name for top in tops]
        wait_until(
            lambda: not [inner for path in jobs for inner in path.glob("*/")],
            "its containers to go",
        )
        for path in jobs:
            path.rmdir()


def write_limit(cgroup: str, file: str, text: str) -> None:
    controller = file.partition(".")[0]
    (top,) = (top for top in hierarchies() if controller in top.name.split(","))
    (top / cgroup.lstrip("/") / file).write_text(text)


def values(page: Page, metric: str, *containers: Made) -> set[float | None]:
    return {page.value(metric, name=made.name) for made in containers}


def promised(page: Page, style: str, mine: Sequence[Made]) -> float:
    """Return how much memory these containers are promised, of all that those of a style are."""
    names = {made.name for made in mine}
    others = sum(
        page.value(MEMORY, id=row.id) or 0
        for row in page.rows()
        if (row.engine, row.style, row.parent_id) == ("docker", style, "") and row.name not in names
    )
    return (page.value("tallyman_host_limit_bytes", engine="docker", style=style) or 0) - others


def has_finding(page: Page, made: Made, finding: str) -> bool:
    row = page.row(made.name)
    assert row is not None
    return page.value("tallyman_container_finding", id=row.id, finding=finding) is not None


def test_a_limit_of_a_cgroup_above_is_that_of_all_below(agent: Agent, docker: Docker) -> None:
    need_v1()
    limits = {"memory__limit_in_bytes": str(100 * MIB), "cpu__cfs_quota_us": "50000"}
    with a_job(docker, **limits, pids__max="77") as job:
        two = [start(agent, docker, f"--cgroup-parent=/{job}") for _ in range(2)]
        smaller = start(agent, docker, f"--cgroup-parent=/{job}", "--memory=40m")
        page = agent.scrape()
        assert values(page, MEMORY, *two) == {100 * MIB}
        assert values(page, MEMORY, smaller) == {40 * MIB}
        assert values(page, QUOTA, *two, smaller) == {50_000}
        assert values(page, "container_threads_max", *two, smaller) == {77}
        # The kernel counts throttling where the quota is, which is not theirs.
        assert values(page, "container_cpu_cfs_periods_total", *two) == {None}
        assert not has_finding(page, two[0], "no_limits")
        write_limit(job, "memory.limit_in_bytes", str(80 * MIB))
        agent.wait_for(lambda p: values(p, MEMORY, *two) == {80 * MIB}, "the new limit", 20)


def test_containers_under_one_limit_share_it_in_the_sums_by_style(
    agent: Agent, docker: Docker
) -> None:
    need_v1()
    with a_job(docker, memory__limit_in_bytes=str(600 * MIB)) as job:
        parent = f"--cgroup-parent=/{job}"
        apps = [start(agent, docker, parent), start(agent, docker, parent, "--memory=300m")]
        image, options = docker.debian(), (*SYSTEMD, parent)
        system = docker.run(image, "/sbin/init", name=unique("limited"), options=options)
        agent.wait_row(system, style="system", seconds=90)
        mine = [*apps, system]
        assert values(agent.scrape(), MEMORY, *mine) == {600 * MIB, 300 * MIB}
        # In proportion to 600, 300 and 600, and together what the cgroup above allows.
        agent.wait_for(
            lambda p: (
                (promised(p, "app", mine), promised(p, "system", mine)) == (360 * MIB, 240 * MIB)
            ),
            "the shares",
        )


def test_a_limit_that_is_changed_late_is_shown_soon(agent: Agent, docker: Docker) -> None:
    need_v1()
    made = start(agent, docker, old=True)
    assert values(agent.scrape(), MEMORY, made) == {None}
    agent.wait_for(lambda p: has_finding(p, made, "no_limits"), "the finding")
    docker.cli("update", "--memory=300m", "--memory-swap=400m", "--cpus=.5", made.name)
    page = agent.wait_for(lambda p: p.value(MEMORY, name=made.name), "the limit", 20)
    assert values(page, MEMORY, made) == {300 * MIB}
    assert values(page, QUOTA, made) == {50_000}
    agent.wait_for(lambda p: not has_finding(p, made, "no_limits"), "the finding to go", 20)
    agent.wait_for(
        lambda p: p.value("container_cpu_cfs_periods_total", name=made.name) is not None,
        "the periods of the quota",
        20,
    )
    # Anyone's write is seen: Docker knows nothing of this one.
    (cgroup,) = (
        line.rpartition(":")[2]
        for line in Path(f"/proc/{made.pid}/cgroup").read_text().splitlines()
        if ":memory:" in line
    )
    write_limit(cgroup, "memory.limit_in_bytes", str(200 * MIB))
    agent.wait_for(lambda p: values(p, MEMORY, made) == {200 * MIB}, "the write", 20)


def test_a_cpuset_is_a_limit(agent: Agent, docker: Docker) -> None:
    need_v1()
    made = start(agent, docker, "--cpuset-cpus=0")
    page = agent.scrape()
    cpus = page.value("machine_cpu_cores")
    if cpus == 1:
        pytest.skip("the only CPU is no limit")
    row = page.row(made.name)
    assert row is not None
    assert page.value("tallyman_container_cpuset_cpus", id=row.id) == 1
    assert values(page, QUOTA, made) == {None}
    assert not has_finding(page, made, "no_limits")
