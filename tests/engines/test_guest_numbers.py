"""The work of test_numbers.py on a pure cgroup v2 hierarchy, in one run of the guest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engines.harness.agent import Page
from tests.engines.harness.guest import guest_report
from tests.engines.harness.guest_runs import GUEST_RUNS

pytestmark = [pytest.mark.engine, pytest.mark.vm]

MB = 1_000_000
MIB = 1 << 20


class Work:
    """The page, and the values of the cgroup files at the same time."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.page = Page(report["page"])
        self.sent: int = report["sent"]
        self._files: dict[str, dict[str, str]] = report["files"]

    def value(self, metric: str, container: str, **labels: str) -> float:
        found = self.page.value(metric, name=container, **labels)
        assert found is not None, f"{metric} of {container} is not on the page"
        return found

    def number(self, container: str, file: str) -> int:
        return int(self._files[container][file])

    def table(self, container: str, file: str) -> dict[str, int]:
        lines = [line.split() for line in self._files[container][file].splitlines()]
        return {words[0]: int(words[1]) for words in lines}


def make_report() -> dict[str, Any]:
    """Run the guest."""
    return guest_report("tests.engines.guest.work")


@pytest.fixture(scope="module")
def work() -> Work:
    return Work(GUEST_RUNS.report(__name__))


def test_ten_seconds_of_one_core_under_a_quota(work: Work) -> None:
    used = work.value("container_cpu_usage_seconds_total", "burn", cpu="total")
    kernel = work.table("burn", "cpu.stat")

    # The limit counts ticks: a busy host loses some, and a tick may be charged for less than a tick
    # of work. The cgroup counts time, including that of the runtime's own init.
    assert 9 <= used <= 40
    assert used == pytest.approx(kernel["usage_usec"] / 1e6)
    assert work.value("container_cpu_user_seconds_total", "burn") == pytest.approx(
        kernel["user_usec"] / 1e6
    )
    assert work.value("container_cpu_cfs_throttled_periods_total", "burn") > 0
    assert work.value("container_spec_cpu_quota", "burn") == 80_000
    assert work.value("container_spec_cpu_period", "burn") == 100_000


def test_200_megabytes_under_a_limit(work: Work) -> None:
    rss = work.value("container_memory_rss", "touch")
    assert 200 * MB <= rss <= 210 * MB
    assert rss == pytest.approx(work.table("touch", "memory.stat")["anon"], rel=0.02)
    usage = work.value("container_memory_usage_bytes", "touch")
    assert usage == pytest.approx(work.number("touch", "memory.current"), rel=0.02)
    assert work.value("container_memory_working_set_bytes", "touch") <= usage
    assert work.value("container_spec_memory_limit_bytes", "touch") == 300 * MIB


def test_a_kill_for_want_of_memory(work: Work) -> None:
    events = work.table("oom", "memory.events")
    assert work.value("container_oom_events_total", "oom") == events["oom_kill"] == 1
    assert work.value("container_oom_events_total", "touch") == 0


def test_64_mebibytes_to_a_disk(work: Work) -> None:
    samples = work.page.samples["container_fs_writes_bytes_total"]
    written = sum(s.value for s in samples if s.labels["name"] == "write")
    assert 64 * MIB <= written <= 72 * MIB


def test_10_megabytes_over_the_network(work: Work) -> None:
    assert work.sent == 10 * MB
    sent = work.value("container_network_transmit_bytes_total", "send", interface="eth0")
    assert 10 * MB <= sent <= 11.5 * MB


def test_forks_up_to_the_limit(work: Work) -> None:
    assert work.number("fork", "pids.current") == 20
    assert work.value("container_threads", "fork") == 20
    assert work.value("container_processes", "fork") == 20
    assert work.value("container_threads_max", "fork") == 20


def test_huge_pages_are_those_of_who_took_them(work: Work) -> None:
    assert work.value("container_hugetlb_usage_bytes", "huge", pagesize="2MB") == 4 * MIB
    others = work.page.samples["container_hugetlb_usage_bytes"]
    assert [sample.labels["name"] for sample in others] == ["huge"]


def test_a_reservation_is_memory_low(work: Work) -> None:
    reserved = work.value("container_spec_memory_reservation_limit_bytes", "reserve")
    assert reserved == work.number("reserve", "memory.low") == 64 * MIB


def test_shares_are_those_that_docker_was_given(work: Work) -> None:
    assert work.number("reserve", "cpu.weight") in (20, 59)  # as the runtime maps them
    assert work.value("container_spec_cpu_shares", "reserve") == 512
    assert work.value("container_spec_cpu_shares", "no-swap") == 1024


def test_no_swap_allowed_is_not_unlimited_swap(work: Work) -> None:
    assert work.value("container_spec_memory_swap_limit_bytes", "no-swap") == 0
    swap, memory = (f"container_spec_memory_{kind}limit_bytes" for kind in ("swap_", ""))
    assert work.page.value(swap, name="reserve") is None
    assert work.page.value(memory, name="reserve") is None


def test_the_limit_of_a_slice_is_that_of_all_in_it(work: Work) -> None:
    limit = "container_spec_memory_limit_bytes"
    assert (work.value(limit, "below"), work.value(limit, "beside")) == (100 * MIB, 40 * MIB)
    for name in ("below", "beside"):
        quota, period = (work.value(f"container_spec_cpu_{w}", name) for w in ("quota", "period"))
        assert quota / period == 0.5


def test_a_limit_of_the_unit_that_a_container_is_in(work: Work) -> None:
    assert work.value("container_spec_memory_limit_bytes", "in-a-unit") == 120 * MIB


def test_a_limit_of_a_pod_is_that_of_its_members(work: Work) -> None:
    assert work.value("container_spec_memory_limit_bytes", "in-a-pod") == 150 * MIB
    assert work.value("container_spec_cpu_quota", "in-a-pod") == 60_000


def test_memory_high_set_while_it_runs_is_a_limit(work: Work) -> None:
    high = work.number("slowed", "memory.high")
    assert work.value("container_spec_memory_limit_bytes", "slowed") == high == 200 * MIB


def test_a_cpuset_is_a_limit(work: Work) -> None:
    row = work.page.row("reserve")
    assert row is not None
    if work.page.value("machine_cpu_cores") == 1:
        pytest.skip("the only CPU is no limit")
    assert work.page.value("tallyman_container_cpuset_cpus", id=row.id) == 1


def test_pressure_is_there(work: Work) -> None:
    assert work.value("container_pressure_cpu_waiting_seconds_total", "burn") > 0
