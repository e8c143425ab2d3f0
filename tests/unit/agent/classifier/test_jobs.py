"""What cron runs, what an sshd gives out, and which files say so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.classifier.jobs import (
    cron_tables,
    gives_no_shell,
    programs_of,
    sshd_configuration,
)
from agent.model import Style
from collectors.facts import Account, CronJob, RootFacts, ServiceFiles, SshdRules
from tests.support.subjects import (
    CRON,
    NGINX,
    PHP,
    SSHD,
    SYSLOG,
    applet,
    booted,
    evidence_of,
    findings_of,
    run,
    subject,
    verdict_of,
)

if TYPE_CHECKING:
    from agent.model import Subject
    from tests.support.subjects import Node


def account(name: str, uid: int = 1001, shell: str = "/bin/bash") -> Account:
    return Account(name=name, uid=uid, shell=shell, locked=True)


ACCOUNTS = (
    account("root", 0),
    account("www-data", 33, "/usr/sbin/nologin"),
    account("git", 1000, "/usr/bin/git-shell"),
    account("ann"),
    account("bob", 1002),
)


def told(
    *tree: Node, jobs: tuple[CronJob, ...] | None = None, sshd: SshdRules | None = None
) -> Subject:
    """Return a container under supervisord, with what its files say."""
    return replace(
        subject(run("supervisord", *tree)),
        root=RootFacts(accounts=ACCOUNTS),
        files=ServiceFiles(jobs=jobs, sshd=sshd),
    )


@pytest.mark.parametrize(
    ("cron", "tables"),
    [
        (CRON, ()),
        (run("/usr/local/bin/supercronic", args="-quiet /etc/jobs"), ("/etc/jobs",)),
        (run("/usr/local/bin/supercronic", args="jobs"), ()),
        (applet("crond", args="-f -c /etc/boxcron"), ("/etc/boxcron",)),
        (run("/usr/sbin/crond", args="-n -c"), ()),
        (NGINX, None),
    ],
)
def test_a_cron_is_told_of_its_tables(cron: Node, tables: tuple[str, ...] | None) -> None:
    assert cron_tables(subject(cron).processes) == tables


def test_a_visitor_is_not_its_cron() -> None:
    container = subject(NGINX, entered_from_outside=(CRON,))
    assert cron_tables(container.processes, container.entered_from_outside) is None


def test_an_sshd_has_the_systems_configuration_unless_it_was_given_another() -> None:
    assert sshd_configuration(subject(SSHD).processes) == "/etc/ssh/sshd_config"
    given = subject(run("sshd", args="-D -f /assets/sshd_config"))
    assert sshd_configuration(given.processes) == "/assets/sshd_config"
    assert sshd_configuration(subject(NGINX).processes) == ""


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ("cd / && run-parts --report /etc/cron.hourly", ["run-parts"]),
        ("test -x /usr/sbin/anacron || { cd / && run-parts /etc/cron.daily; }", ["run-parts"]),
        ("[ -x /usr/lib/php/sessionclean ] && /usr/lib/php/sessionclean", ["sessionclean"]),
        ("FAST=1 /usr/bin/php -f /var/www/cron.php > /dev/null 2>&1", ["php"]),
        ("su -s /bin/sh www-data -c 'php /a.php'", ["php"]),
        ("nice -n 19 sh /opt/x.sh 2>&1 | logger -t x", ["x.sh"]),
        ("perl -e 'sleep int(rand(9))' && certbot -q renew", ["certbot", "perl"]),
        ("if [ -x a ]; then a; elif ! test -x b; then b; fi", ["a", "b"]),
        ("echo\x1b[2J", []),
        ("", []),
    ],
)
def test_the_programs_of_a_command(command: str, programs: list[str]) -> None:
    assert programs_of([CronJob(command=command)], ACCOUNTS) == programs


def test_the_sentence_says_what_cron_runs() -> None:
    jobs = (
        CronJob(user="root", command="run-parts /etc/cron.daily"),
        CronJob(user="root", command="logrotate /etc/logrotate.conf"),
        CronJob(user="www-data", command="php /var/www/cron.php"),
    )
    said = evidence_of(told(NGINX, PHP, CRON, jobs=jobs))["services.housekeeping"].sentence
    assert said.endswith("; cron's tables run logrotate, php and run-parts")
    more = tuple(CronJob(user="root", command=f"/opt/x/job-{n}") for n in range(9))
    said = evidence_of(told(NGINX, PHP, CRON, jobs=(*jobs, *more)))[
        "services.housekeeping"
    ].sentence
    assert said.endswith("; cron's tables run job-0, job-1, job-2 and 9 more")
    said = evidence_of(told(NGINX, PHP, CRON, jobs=()))["services.housekeeping"].sentence
    assert said.endswith("; cron's tables run nothing")


def of_people(*names: str) -> tuple[CronJob, ...]:
    return tuple(CronJob(user=name, command="fetchmail") for name in names)


def test_a_table_takes_certainty_away_and_never_makes_a_verdict_sure() -> None:
    without = verdict_of(told(NGINX, CRON))
    own = verdict_of(told(NGINX, CRON, jobs=of_people("ann", "root", "www-data")))
    assert (own.style, own.confidence) == (without.style, without.confidence)
    peoples = told(NGINX, CRON, jobs=of_people("ann", "bob"))
    assert verdict_of(peoples).style is Style.UNKNOWN
    assert evidence_of(peoples)["users.jobs"].sentence.endswith("several people: ann and bob")
    assert "docker_as_vm" not in findings_of(peoples)
    server = verdict_of(told(NGINX, CRON, SSHD))
    assert server == verdict_of(told(NGINX, CRON, SSHD, jobs=of_people("root")))
    assert server == verdict_of(told(NGINX, CRON, SSHD, jobs=of_people("ann", "bob")))


FILES = SshdRules(forced_command="internal-sftp")
FORGE = SshdRules(keys_command="/app/keys", users=("git",))


@pytest.mark.parametrize(
    ("rules", "none"),
    [
        (None, False),
        (SshdRules(), False),
        (FILES, True),
        (FORGE, True),
        (SshdRules(forced_command="/bin/bash"), False),
        (SshdRules(users=("git",)), True),  # its shell is git-shell
        (SshdRules(users=("git", "ann")), False),
        (SshdRules(users=("nobody-knows",)), False),
        (SshdRules(keys_command="/usr/bin/cloud_keys"), False),
        (SshdRules(keys_command="/app/keys", users=("git", "root")), False),
    ],
)
def test_who_logs_in_gets_a_shell_or_the_product(rules: SshdRules | None, none: bool) -> None:
    assert gives_no_shell(rules, ACCOUNTS) is none


@pytest.mark.parametrize("rules", [FILES, FORGE])
@pytest.mark.parametrize(
    "tree", [(NGINX, PHP), (NGINX, CRON), (run("/app/own"), SYSLOG), (SYSLOG,), (CRON,)]
)
def test_an_sshd_that_gives_no_shell_belongs_to_the_application(
    tree: tuple[Node, ...], rules: SshdRules
) -> None:
    container = told(*tree, SSHD, sshd=rules)
    verdict = verdict_of(container)
    assert verdict.style is Style.APP
    assert verdict.confidence < 0.5
    assert "gives no shell" in evidence_of(container)["services.housekeeping"].sentence
    assert "docker_as_vm" not in findings_of(container)


def test_rules_make_no_application_of_what_booted_or_is_several() -> None:
    root, files = RootFacts(accounts=ACCOUNTS), ServiceFiles(sshd=FILES)
    systemd = replace(subject(booted(NGINX, SSHD, CRON)), root=root, files=files)
    assert verdict_of(systemd) == verdict_of(replace(systemd, files=ServiceFiles()))
    several = told(NGINX, run("/usr/sbin/named"), run("/usr/sbin/vsftpd"), SSHD, CRON, sshd=FILES)
    assert verdict_of(several).style is Style.SYSTEM
    assert verdict_of(several).confidence < 0.5
