"""What can be read in two ways is never sure, and accuses nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.model import Style
from collectors.facts import Account, CronJob, RootFacts, ServiceFiles
from tests.support.subjects import (
    CRON,
    NGINX,
    PHP,
    REDIS,
    SSHD,
    SYSLOG,
    applet,
    booted,
    findings_of,
    listening,
    run,
    session,
    subject,
    verdict_of,
)

if TYPE_CHECKING:
    from agent.model import Subject
    from tests.support.subjects import Node

SCRIPT = run("sh", args="-c x")
ROOT = Account(name="root", uid=0, shell="/bin/bash")
GIT = Account(name="git", uid=1000, shell="/bin/bash")
OAK = run("/usr/local/bin/oakd", uid=1000)
SERVER = run("/usr/bin/python3.11 python3", args="/srv/oak/main.py")


def known(tree: Node, *accounts: Account) -> Subject:
    """Return a container whose accounts were read."""
    return replace(subject(tree), root=RootFacts(accounts=(ROOT, *accounts)))


def is_open(container: Subject) -> bool:
    """Return whether a container is called neither style, and nothing is said against it."""
    verdict = verdict_of(container)
    accused = findings_of(container) & {"docker_as_vm", "single_app_in_system_container"}
    return verdict.style is Style.UNKNOWN and verdict.confidence == 0 and not accused


def is_surely_a_server(container: Subject) -> bool:
    verdict = verdict_of(container)
    return verdict.style is Style.SYSTEM and verdict.confidence >= 0.5


@pytest.mark.parametrize("holder", ["/usr/bin/s6-svscan", "supervisord", "sh", "tini"])
@pytest.mark.parametrize("product", [OAK, SERVER, run("/opt/oak/bin/nginx")])
@pytest.mark.parametrize("login", [SSHD, run("/usr/sbin/dropbear"), run("/usr/sbin/sshd.pam")])
def test_a_product_of_whom_nobody_has_heard_may_have_an_sshd_of_its_own(
    holder: str, product: Node, login: Node
) -> None:
    for beside in ((), (CRON,), (applet("crond"), applet("syslogd"))):
        container = known(run(holder, product, login, *beside), GIT)
        assert is_open(container)
        assert " gives people a shell, or only what " in verdict_of(container).unseen[-1]


@pytest.mark.parametrize("beside", [(SYSLOG,), (CRON, SYSLOG), (NGINX, CRON)])
def test_so_may_one_that_is_the_first_process_and_adopted_what_its_script_started(
    beside: tuple[Node, ...],
) -> None:
    assert is_open(replace(subject(OAK, SSHD, *beside), root=RootFacts(accounts=(ROOT, GIT))))
    held = run("/usr/local/bin/keep", SSHD, NGINX, CRON, SYSLOG)
    assert is_surely_a_server(known(held))  # it has started them: a supervisor


def test_its_parts_are_still_one_product() -> None:
    assert is_open(known(run("supervisord", NGINX, PHP, REDIS, SSHD), GIT))


def test_that_of_a_product_which_has_an_sshd_already_is_for_somebody_else() -> None:
    parts = (run("/opt/oak/bin/oakd"), run("/opt/oak/bin/sshd"))
    assert verdict_of(known(run("runsvdir", *parts), GIT)).style is Style.APP
    assert is_surely_a_server(known(run("runsvdir", *parts, SSHD), GIT))


@pytest.mark.parametrize(
    "tree",
    [
        run("supervisord", NGINX, SSHD),
        run("supervisord", REDIS, SSHD, CRON),
        run("supervisord", OAK, SSHD, run("agetty", tty=1025)),
        run("supervisord", OAK, SSHD, run("/usr/sbin/in.telnetd")),
        run("supervisord", OAK, SSHD, run("/usr/sbin/vsftpd")),
        booted(OAK, SSHD, run("journald")),
    ],
)
def test_what_no_product_brings_is_a_server(tree: Node) -> None:
    """A distribution's server, a getty, a second application, a booted service manager."""
    assert is_surely_a_server(known(tree, GIT))


@pytest.mark.parametrize(
    "accounts",
    [
        (Account(name="root", uid=0, shell="/bin/bash", locked=False),),
        (Account(name="ann", uid=1001, shell="/bin/bash", locked=False),),
        tuple(Account(name=n, uid=uid, shell="/bin/zsh") for n, uid in (("a", 1001), ("b", 1002))),
    ],
)
def test_where_people_have_accounts_it_is_a_server(accounts: tuple[Account, ...]) -> None:
    container = known(run("supervisord", OAK, SSHD), *accounts)
    assert is_surely_a_server(container)
    assert "docker_as_vm" in findings_of(container)


def test_and_where_they_are_at_work() -> None:
    assert is_surely_a_server(known(run("sh", OAK, run("sshd", session()))))
    assert is_surely_a_server(known(run("sh", OAK, SSHD, run("tmux", uid=1001))))
    jobs = tuple(CronJob(user=name, command="x") for name in ("a", "b"))
    accounts = (Account(name=name, uid=1001 + len(name), shell="/bin/sh") for name in ("a", "bb"))
    container = known(run("sh", OAK, SSHD, CRON), *accounts)
    assert is_surely_a_server(replace(container, files=ServiceFiles(jobs=jobs)))


