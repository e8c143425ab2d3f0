"""Snapshots made by hand, with the names that strangers would choose."""

from __future__ import annotations

from agent.model import (
    Axis,
    CollectorHealth,
    Container,
    Evidence,
    Finding,
    LookAlike,
    Severity,
    Snapshot,
    Style,
    Verdict,
)
from collectors.facts import HostFacts, ProcessId, State

NOW = 1_800_000_000.0
DAY = 86400.0

EVIL = "x\x1b[31m<script>alert('1')</script>\u202e\n\udcff日本"
"""A name that wants to command terminals, browsers and parsers, and is no UTF-8."""

APP = Evidence(
    axis=Axis.PROVENANCE,
    rule="provenance.image",
    weight=-0.5,
    sentence="made from an image with a registry digest",
    source="docker",
)
SYSTEM = Evidence(
    axis=Axis.INIT,
    rule="init.service_manager",
    weight=2.5,
    sentence="pid 1 is systemd, which runs sshd, cron and rsyslog",
    source="/proc/4712/exe",
)

WEB = Container(
    id="/docker/" + "a" * 64,
    engine="docker",
    engine_id="a" * 64,
    name="web",
    image="nginx:1.27",
    state=State.RUNNING,
    init=ProcessId(4711, 1),
    cgroup="/docker/" + "a" * 64,
    started=NOW - 2 * DAY,
    expected_style=Style.APP,
    verdict=Verdict(
        style=Style.APP, score=-0.91, confidence=0.87, axes={Axis.INIT: -0.9}, evidence=(APP,)
    ),
)
LEGACY = Container(
    id="/docker/" + "b" * 64,
    engine="docker",
    engine_id="b" * 64,
    name="legacy",
    image="debian:12",
    state=State.RUNNING,
    init=ProcessId(4712, 1),
    started=NOW - 900,
    expected_style=Style.APP,
    mismatch=True,
    verdict=Verdict(
        style=Style.SYSTEM,
        score=0.93,
        confidence=0.9,
        axes={Axis.INIT: 0.95, Axis.PROVENANCE: -0.2},
        evidence=(APP, SYSTEM),
        unseen=("the list of packages could not be read",),
    ),
    findings=(
        Finding(name="docker_as_vm", sentence="a small server runs in docker, with sshd"),
        Finding(
            name="no_limits",
            sentence="it has no memory, CPU or pids limit",
            severity=Severity.ADVICE,
        ),
    ),
)
INNER = Container(
    id=LEGACY.id + "/docker/" + "c" * 64,
    engine="docker",
    engine_id="c" * 64,
    name="inner",
    parent_id=LEGACY.id,
    state=State.EXITED,
    expected_style=Style.APP,
)
BAD = Container(
    id=f"/lxc/{EVIL}",
    engine="lxc",
    engine_id=EVIL,
    name=EVIL,
    image=EVIL,
    hostname=EVIL,
    state=State.RUNNING,
    expected_style=Style.SYSTEM,
    verdict=Verdict(
        style=Style.APP,
        score=-0.3,
        confidence=0.2,
        evidence=(
            Evidence(axis=Axis.USERS, rule="users.x", weight=-0.4, sentence=EVIL, source=EVIL),
        ),
        unseen=(EVIL,),
        axes={Axis.USERS: -0.2},
    ),
    findings=(Finding(name="logged_into", sentence=EVIL),),
)
GONE = Container(
    id="/docker/" + "d" * 64, engine="docker", engine_id="d" * 64, name="old", gone=True
)
SERVICE = LookAlike(
    kind="service",
    name="systemd-resolved",
    reason="the host's manager runs it",
    pid=33,
    cgroup="/system.slice/systemd-resolved.service",
)
HEALTHY = CollectorHealth(
    name="processes", success=True, duration_seconds=0.02, last_success=NOW, containers=4
)
BROKEN = CollectorHealth(
    name="docker",
    success=False,
    duration_seconds=3.0,
    last_success=None,
    denied=2,
    error=f"no answer {EVIL}",
)


def picture(*containers: Container, complete: bool = True) -> Snapshot:
    """Return a snapshot of these containers, or of all kinds of them."""
    chosen = containers or (WEB, LEGACY, INNER, BAD, GONE)
    return Snapshot(
        host=HostFacts(nodename="host<1>"),
        containers={container.id: container for container in chosen},
        look_alikes=(SERVICE,),
        collectors=(HEALTHY, BROKEN),
        complete=complete,
        as_of=NOW,
    )
