from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from collectors.facts import Limits, ProcessId, State
from tests.support.page_host import BASE, FULL_ID, Host, running, samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_counters_of_a_running_container_under_cadvisors_names(host: Host) -> None:
    page = host.show(running())
    assert page["container_cpu_usage_seconds_total"][("cpu", "total"), *BASE] == 2.5
    assert page["container_memory_usage_bytes"][BASE] == 1024
    assert page["container_memory_working_set_bytes"][BASE] == 1000
    received = page["container_network_receive_bytes_total"]
    assert received[(*BASE[:2], ("interface", "eth0"), BASE[2])] == 11
    assert page["container_processes"][BASE] == 1
    assert page["container_last_seen"][BASE] == 1000
    assert page["container_start_time_seconds"][BASE] == 950.5


def test_nothing_is_shown_that_was_not_read(host: Host) -> None:
    page = host.show(running())
    for name in ("container_memory_failcnt", "container_pressure_cpu_waiting_seconds_total",
                 "container_memory_max_usage_bytes", "container_cpu_cfs_periods_total",
                 "container_fs_usage_bytes", "container_spec_memory_limit_bytes"):  # fmt: skip
        assert name not in page


def test_no_sums_over_the_host_before_the_first_full_picture(host: Host) -> None:
    page = host.show(running())
    assert page["tallyman_inventory_complete"] == {(): 0}
    assert not [name for name in page if name.startswith("tallyman_host_") and name[-4:] != "info"]
    page = host.show(running(), complete=True)
    labels = (("engine", "docker"), ("state", "running"), ("style", "unknown"))
    assert page["tallyman_host_containers"] == {labels: 1}
    memory = page["tallyman_host_memory_bytes"]
    assert memory[("engine", "docker"), ("style", "unknown")] == 1000
    assert memory[("style", "none"),] == (900 << 10) - 1000


def test_a_page_before_anything_is_known(host: Host) -> None:
    page = host.page()
    assert page["tallyman_inventory_complete"] == {(): 0}
    assert "machine_cpu_cores" not in page
    assert "tallyman_host_info" not in page


def test_oom_kills_are_those_of_all_lives_also_of_what_has_ended(host: Host) -> None:
    events = host.root / "sys/fs/cgroup/c/memory.events"
    events.write_text("oom_kill 0\n")
    assert host.show(running())["container_oom_events_total"][BASE] == 0
    ended = running(state=State.EXITED, init=None, cgroups={}, exit_code=137, oom_killed=True)
    assert host.show(ended)["container_oom_events_total"][BASE] == 1
    again = running(started=960.0, oom_killed=True)
    assert host.show(again)["container_oom_events_total"][BASE] == 1
    events.write_text("oom_kill 2\n")
    for _ in range(10):  # it has not run: its files are read now and then
        page = host.page()
    assert page["container_oom_events_total"][BASE] == 3


def test_last_seen_ends_with_the_retention(host: Host) -> None:
    stopped = running(state=State.EXITED, init=None, cgroups={}, finished=800.0)
    host.now = 1099.0
    assert BASE in host.show(stopped)["container_last_seen"]
    host.now = 1101.0
    page = host.page()
    assert "container_last_seen" not in page
    assert "tallyman_container_state" in page


def test_a_container_that_died_unnoticed_is_not_seen_any_more(host: Host) -> None:
    host.show(running())
    for file in ("sys/fs/cgroup/c", "proc/7"):
        (host.root / file).rename(host.root / "gone")
        (host.root / "gone").rename(host.root / file.replace("/", "-"))
    gone = running(cgroups={"": "/other"}, init=ProcessId(8, 50))
    host.now = 1020.0
    page = host.show(gone)
    assert page["container_last_seen"][BASE] == 1000
    assert not any(dict(k)["id"] == FULL_ID for k in page["container_memory_usage_bytes"])


NASTY = (
    'quo"te',
    "new\nline",
    "back\\slash",
    "\udcff\udcfe",
    "\x1b[31m\x00\r",
    "\u202eevil",
    "\x85\u2028",
    "x" * 5000,
    "",
    "ünïcödé 🐳",
)


@pytest.mark.parametrize("nasty", NASTY)
def test_no_name_garbles_the_page_in_either_format(host: Host, nasty: str) -> None:
    containers = [
        running(name=nasty, image=nasty, labels={"com.docker.compose.project": nasty}),
        running(id="/lxc/" + nasty, name=nasty, engine="lxc"),
    ]  # fmt: skip
    host.show(*containers)
    text = b"".join(host.exposition.render()).decode()
    open_text = b"".join(host.exposition.render(openmetrics=True)).decode()
    assert len(samples(text.encode())["tallyman_container_info"]) == 2
    families = list(parse_openmetrics(open_text))  # type: ignore[no-untyped-call]
    assert sum(f.name == "tallyman_container" and len(f.samples) == 2 for f in families) == 1
    assert all(line.isprintable() for line in text.split("\n"))


def test_every_sample_has_the_same_name_in_both_formats(host: Host) -> None:
    host.show(running(limits=Limits(cpu_quota_us=5, seen=frozenset({"cpu"}))), complete=True)
    text = b"".join(host.exposition.render())
    open_text = b"".join(host.exposition.render(openmetrics=True))

    def names(page: bytes) -> set[bytes]:
        return {line.split(b"{")[0].split(b" ")[0] for line in page.split(b"\n")
                if line and not line.startswith(b"#")}  # fmt: skip

    assert names(text) == names(open_text)
    assert open_text.endswith(b"\n# EOF\n")
    assert b"# UNIT container_cpu_usage_seconds seconds\n" in open_text


def test_a_page_may_be_read_late_and_is_one_picture(host: Host) -> None:
    host.show(running())
    late = host.exposition.render()
    first = next(late)
    (host.root / "sys/fs/cgroup/c/memory.current").write_text("999999\n")
    host.page()
    rest = first + b"".join(late)
    assert samples(rest)["container_memory_usage_bytes"][BASE] == 1024


def test_scrapes_at_the_same_time_share_one_reading(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.show(running())
    reading, go_on = threading.Event(), threading.Event()

    def clock() -> float:
        reading.set()
        assert go_on.wait(60)
        return 1000.0

    host.exposition._clock = clock
    pages: list[bytes] = []

    def scrape() -> None:
        pages.append(b"".join(host.exposition.render()))

    first = threading.Thread(target=scrape)
    first.start()
    assert reading.wait(60)
    others = [threading.Thread(target=scrape) for _ in range(5)]
    for thread in others:
        thread.start()
    wait_until(lambda: host.exposition._pages.waiting == 5)
    go_on.set()
    for thread in (first, *others):
        thread.join(60)
    counts = {samples(page)["tallyman_scrapes_total"][()] for page in pages}
    assert len(pages) == 6
    assert counts == {2}


def wait_until(condition: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(3000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("did not come about")
