"""The rules on users: who runs programs, who is logged in, and what they left running."""

from __future__ import annotations

from dataclasses import replace

from agent.model import Style
from collectors.facts import Account, RootFacts
from tests.support.subjects import (
    NGINX,
    SSHD,
    evidence_of,
    run,
    session,
    subject,
    verdict_of,
)


def test_users_who_left_programs_running_make_it_a_system_and_a_session_does_not() -> None:
    stays = run("tmux", run("bash", tty=34817, uid=1001), uid=1001, own=True)
    other = run("tmux", run("bash", tty=34818, uid=1002), uid=1002, own=True)
    lived_in = subject(run("sshd", session(), session(user=1002), args="-D"), stays, other)
    assert verdict_of(lived_in).style is Style.SYSTEM
    assert verdict_of(subject(run("sshd", session(), args="-D"))).style is Style.APP


def test_sessions_count_by_users() -> None:
    one = evidence_of(subject(run("sshd", session(), args="-D")))["users.sessions"]
    assert one.sentence == "users are logged in: 1 session of 1 user"
    two = subject(run("sshd", session(), session(user=1002), args="-D"))
    assert evidence_of(two)["users.sessions"].weight > one.weight


def test_one_user_or_several() -> None:
    assert "users.single" in evidence_of(subject(run("redis", uid=101)))
    three = run("sh", run("nginx", uid=33), run("redis", uid=101), run("/app/server", uid=1000))
    assert "users.several" in evidence_of(subject(three))
    assert "users.single" not in evidence_of(subject(three))


def test_accounts_that_can_log_in() -> None:
    def rules(account: Account) -> set[str]:
        return set(evidence_of(replace(subject(NGINX), root=RootFacts(accounts=(account,)))))

    ann = Account(name="ann", uid=1001, shell="/bin/bash", locked=False)
    assert "users.accounts" in rules(ann)
    assert "users.accounts" not in rules(replace(ann, locked=True))
    assert "users.accounts" not in rules(replace(ann, shell="/usr/sbin/nologin"))


def test_login_records() -> None:
    evidence = evidence_of(replace(subject(NGINX), root=RootFacts(sessions=2)))
    assert evidence["users.utmp"].sentence == "its login records (utmp) list 2 sessions"
    assert "users.utmp" not in evidence_of(replace(subject(NGINX), root=RootFacts(sessions=0)))


def test_nobody_who_logs_in_speaks_for_a_products_own_sshd() -> None:
    product = run("sh", run("/opt/oak/oakd"), SSHD, args="-c x")
    assert evidence_of(subject(product))["users.nobody"].sentence == (
        "nobody is known to log in for a shell: its sshd may be a part of oakd"
    )
    assert "users.nobody" not in evidence_of(subject(run("sh", NGINX, SSHD, args="-c x")))
