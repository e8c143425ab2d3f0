"""What is peeled off a process tree, and what is a service, a login or left running."""

from __future__ import annotations

from dataclasses import replace

from agent.classifier import read_scene
from agent.model import Style
from tests.support.subjects import (
    CRON,
    JOURNALD,
    NGINX,
    REDIS,
    SSHD,
    booted,
    evidence_of,
    run,
    subject,
    verdict_of,
)


def test_what_a_first_process_adopted_is_told_from_what_users_left_running() -> None:
    supervisor = run("supervisord", NGINX)
    assert verdict_of(subject(SSHD, supervisor)).style is Style.SYSTEM
    bot = run("python", uid=1001, args="bot.py")
    left = subject(run("sshd", replace(bot, more={"uid": 1001, "session": 77}), args="-D"))
    assert "users.residents" in {e.rule for e in verdict_of(left).evidence}
    assert verdict_of(left).style is Style.APP
    started_before = subject(run("sshd", run("/app/server"), args="-D"))
    assert verdict_of(started_before).services == 2
    assert verdict_of(subject(CRON, SSHD, NGINX)).services == 3


def test_servers_that_were_started_before_the_first_process_count() -> None:
    before = run("nginx", REDIS, run("nginx", uid=33))
    assert verdict_of(subject(before)).services == 2


def test_what_runs_in_the_windows_of_a_script_s_tmux_is_services() -> None:
    windows = run("tmux", SSHD, CRON, NGINX, own=True)
    verdict = verdict_of(subject(run("sleep", args="infinity"), windows))
    assert (verdict.style, verdict.services) == (Style.SYSTEM, 3)


def test_a_program_in_screen_is_a_program() -> None:
    game = run("/usr/bin/screen", run("/usr/bin/java", args="-jar server.jar"))
    for tree in (game, run("sh", game, args="-c x")):
        verdict = verdict_of(subject(tree))
        assert verdict.style is Style.APP
        assert verdict.services == 1


def test_a_users_own_service_manager_is_a_session() -> None:
    manager = run("systemd", run("dbus", args="--session", uid=1001), args="--user", uid=1001)
    scene = read_scene(subject(booted(JOURNALD, SSHD, manager)))
    assert len(scene.sessions) == 1
    assert scene.login_users == {1001}


def test_jobs_of_a_shell_at_its_terminal_are_no_services() -> None:
    job = run("/app/server", tty=34816)
    assert read_scene(subject(run("bash", job, tty=34816))).services == 0
    daemon = run("/app/server", own=True)
    assert read_scene(subject(run("bash", daemon, tty=34816))).services == 1


def test_a_service_that_forked_twice_is_no_program_that_users_left_running() -> None:
    banning = run("/usr/bin/python3 python3 /usr/bin/fail2ban-server -b", session=4242)
    scene = read_scene(subject(run("sshd", run("rsyslogd"), banning, args="-D")))
    assert scene.left_running == ()
    assert {p.name for p in scene.os_services} == {"fail2ban-server", "rsyslogd", "sshd"}


def test_below_what_serves_a_system_an_unknown_program_is_one_that_a_script_started() -> None:
    assert verdict_of(subject(run("/usr/sbin/xinetd", run("/opt/watch/core"), CRON))).services == 3
    assert verdict_of(subject(run("cron", run("/opt/job"), args="-f"))).services == 1


def test_what_a_user_left_running_is_theirs_though_an_application_has_adopted_it() -> None:
    left = subject(run("/opt/oak/oak", SSHD), run("tmux", run("bash", uid=1001), uid=1001))
    assert "users.residents" in evidence_of(left)
    assert verdict_of(left).style is Style.SYSTEM


def test_a_daemon_of_the_system_is_nobodys_who_has_logged_out() -> None:
    """It has forked twice: it is in a session whose head has ended."""
    proxy = run("/usr/bin/tinyproxy", uid=103, session=77)
    assert "users.residents" not in evidence_of(subject(run("sshd", proxy)))
    bot = run("/home/ann/bot", uid=1001, session=77)
    assert "users.residents" in evidence_of(subject(run("sshd", bot)))
