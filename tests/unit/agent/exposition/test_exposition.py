from __future__ import annotations

import gzip
import threading
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agent.exposition import Exposition, Options, compressed
from agent.metrics import DEFAULT_GROUPS
from agent.model import (
    Axis,
    CollectorHealth,
    Container,
    Evidence,
    Finding,
    Snapshot,
    Style,
    Verdict,
)
from collectors.facts import (
    Beancounter,
    CgroupLayout,
    CgroupMode,
    FilesystemUsage,
    HostFacts,
    ImageFacts,
    Limits,
    OpenvzFacts,
    ProcessId,
    State,
)
from collectors.hostfs import HostFS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FULL_ID = "/docker/" + "3f" * 32
LAYOUT = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"})
FACTS = HostFacts(nodename="n", kernel="6.1", boot_id="b", cgroups=LAYOUT, cpus=4, memory_bytes=9)
STAT = "7 (sh) S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 50 0 0 0 0 0 0 0 0 0 0 0 0"
NET = "h\nh\n eth0: 11 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


class Host:
    """A host of plain files with a clock of its own."""

    def __init__(self, root: Path, options: Options | None = None) -> None:
        for path, text in {
            "proc/7/stat": STAT,
            "proc/7/net/dev": NET,
            "proc/1/net/dev": NET,
            "proc/stat": "cpu  100 0 0 0 0 0 0 0\n",
            "proc/meminfo": "MemTotal: 1000 kB\nMemFree: 100 kB\nInactive(file): 0 kB\n",
            "sys/fs/cgroup/c/cpu.stat": "usage_usec 2500000\nuser_usec 1\nsystem_usec 1\n",
            "sys/fs/cgroup/c/memory.current": "1024\n",
            "sys/fs/cgroup/c/memory.stat": "anon 1\ninactive_file 24\npgfault 5\npgmajfault 1\n",
            "sys/fs/cgroup/c/pids.current": "1\n",
            "sys/fs/cgroup/c/cgroup.procs": "7\n",
        }.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.root = root
        self.now = 1000.0
        host = HostFS(str(root / "proc"), str(root / "sys"), str(root))
        self.exposition = Exposition(host, options, clock=lambda: self.now)

    def show(self, *containers: Container, **more: object) -> Samples:
        snapshot = Snapshot(host=FACTS, containers={c.id: c for c in containers}, as_of=990.0)
        self.exposition.update(replace(snapshot, **more))  # type: ignore[arg-type]
        return self.page()

    def page(self) -> Samples:
        return samples(b"".join(self.exposition.render()))


