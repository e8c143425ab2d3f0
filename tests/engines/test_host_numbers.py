"""The host's numbers, and those that depend on descriptors or a disk, compared with other tools."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.bench.load import load
from tests.engines.harness.agent import TALLYMAN, running_agent
from tests.engines.harness.bare import sleeping_in
from tests.engines.harness.need import need
from tests.engines.harness.programs import run, wait_until, workplace
from tests.engines.harness.roots import make_busybox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent, Page

pytestmark = pytest.mark.engine

MIB = 1 << 20


def of_host(page: Page, metric: str, **labels: str) -> float:
    found = page.value(metric, id="/", **labels)
    assert found is not None, f"{metric} of the host is not on the page"
    return found


def test_the_machine_is_as_large_as_node_tools_say(agent: Agent) -> None:
    need("free", "nproc")
    page = agent.scrape()
    sizes = {line.split()[0]: int(line.split()[1]) for line in run("free", "-b").splitlines()[1:]}
    assert page.value("machine_memory_bytes") == sizes["Mem:"]
    assert (page.value("machine_swap_bytes") or 0) == sizes["Swap:"]
    assert page.value("machine_cpu_cores") == psutil.cpu_count()


def busy() -> tuple[float, float]:
    """Return the host's CPU seconds in user and kernel mode."""
    times = psutil.cpu_times()
    # The time of guests is already in user and nice.
    return times.user + times.nice, times.system + times.irq + times.softirq


def test_cpu_of_the_host_is_what_node_tools_say(agent: Agent) -> None:
    before = busy()
    page = agent.scrape()
    after = busy()
    metrics = ("container_cpu_user_seconds_total", "container_cpu_system_seconds_total")
    for metric, least, most in zip(metrics, before, after, strict=True):
        assert least - 0.01 <= of_host(page, metric) <= most + 0.01
    used = of_host(page, "container_cpu_usage_seconds_total", cpu="total")
    assert sum(before) - 0.01 <= used <= sum(after) + 0.01


def test_traffic_of_the_host_is_what_ip_says(agent: Agent) -> None:
    need("ip")

    def said() -> dict[str, tuple[int, int]]:
        links = json.loads(run("ip", "-s", "-j", "link"))
        return {
            link["ifname"]: (link["stats64"]["rx"]["bytes"], link["stats64"]["tx"]["bytes"])
            for link in links
        }

    before, page, after = said(), agent.scrape(), said()
    shown = [
        s.labels["interface"]
        for s in page.samples.get("container_network_receive_bytes_total", [])
        if s.labels["id"] == "/"
    ]
    for name in (name for name in shown if name in before and name in after):
        for side, metric in enumerate(("receive", "transmit")):
            ours = of_host(page, f"container_network_{metric}_bytes_total", interface=name)
            assert before[name][side] <= ours <= after[name][side], name


def test_disks_of_the_host_are_as_large_as_df_says(agent: Agent) -> None:
    need("df")
    local = [p for p in psutil.disk_partitions() if p.fstype in {"ext4", "xfs", "btrfs"}]
    if not local:
        pytest.skip("the machine has no disk with a filesystem of its own")
    page = agent.scrape()
    for device, target in {p.device: p.mountpoint for p in reversed(local)}.items():
        size, inodes = run("df", "-B1", "--output=size,itotal", target).splitlines()[1].split()
        assert of_host(page, "container_fs_limit_bytes", device=device) == int(size)
        if int(inodes):
            assert of_host(page, "container_fs_inodes_total", device=device) == int(inodes)


@pytest.fixture
def disk() -> Iterator[Path]:
    """Return a mounted filesystem of 64 MiB."""
    need("mkfs.ext4", "mount", "unshare")
    with workplace("disk") as place:
        image, target = place / "image", place / "mounted"
        target.mkdir()
        with image.open("wb") as file:
            file.truncate(64 * MIB)
        run("mkfs.ext4", "-q", image)
        run("mount", "-o", "loop", image, target)
        try:
            yield target
        finally:
            run("umount", target)


def test_a_disk_of_its_own_is_as_full_as_df_says(disk: Path) -> None:
    root = make_busybox(disk)
    words = ("unshare", "--mount", "--pid", "--fork", f"--root={root}")
    with (
        sleeping_in("unshare", *words) as made,
        running_agent("--inventory.full-interval=1s") as agent,
    ):
        for written in (0, 16):
            (disk / "file").write_bytes(os.urandom(written * MIB))
            os.sync()
            size, used = map(
                int, run("df", "-B1", "--output=size,used", disk).splitlines()[1].split()
            )
            assert used >= written * MIB

            def agrees(page: Page, used: int = used, size: int = size) -> bool:
                """Return whether this container, and no other, shows these numbers."""
                full = page.samples.get("container_fs_usage_bytes", [])
                found = [s.labels["id"] for s in full if s.value == used and s.labels["id"] != "/"]
                return len(found) == 1 and (
                    page.value("container_fs_limit_bytes", id=found[0]) == size
                )

            agent.wait_for(agrees, f"{used} of {size} bytes for {made.pid}", 60)


COUNT = 200
FEW = 1024


def test_few_descriptors_change_no_number(agent: Agent) -> None:
    """200 containers have more files than half of 1,024: many are opened for each scrape."""
    need("busybox", "prlimit")
    few = ("prlimit", f"--nofile={FEW}:{FEW}", TALLYMAN)
    with load(COUNT) as loader, running_agent(command=few) as poor:
        ids = {f"/docker/{made.id}" for made in loader.containers}

        def agree() -> bool:
            """Return whether both show all containers, with the same values."""
            ours, theirs = poor.scrape(), agent.scrape()
            return all(
                counted(ours, ids, still=still) == counted(theirs, ids, still=still)
                for still in (True, False)
            ) and ids <= {s.labels["id"] for s in ours.samples["container_memory_usage_bytes"]}

        # They were just made: the kernel is still updating their counters.
        wait_until(agree, f"the same of {COUNT} containers on both pages", 120)
        kept = poor.scrape().value("tallyman_kept_descriptors")
        more = agent.scrape().value("tallyman_kept_descriptors")

    assert kept is not None
    assert more is not None
    assert 0 < kept <= FEW // 2 < more


_MOVES = ("container_cpu_", "container_pressure_", "container_network_", "container_last_seen")
"""Metrics of a sleeping container that may change between two scrapes."""


def counted(page: Page, ids: set[str], *, still: bool) -> dict[tuple[str, ...], float]:
    """Return the samples of these containers: values where ``still``, else zeros."""
    return {
        (name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value * still
        for name, samples in page.samples.items()
        if name.startswith("container_") and name.startswith(_MOVES) is not still
        for sample in samples
        if sample.labels.get("id") in ids
    }
