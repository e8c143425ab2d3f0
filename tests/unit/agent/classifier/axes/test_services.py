"""The rules on services: how many, and which are an operating system's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.model import Style
from collectors.facts import Listener, NetworkFacts, OpenvzFacts
from tests.support.subjects import (
    CRON,
    JOURNALD,
    NGINX,
    POSTGRES,
    REDIS,
    SSHD,
    Node,
    applet,
    booted,
    evidence_of,
    findings_of,
    run,
    subject,
    verdict_of,
)

RULES_OF_A_HOUSE = {"services.operating_system", "services.housekeepers"}


def test_a_name_in_argv_alone_decides_nothing_without_another() -> None:
    one = verdict_of(subject(run("sh", NGINX, applet("telnetd"), args="-c x")))
    two = verdict_of(subject(run("sh", NGINX, applet("telnetd"), applet("syslogd"), args="-c x")))
    assert one.style is Style.APP
    assert two.style is Style.SYSTEM


def test_the_evidence_names_what_runs() -> None:
    postfix = run("/usr/lib/postfix/sbin/master", run("/usr/lib/postfix/sbin/qmgr qmgr", uid=105))
    mail = verdict_of(subject(run("supervisord", postfix, run("/usr/sbin/dovecot"))))
    assert mail.style is Style.APP
    assert any("dovecot+postfix/master" in e.sentence for e in mail.evidence)
    renamed = verdict_of(subject(run("/opt/a/remote"), run("/opt/b/timer"), run("nginx")))
    names = next(e.sentence for e in renamed.evidence if e.rule.startswith("services."))
    assert all(name in names for name in ("nginx", "remote", "timer")), names


@pytest.mark.parametrize(
    "exe",
    [
        *("/usr/sbin/haveged", "/usr/sbin/smartd", "/sbin/multipathd", "/usr/sbin/automount"),
        *("/usr/libexec/bluetooth/bluetoothd", "/usr/libexec/udisks2/udisksd", "/usr/sbin/lldpd"),
        *("/usr/bin/python3 python3 -u /usr/sbin/waagent -daemon", "/usr/sbin/qemu-ga"),
    ],
)
def test_what_maintains_a_machine_is_an_os_service_and_decides_nothing_alone(exe: str) -> None:
    beside = verdict_of(subject(run("sh", NGINX, run(exe), args="-c x")))
    assert beside.style is Style.APP
    assert RULES_OF_A_HOUSE & {e.rule for e in beside.evidence}
    assert verdict_of(subject(run(exe))).style is Style.APP
    idle = verdict_of(subject(booted(JOURNALD, run(exe)), engine="lxc"))
    assert idle.style is Style.SYSTEM


def test_an_sshd_that_does_not_listen_counts_half() -> None:
    tree = subject(run("sh", SSHD, NGINX, args="-c x"))
    reachable = NetworkFacts(listeners=(Listener(protocol="tcp", address="0.0.0.0", port=22),))
    reached = verdict_of(replace(tree, network=reachable))
    silent = verdict_of(replace(tree, network=NetworkFacts()))
    assert silent.score < reached.score
    assert silent.style is Style.APP


def test_two_applications_without_a_supervisor_are_app_with_a_finding() -> None:
    container = subject(run("sh", NGINX, REDIS, args="-c x"))
    assert verdict_of(container).style is Style.APP
    assert "several_applications" in findings_of(container)


def test_many_unrelated_services_under_a_supervisor_are_a_server() -> None:
    mail = run("/usr/lib/postfix/sbin/master")
    assert verdict_of(subject(run("supervisord", NGINX, POSTGRES, mail))).style is Style.SYSTEM


@pytest.mark.parametrize(
    ("tree", "rule"),
    [
        (run("sh", SSHD, NGINX), "services.operating_system"),
        (run("sh", SSHD, CRON), "services.more_operating_system"),
        (booted(JOURNALD), "services.idle_system"),
        (booted(JOURNALD, NGINX), "services.one_under_manager"),
        (run("supervisord", NGINX, POSTGRES), "services.unrelated_supervised"),
        (run("sh", NGINX, REDIS), "services.several_loose"),
        (NGINX, "services.one"),
        (run("sh", NGINX, applet("telnetd")), "services.claimed"),
        (run("sh", NGINX, CRON), "services.housekeeping"),
        (run("sh", NGINX, CRON), "services.housekeepers"),
        (run("sleep", args="infinity"), "services.nothing"),
    ],
)
def test_each_rule_has_a_tree_that_it_applies_to(tree: Node, rule: str) -> None:
    assert rule in evidence_of(subject(tree))


@pytest.mark.parametrize(
    ("processes", "rule"),
    [
        (0, None),
        (1, "services.counted_few"),
        (4, "services.counted_few"),
        (5, None),
        (11, None),
        (12, "services.counted_many"),
        (None, None),
    ],
)
def test_what_openvz_counts_in_a_container_that_cannot_be_seen(
    processes: int | None, rule: str | None
) -> None:
    counts = OpenvzFacts(ctid="101", processes=processes)
    rules = set(evidence_of(subject(None, engine="openvz", openvz=counts)))
    assert {r for r in rules if r.startswith("services.")} == ({rule} if rule else set())