def samples(page: bytes) -> Samples:
    found: Samples = {}
    for family in parse_text(page.decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            by_labels = found.setdefault(sample.name, {})
            assert labels not in by_labels, f"twice: {sample.name} {labels}"
            by_labels[labels] = sample.value
    return found


def running(**more: object) -> Container:
    made = Container(
        id=FULL_ID,
        engine="docker",
        name="web",
        image="nginx:1",
        state=State.RUNNING,
        init=ProcessId(7, 50),
        cgroup="/c",
        cgroups={"": "/c"},
        network="own",
        created=900.0,
        started=950.5,
        last_seen=990.0,
    )
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


BASE = (("id", FULL_ID), ("image", "nginx:1"), ("name", "web"))


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


def test_exactly_one_info_series_per_container(host: Host) -> None:
    page = host.show(running(), running(id="/lxc/a", engine="lxc", cgroups={}, init=None))
    ids = [dict(labels)["id"] for labels in page["tallyman_container_info"]]
    assert sorted(ids) == [FULL_ID, "/lxc/a"]


def test_the_host_is_under_the_root_id(host: Host) -> None:
    page = host.show(running())
    root = (("id", "/"), ("image", ""), ("name", ""))
    assert page["container_memory_usage_bytes"][root] == 900 << 10
    assert page["container_cpu_usage_seconds_total"][("cpu", "total"), *root] == 1
    assert page["machine_cpu_cores"] == {(("boot_id", "b"),): 4}


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


def test_a_stopped_container_keeps_its_state_and_a_frozen_last_seen(host: Host) -> None:
    host.show(running())
    host.now = 1030.0
    stopped = running(state=State.EXITED, init=None, cgroups={}, exit_code=137, oom_killed=True,
                      finished=1010.0)  # fmt: skip
    page = host.show(stopped)
    own = (("id", FULL_ID),)
    assert page["tallyman_container_exit_code"][own] == 137
    assert page["tallyman_container_oom_killed"][own] == 1
    assert page["tallyman_container_state"][*own, ("state", "exited")] == 1
    assert page["container_last_seen"][BASE] == 1010
    theirs = {
        name
        for name, found in page.items()
        if name.startswith("container_") and any(dict(k)["id"] == FULL_ID for k in found)
    }
    assert theirs == {"container_last_seen"}


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


def test_limits_of_which_there_are_none_are_zero_as_cadvisor_has_it(host: Host) -> None:
    page = host.show(running(limits=Limits(seen=frozenset({"memory", "cpu"}), cpu_shares=2)))
    assert page["container_spec_memory_limit_bytes"][BASE] == 0
    assert page["container_spec_cpu_shares"][BASE] == 2
    assert "container_spec_cpu_quota" not in page
    assert "container_spec_cpu_period" not in page


def test_verdict_findings_and_facts(host: Host) -> None:
    judged = running(
        verdict=Verdict(
            style=Style.SYSTEM, score=0.75, confidence=0.5, axes={Axis.INIT: 1.0}, services=3
        ),
        mismatch=True,
        style_changes=2,
        findings=tuple(Finding(name="docker_as_vm", sentence=text) for text in "xy"),
        image_facts=ImageFacts(id="sha256:a", digests=("r@sha256:b",), size_bytes=5),
    )  # fmt: skip
    page = host.show(judged)
    own = (("id", FULL_ID),)
    assert page["tallyman_container_style_score"][own] == 0.75
    assert page["tallyman_container_axis_score"] == {(("axis", "init"), *own): 1}
    assert page["tallyman_container_finding"] == {(("finding", "docker_as_vm"), *own): 1}
    assert page["tallyman_container_mismatch"][own] == 1
    assert page["tallyman_container_style_changes_total"][own] == 2
    assert page["tallyman_container_services"][own] == 3
    assert "tallyman_container_users" not in page
    assert page["tallyman_container_image_size_bytes"][own] == 5


def test_an_unjudged_container_has_no_score(host: Host) -> None:
    page = host.show(running())
    assert "tallyman_container_style_score" not in page
    assert page["tallyman_container_style_confidence"][("id", FULL_ID),] == 0


def test_kubernetes_labels_are_on_its_containers_alone(host: Host) -> None:
    pod = running(id="/kubepods/x", container_name="app", pod="p-1", namespace="shop")
    page = host.show(running(), pod)
    by_id = {dict(k)["id"]: dict(k) for k in page["container_memory_usage_bytes"]}
    assert by_id["/kubepods/x"]["namespace"] == "shop"
    assert by_id["/kubepods/x"]["pod"] == "p-1"
    assert by_id["/kubepods/x"]["container"] == "app"
    assert "pod" not in by_id[FULL_ID]


def test_labels_by_allow_list(tmp_path: Path) -> None:
    host = Host(tmp_path, Options(container_labels=("com.docker.compose.project",)))
    labels = {"com.docker.compose.project": "shop", "secret": "x"}
    page = host.show(running(labels=labels))
    ((key, _),) = [(k, v) for k, v in page["container_memory_usage_bytes"].items() if len(k) > 3]
    assert dict(key)["container_label_com_docker_compose_project"] == "shop"
    assert "secret" not in str(page)
    info = dict(next(iter(page["tallyman_container_info"])))
    assert info["compose_project"] == "shop"


def test_without_cadvisors_names(tmp_path: Path) -> None:
    page = Host(tmp_path, Options(cadvisor_names=False)).show(running(), complete=True)
    assert not [n for n in page if n.startswith(("container_", "machine_", "cadvisor_"))]
    assert "tallyman_container_info" in page
    assert "tallyman_host_memory_bytes" in page


def test_a_group_that_is_off_is_not_shown(tmp_path: Path) -> None:
    page = Host(tmp_path, Options(groups=DEFAULT_GROUPS - {"memory"})).show(running())
    assert "container_memory_usage_bytes" not in page
    assert "container_cpu_usage_seconds_total" in page


def test_a_group_that_is_dear_is_shown_when_named(tmp_path: Path) -> None:
    host = Host(tmp_path, Options(groups=DEFAULT_GROUPS | {"memory_detail", "tcp"}))
    (tmp_path / "proc/7/net/tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0\n"
    )
    page = host.show(running())
    assert page["container_memory_total_inactive_file_bytes"][BASE] == 24
    listening = (*BASE, ("tcp_state", "listen"))
    assert page["container_network_tcp_usage_total"][listening] == 1
    assert "container_network_tcp6_usage_total" not in page


def test_evidence_is_shown_when_named(tmp_path: Path) -> None:
    pieces = tuple(
        Evidence(axis=axis, rule=rule, weight=weight, sentence="s", source="/proc/7/exe")
        for axis, rule, weight in ((Axis.INIT, "init.a", 1.5), (Axis.USERS, "users.b", -0.4))
    )
    judged = running(verdict=Verdict(style=Style.SYSTEM, evidence=pieces))
    assert "tallyman_container_evidence" not in Host(tmp_path / "a").show(judged)
    named = Host(tmp_path / "b", Options(groups=DEFAULT_GROUPS | {"verdict_detail"}))
    assert named.show(judged)["tallyman_container_evidence"] == {
        (("axis", "init"), ("id", FULL_ID), ("rule", "init.a")): 1.5,
        (("axis", "users"), ("id", FULL_ID), ("rule", "users.b")): -0.4,
    }


def test_beyond_the_cap_counters_go_first_and_the_page_says_how_many(tmp_path: Path) -> None:
    containers = [running(id=f"/docker/{n:064x}", cgroups={"": "/c"}) for n in range(20)]
    everything = Host(tmp_path / "a").show(*containers)
    host = Host(tmp_path / "b", Options(max_series=300))
    page = host.show(*containers)
    assert len(page["tallyman_container_info"]) == 20
    assert 0 < len(page["container_memory_usage_bytes"]) < 20
    count = sum(map(len, everything.values())) - sum(map(len, page.values()))
    assert page["tallyman_dropped_series"][()] >= count > 0
    assert everything["tallyman_dropped_series"] == {(): 0}


def test_who_stays_below_the_cap_stays_whoever_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path, Options(max_series=300))
    first = [running(id=f"/docker/{n:064x}", name=f"c{n}", cgroups={"": "/c"}) for n in range(20)]
    counted = set(host.show(*first)["container_memory_usage_bytes"])
    (said,) = caplog.messages
    assert "containers.max_series is 300" in said
    new = [running(id=f"/docker/{n:064x}", cgroups={"": "/c"}) for n in range(100, 102)]

    # They come first, whatever order they are told in.
    page = host.show(*new, *reversed(first[1:]))

    assert len(counted) > 2
    assert set(page["container_memory_usage_bytes"]) >= {
        c for c in counted if first[0].id not in str(c)
    }
    assert caplog.messages == [said]


