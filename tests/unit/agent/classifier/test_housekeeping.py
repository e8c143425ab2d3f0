"""What keeps house beside one application makes no server of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.model import Style, Subject
from collectors.facts import Descriptors
from tests.support.subjects import (
    CRON,
    NGINX,
    PHP,
    POSTGRES,
    SSHD,
    SYSLOG,
    Node,
    applet,
    booted,
    claims,
    evidence_of,
    findings_of,
    listening,
    run,
    session,
    subject,
    verdict_of,
)

SCRIPT = run("sh", args="-c x")
POSTFIX = run("/usr/lib/postfix/sbin/master")
FORGE = run("/app/gitea/gitea", uid=1000)
CRONS = (
    *(CRON, applet("crond"), run("/usr/sbin/crond", args="-n"), run("/usr/sbin/fcron")),
    *(run("/usr/local/bin/supercronic", args="/etc/crontab"), run("/usr/sbin/bcron-sched")),
)
SYSLOGS = (
    *(SYSLOG, applet("syslogd"), run("/usr/sbin/syslog-ng", args="-F"), run("/usr/sbin/metalog")),
    *(run("/usr/bin/socklog", args="unix /dev/log"), run("/usr/bin/vector")),
    *(run("/usr/bin/s6-log", args="/var/log"), run("/usr/bin/svlogd", args="/var/log")),
)
HOLDERS = ("sh", "tini", "supervisord", "runsvdir", "/usr/bin/s6-svscan", "/usr/bin/dumb-init")


def is_kept(container: Subject) -> bool:
    """Return whether a container is one application, not surely, and says why."""
    verdict = verdict_of(container)
    return (
        verdict.style is Style.APP
        and verdict.confidence < 0.5
        and "services.housekeeping" in {e.rule for e in verdict.evidence}
        and "docker_as_vm" not in findings_of(container)
    )


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("cron", CRONS)
def test_the_answer_is_the_same_for_every_cron(holder: str, cron: Node) -> None:
    assert is_kept(subject(run(holder, NGINX, PHP, cron)))


@pytest.mark.parametrize("syslog", SYSLOGS)
def test_and_for_every_syslog(syslog: Node) -> None:
    assert is_kept(subject(run("supervisord", POSTFIX, syslog, CRON)))


def test_all_at_once_is_still_one_application() -> None:
    more = (run(f"/usr/sbin/{name}") for name in ("chronyd", "haveged", "smartd"))
    bus = run("dbus", args="--system")
    container = subject(run("supervisord", NGINX, PHP, CRON, SYSLOG, bus, *more))
    assert is_kept(container)
    assert verdict_of(container).confidence < verdict_of(subject(SCRIPT, NGINX, CRON)).confidence


def test_a_cron_and_a_syslog_without_an_application_run_jobs() -> None:
    assert is_kept(subject(run("cron", args="-f"), SYSLOG))


@pytest.mark.parametrize(
    "container",
    [
        subject(SCRIPT, NGINX, CRON, SSHD),
        subject(SCRIPT, NGINX, CRON, run("/usr/sbin/dropbear")),
        subject(SCRIPT, NGINX, CRON, run("agetty", tty=1025)),
        subject(booted(NGINX, CRON, run("journald"))),
        subject(SCRIPT, NGINX, CRON, SYSLOG, run("/usr/sbin/vsftpd"), POSTGRES),
        subject(run("supervisord", NGINX, CRON, POSTFIX)),
    ],
)
def test_a_login_a_boot_or_a_second_application_makes_a_server(container: Subject) -> None:
    assert verdict_of(container).style is Style.SYSTEM
    assert "services.housekeeping" not in evidence_of(container)


def test_what_people_left_running_is_no_housekeeping() -> None:
    container = subject(run("sshd", session(run("tmux")), args="-D"), CRON)
    assert "services.housekeeping" not in evidence_of(container)


def test_a_login_port_is_a_login_service_whatever_it_is_called() -> None:
    tree = subject(run("runsvdir", NGINX, CRON, run("/usr/bin/tcpserver")))
    assert is_kept(listening(tree, 80))
    assert not is_kept(listening(tree, 80, 22))


def test_an_inetd_that_serves_is_an_application_of_its_own() -> None:
    tree = subject(run("/usr/sbin/xinetd", CRON))
    assert is_kept(listening(tree, 21))
    assert not is_kept(listening(tree, 23))
    assert not is_kept(listening(tree))


def test_a_syslog_for_other_hosts_is_no_housekeeping() -> None:
    tree = subject(run("supervisord", NGINX, SYSLOG))
    assert is_kept(listening(tree, 80))
    assert not is_kept(listening(tree, 80, 514, protocol="udp"))
    pid = next(p.pid for p in tree.processes if p.comm == "rsyslogd")
    opened = {pid: Descriptors(links={5: "socket:[9514]", 6: "socket:[1]"})}
    tree = replace(tree, descriptors=opened)
    assert not is_kept(listening(tree, 80, 9514))
    assert is_kept(listening(tree, 80, 514))  # it belongs to another process
    assert is_kept(listening(subject(SYSLOG, CRON), 514))  # a log server and its cron


def test_the_sshd_of_a_forge_is_a_part_of_it() -> None:
    assert is_kept(subject(run("/usr/bin/s6-svscan", FORGE, SSHD)))
    assert is_kept(subject(run("/usr/bin/s6-svscan", FORGE, SSHD, CRON, SYSLOG)))
    assert not is_kept(subject(run("/usr/bin/s6-svscan", run("/app/own"), SSHD)))
    assert verdict_of(subject(booted(FORGE, SSHD))).style is Style.SYSTEM


def test_all_that_is_below_one_prefix_is_one_application() -> None:
    parts = [run(f"/opt/forge/bin/{name}") for name in ("nginx", "sshd", "cron", "redis-server")]
    verdict = verdict_of(subject(run("runsvdir", *parts)))
    assert (verdict.style, verdict.services) == (Style.APP, 1)
    beside = verdict_of(subject(run("runsvdir", *parts, SSHD)))
    assert beside.style is Style.SYSTEM


@pytest.mark.parametrize("store", ["/nix/store/abc-{}-1/bin/{}", "/gnu/store/abc-{}-1/sbin/{}"])
def test_each_path_of_a_store_is_a_package_and_never_one_product(store: str) -> None:
    parts = [run(store.format(name, name)) for name in ("nginx", "sshd", "cron")]
    verdict = verdict_of(subject(run("sh", *parts, args="-c x")))
    assert (verdict.style, verdict.services) == (Style.SYSTEM, 3)


def test_the_sentence_says_why() -> None:
    said = evidence_of(subject(run("supervisord", NGINX, CRON, SYSLOG)))
    assert said["services.housekeeping"].sentence == (
        "cron and rsyslogd belong to nginx: there is no login service, no service manager was "
        "booted and no second application runs"
    )
    assert said["services.housekeepers"].sentence == (
        "cron and rsyslogd run beside nginx, as on a server"
    )
    alone = evidence_of(subject(run("supervisord", NGINX, CRON)))
    assert alone["services.housekeepers"].sentence == "cron runs beside nginx, as on a server"
    assert alone["services.housekeeping"].sentence.startswith("cron belongs to nginx: there is no")
    jobs = evidence_of(subject(CRON, SYSLOG))["services.housekeeping"].sentence
    assert jobs == (
        "cron and rsyslogd are all that runs: there is no login service and no service manager was "
        "booted"
    )


@pytest.mark.parametrize(
    "wrapper",
    [
        *("pidproxy", "chpst", "setuidgid", "s6-setuidgid", "gosu", "su-exec", "catatonit"),
        *("dumb-init", "cgexec", "nice", "ionice", "unshare", "env", "timeout", "flock", "envdir"),
        "logger",
    ],
)
def test_a_wrapper_is_peeled_off_by_name(wrapper: str) -> None:
    held = run(f"/usr/bin/{wrapper}", SSHD, args="x /usr/sbin/sshd -D")
    assert verdict_of(subject(held)).services == 1
    assert verdict_of(subject(run("supervisord", held))).services == 1
    script = claims("/usr/bin/python3.11", "python3", f"/usr/bin/{wrapper}", "x", "sshd")
    assert verdict_of(subject(run("sh", replace(script, children=(SSHD,))))).services == 1


def test_a_wrapper_is_peeled_off_by_what_it_does() -> None:
    held = run("/usr/local/bin/keep", SSHD, args="--as root /usr/sbin/sshd -D")
    assert verdict_of(subject(held)).services == 1
    assert "init.reaper" in evidence_of(subject(held))
    of_its_own = run("/usr/local/bin/app", SSHD, args="--port 80")
    assert verdict_of(subject(of_its_own)).services == 2


def test_an_sshd_with_a_configuration_of_its_own_leaves_it_open() -> None:
    own = run("sh", NGINX, run("sshd", args="-f /etc/forge/sshd_config -D"), args="-c x")
    title = "sshd: /usr/sbin/sshd -f /etc/forge/sshd_config [listener] 0 of 10-100 startups"
    titled = run("sh", NGINX, claims("/usr/sbin/sshd", title), args="-c x")
    for tree in (own, titled):
        assert verdict_of(subject(tree)).confidence < 0.5
        assert "users.own_login" in evidence_of(subject(tree))
        assert "docker_as_vm" not in findings_of(subject(tree))
    systems = subject(run("sh", NGINX, run("sshd", args="-f /etc/ssh/sshd_config"), args="-c x"))
    assert verdict_of(systems).confidence >= 0.5
    assert "docker_as_vm" in findings_of(systems)


def test_the_console_of_one_service_keeps_house_for_it() -> None:
    console = run("/usr/bin/perl perl /usr/share/webmin/miniserv.pl /etc/webmin/miniserv.conf")
    assert is_kept(subject(run("/usr/sbin/named"), console))