@pytest.mark.parametrize("server", ["/usr/bin/rsync", "/usr/sbin/vsftpd", "/usr/bin/git"])
def test_what_gives_out_files_may_have_an_sshd_for_them(server: str) -> None:
    keep = Account(name="keep", uid=1000, shell="/bin/bash")
    assert is_open(known(run("sh", run(server), SSHD, CRON, args="-c x"), keep))


def test_an_account_without_a_shell_was_made_for_an_sshd_that_gives_none() -> None:
    deploy = Account(name="deploy", uid=1000, shell="/usr/sbin/nologin")
    site = run("supervisord", run("nginx", uid=33), SSHD)
    assert is_open(known(site, deploy))
    ann = Account(name="ann", uid=1001, shell="/bin/bash", locked=False)
    assert is_surely_a_server(known(site, deploy, ann))
    own = run("supervisord", run("nginx", uid=1000), SSHD)
    assert is_surely_a_server(known(own, deploy))  # nginx runs as it


def test_an_inetd_whose_network_was_not_read_may_let_people_in() -> None:
    tree = subject(run("sh", run("/opt/watch/core"), CRON, run("/usr/sbin/xinetd")))
    assert is_open(tree)
    assert verdict_of(tree).unseen[-1].startswith("whether its inetd lets people in")
    assert is_open(subject(run("/usr/sbin/xinetd", CRON)))
    assert is_open(replace(listening(tree, 22), container=replace(tree.container, network="host")))
    assert verdict_of(listening(tree, 6556)).style is Style.APP
    assert is_open(listening(tree, 22))
    assert is_surely_a_server(listening(tree, 23))
    telnet = run("/usr/sbin/telnetd")
    unread = subject(run("sh", NGINX, run("/usr/sbin/xinetd"), telnet))
    assert is_surely_a_server(unread)


def test_what_listens_for_logins_beside_others_is_never_surely_an_application() -> None:
    renamed = subject(run("nginx"), run("/opt/a/remote"), run("/opt/b/timer"))
    assert verdict_of(listening(renamed, 80)).confidence >= 0.5
    assert verdict_of(listening(renamed, 80, 22)).confidence < 0.5
    assert verdict_of(listening(subject(run("/opt/a/remote")), 22)).confidence >= 0.5


def test_an_sshd_with_its_log_and_its_guard_is_surely_neither() -> None:
    guard = run("/usr/bin/python3 python3 /usr/bin/fail2ban-server -b")
    for container in (subject(SSHD, SYSLOG), subject(SSHD, SYSLOG, guard), subject(SSHD, guard)):
        assert verdict_of(container).confidence < 0.5
        assert "docker_as_vm" not in findings_of(container)
    for container in (subject(SSHD, CRON), subject(run("supervisord", SSHD, applet("crond")))):
        assert verdict_of(container).confidence < 0.5
    assert verdict_of(subject(SCRIPT, SSHD, CRON)).confidence >= 0.5
    assert verdict_of(subject(SSHD, SYSLOG, CRON)).confidence >= 0.5
    assert verdict_of(subject(SSHD, SYSLOG, NGINX)).confidence >= 0.5


def test_a_site_and_the_way_its_files_get_there_can_be_read_in_two_ways() -> None:
    """A hosting server has both, too, but mail or a name server besides."""
    ftp = run("/usr/sbin/proftpd")
    named = run("/usr/sbin/named")
    for tree in ((NGINX, ftp), (NGINX, PHP, ftp, CRON), (NGINX, PHP, ftp, CRON, SYSLOG)):
        verdict = verdict_of(subject(run("supervisord", *tree)))
        assert verdict.style is Style.UNKNOWN
        assert verdict.confidence == 0
        assert verdict.unseen[-1].startswith("whether its file server is for")
    for product in ("/opt/reef/bin/reef", "/usr/bin/python3.11 python3 /srv/reef/main.py"):
        fed = subject(run("supervisord", run(product), ftp, CRON))
        assert is_open(fed)
        assert verdict_of(fed).unseen[-1].startswith("whether its file server is for")
    hosting = verdict_of(subject(run("supervisord", NGINX, PHP, ftp, CRON, named)))
    assert (hosting.style, hosting.confidence > 0.5) == (Style.SYSTEM, True)
    with_shells = verdict_of(subject(run("supervisord", NGINX, PHP, ftp, CRON, SSHD)))
    assert (with_shells.style, with_shells.confidence > 0.5) == (Style.SYSTEM, True)


def test_one_user_who_left_a_program_may_live_there_or_visit() -> None:
    one = subject(run("sshd", session(), args="-D"), run("tmux", uid=1001))
    assert verdict_of(one).style is Style.UNKNOWN


def test_an_sshd_and_its_cron_may_be_a_place_for_backups_or_a_server() -> None:
    for tree in (run("supervisord", CRON, SSHD), run("sshd", CRON, args="-D")):
        verdict = verdict_of(subject(tree))
        assert verdict.style is Style.UNKNOWN
        assert verdict.unseen[-1].startswith("whether its sshd gives people a shell")
    by_a_script = verdict_of(subject(SCRIPT, CRON, SSHD))
    assert by_a_script.style is Style.SYSTEM