def test_openvz_in_base_units_with_a_full_state_set(host: Host) -> None:
    facts = OpenvzFacts(
        ctid="101",
        status="running",
        beancounters=(Beancounter(resource="kmemsize", held=5, failures=3),),
        disk_used_bytes=10,
        disk_hard_bytes=100,
        load=(0.5, 0.25, 0.125),
        cpu_seconds=12.5,
        without_cgroup=True,
    )
    page = host.show(running(engine="openvz", openvz=facts, cgroups={}))
    own = (("id", FULL_ID),)
    statuses = {dict(k)["status"]: v for k, v in page["tallyman_openvz_status"].items()}
    assert statuses == {"running": 1, "stopped": 0, "mounted": 0, "suspended": 0, "paused": 0,
                        "unknown": 0}  # fmt: skip
    held = page["tallyman_openvz_beancounter_held"]
    assert held == {(*own, ("resource", "kmemsize")): 5}
    failures = page["tallyman_openvz_beancounter_failures_total"]
    assert failures == {(*own, ("resource", "kmemsize")): 3}
    assert "tallyman_openvz_beancounter_limit" not in page
    assert page["tallyman_openvz_load5"][own] == 0.25
    assert page["container_cpu_usage_seconds_total"][("cpu", "total"), *BASE] == 12.5
    assert page["container_fs_limit_bytes"][BASE] == 100


