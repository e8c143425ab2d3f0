"""How many series a running container can have by default, on each kind of cgroups.

70 is what the contract allows. One of which everything is known has every limit, a quota, a health
check, an image, evidence on all axes, one network interface and one block device; each finding is
one more. tests/engines/test_numbers.py counts a real one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.exposition.options import Options
from agent.exposition.samples import container_samples
from agent.metrics import CATALOGUE
from agent.metrics.model import Cell
from agent.model import Axis, Container, Style, Verdict
from collectors.facts import Beancounter, FilesystemUsage, ImageFacts, Limits, OpenvzFacts, State
from collectors.kernel.cgroups import UNIFIED
from collectors.kernel.counters import Scalar, Table
from collectors.kernel.counters.sources import sources

V1 = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "name=systemd", "pids")
KINDS = {"v1": (V1, 68), "hybrid": ((*V1, UNIFIED), 71), "v2": ((UNIFIED,), 70)}
"""The hierarchies of each, and the most series; a hybrid host has what v1 and what v2 has."""

FULL = Container(
    id="/docker/" + "a" * 64,
    engine="docker",
    name="web",
    image="docker.io/library/nginx:1.27",
    state=State.RUNNING,
    created=1.7e9,
    started=1.7e9,
    restarts=1,
    health="healthy",
    listeners=1,
    limits=Limits(
        memory_bytes=1 << 30,
        memory_swap_bytes=1 << 30,
        memory_reservation_bytes=1 << 20,
        cpu_quota_us=50_000,
        cpu_period_us=100_000,
        cpu_shares=1024,
        pids=100,
        seen=frozenset({"memory", "swap", "cpu", "pids"}),
    ),
    verdict=Verdict(
        style=Style.APP,
        score=-0.75,
        confidence=0.9,
        axes=dict.fromkeys(Axis, -0.5),
        services=1,
        users=1,
        sessions=0,
    ),
    image_facts=ImageFacts(id="sha256:" + "a" * 64, size_bytes=2_000_000, created=1.6e9),
    writable_layer_bytes=1,
    filesystem=FilesystemUsage(used_bytes=1, limit_bytes=2, inodes=3, inodes_used=1, device="vda"),
)
"""A container of which everything is known: every limit, a health check, an image."""


VSWAP = replace(
    FULL,
    engine="openvz",
    restarts=None,
    health=None,
    image_facts=None,
    writable_layer_bytes=None,
    openvz=OpenvzFacts(
        ctid="101",
        status="running",
        beancounters=tuple(
            Beancounter(resource=name, held=1, maxheld=1, barrier=0, limit=5, failures=0)
            for name in ("numproc", "physpages", "numiptent", "swappages")
        ),
        disk_used_bytes=1,
        disk_soft_bytes=2,
        disk_hard_bytes=2,
        inodes_used=1,
        inodes_soft=2,
        inodes_hard=2,
        load=(1.0, 1.0, 1.0),
        uptime_seconds=1.0,
        cpu_limit_ratio=1.0,
        cpu_units=1000,
        cpus=1,
        swap_used_bytes=1,
        swap_limit_bytes=2,
        processes=3,
        as_of=1.0,
    ),
)
"""One of OpenVZ 7, whose four limited resources have three series each."""
MOST_VSWAP = 97


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_of_which_everything_is_known(kind: str) -> None:
    controllers, most = KINDS[kind]
    series = series_of(FULL, controllers)
    assert len(series) == most, sorted(series)


def test_a_container_of_openvz_has_its_own_on_top() -> None:
    series = series_of(VSWAP, V1)
    assert len(series) == MOST_VSWAP, sorted(series)


def series_of(container: Container, controllers: tuple[str, ...]) -> list[str]:
    """Return the names of all series of a container with a cgroup in these hierarchies."""
    options = Options()
    chosen = sources(controllers, options.groups, quota=True)
    offered = {scalar for source in chosen for scalar in source.scalars}
    # What is worked out of others, and what counts processes.
    offered |= {Scalar.MEMORY_WORKING_SET, Scalar.PROCESSES, Scalar.THREADS}
    offered.discard(Scalar.ZOMBIES)  # one that is well has none
    tables = {Table.NETWORK} | {table for source in chosen for table in source.tables}
    counters = [
        metric.name
        for metric in CATALOGUE
        if options.shows(metric.name)
        for shown in metric.shows
        if (shown.scalar in offered if isinstance(shown, Cell) else shown.table in tables)
    ]
    shown = [sample.name for sample in container_samples(container) if options.shows(sample.name)]

    return [*counters, "container_last_seen", *shown]
