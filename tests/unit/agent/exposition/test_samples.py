"""What the samples of a container say, from its facts to the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.exposition import Options
from agent.metrics import DEFAULT_GROUPS
from agent.model import Axis, Evidence, Finding, Style, Verdict
from collectors.facts import Beancounter, FilesystemUsage, ImageFacts, Limits, OpenvzFacts, State
from tests.support.page_host import BASE, FACTS, FULL_ID, Host, running

if TYPE_CHECKING:
    from pathlib import Path


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
    assert theirs == {"container_last_seen", "container_oom_events_total"}
    assert page["container_oom_events_total"][BASE] == 1


def test_a_limit_of_which_there_is_none_is_absent(host: Host) -> None:
    seen = frozenset({"memory", "swap", "cpu", "pids"})
    page = host.show(running(limits=Limits(seen=seen, cpu_shares=2)))
    assert page["container_spec_cpu_shares"][BASE] == 2
    assert not [name for name in page if "_limit_bytes" in name and "spec" in name]
    assert "container_spec_cpu_quota" not in page
    assert "container_spec_cpu_period" not in page
    assert "tallyman_container_cpuset_cpus" not in page


def test_no_swap_allowed_is_a_limit_of_zero(host: Host) -> None:
    limits = Limits(memory_bytes=4096, memory_swap_bytes=0, seen=frozenset({"memory", "swap"}))
    page = host.show(running(limits=limits))
    assert page["container_spec_memory_limit_bytes"][BASE] == 4096
    assert page["container_spec_memory_swap_limit_bytes"][BASE] == 0


def test_a_cpuset_is_shown(host: Host) -> None:
    page = host.show(running(limits=Limits(cpus=2, seen=frozenset({"cpu"}))))
    assert page["tallyman_container_cpuset_cpus"][("id", FULL_ID),] == 2
    assert "container_spec_cpu_quota" not in page


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
    finding = (("finding", "docker_as_vm"), *own, ("severity", "warning"))
    assert page["tallyman_container_finding"] == {finding: 1}
    assert page["tallyman_container_mismatch"][own] == 1
    assert page["tallyman_container_style_changes_total"][own] == 2
    assert page["tallyman_container_services"][own] == 3
    assert "tallyman_container_users" not in page
    assert page["tallyman_container_image_size_bytes"][own] == 5


def test_an_unjudged_container_has_no_score(host: Host) -> None:
    page = host.show(running())
    assert "tallyman_container_style_score" not in page
    assert page["tallyman_container_style_confidence"][("id", FULL_ID),] == 0


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