def test_filesystems_of_containers_and_of_the_host(host: Host) -> None:
    disk = FilesystemUsage(
        device="/dev/vda1", used_bytes=5, limit_bytes=9, inodes=10, inodes_used=4
    )
    page = host.show(running(filesystem=disk), host=replace(FACTS, filesystems=(disk,)))
    assert page["container_fs_inodes_free"][("device", "/dev/vda1"), *BASE] == 6
    assert page["container_fs_usage_bytes"][("device", "/dev/vda1"), ("id", "/")] == 5


def test_health_of_collectors(host: Host) -> None:
    health = CollectorHealth(
        name="docker", success=False, duration_seconds=0.5, last_success=900.0, denied=2
    )
    page = host.show(collectors=(health,))
    labels = (("collector", "docker"),)
    assert page["tallyman_collector_success"][labels] == 0
    assert page["tallyman_collector_denied_total"][labels] == 2
    assert page["tallyman_collector_last_success_timestamp_seconds"][labels] == 900
    assert page["tallyman_inventory_age_seconds"] == {(): 10}


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


def test_two_ids_that_look_alike_once_they_are_harmless_stay_two(host: Host) -> None:
    ids = ("/lxc/a\x1b", "/lxc/a\\x1b", "/lxc/" + "x" * 600 + "1", "/lxc/" + "x" * 600 + "2")
    page = host.show(*(running(id=i, engine="lxc") for i in ids))
    assert len({dict(k)["id"] for k in page["tallyman_container_info"]}) == 4


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


def test_compression_in_pieces_gives_the_page() -> None:
    pieces = [b"a" * 1000, b"", b"b" * 100_000]
    assert gzip.decompress(b"".join(compressed(pieces))) == b"".join(pieces)
    assert zlib.decompress(b"".join(compressed([])), 31) == b""


def test_a_default_container_has_at_most_seventy_series(host: Host) -> None:
    files = {
        "memory.peak": "1\n",
        "memory.swap.current": "0\n",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
        "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
        **{
            f"{resource}.pressure": "some avg10=0 total=1\nfull avg10=0 total=1\n"
            for resource in ("cpu", "memory", "io")
        },
    }
    for name, text in files.items():
        (host.root / "sys/fs/cgroup/c" / name).write_text(text)
    everything = running(
        limits=Limits(
            memory_bytes=1, memory_swap_bytes=1, cpu_quota_us=1, cpu_period_us=1, cpu_shares=1,
            pids=5, seen=frozenset({"memory", "swap", "cpu", "pids"}),
        ),
        verdict=Verdict(
            style=Style.APP, axes=dict.fromkeys(Axis, 0.5), services=1, users=1, sessions=1
        ),
        listeners=1,
        restarts=0,
        health="healthy",
        image_facts=ImageFacts(id="i", digests=("d",), size_bytes=1, created=1.0),
        writable_layer_bytes=5,
    )  # fmt: skip
    page = host.show(everything)
    count = sum(dict(k).get("id") == FULL_ID for found in page.values() for k in found)
    assert 55 < count <= 70
