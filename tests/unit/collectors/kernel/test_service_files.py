"""The tables of a container's cron and the rules of its sshd, which a stranger has written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import CronJob, SshdRules
from collectors.hostfs import Denied, Gone, HostFS, HostReadError
from collectors.kernel.service_files import (
    parse_sshd_rules,
    parse_table,
    read_cron_jobs,
    read_sshd_rules,
)

if TYPE_CHECKING:
    from pathlib import Path

PID = 4711
DEBIANS = """\
# /etc/crontab: system-wide crontab
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin

17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly
25 6\t* * 7\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.weekly; }
"""


@pytest.fixture
def host(tmp_path: Path) -> HostFS:
    (tmp_path / "proc" / str(PID) / "root").mkdir(parents=True)
    return HostFS(procfs=str(tmp_path / "proc"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "proc" / str(PID) / "root"


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def commands(host: HostFS, *tables: str) -> list[str]:
    return [job.command for job in read_cron_jobs(host, PID, tables)]


def test_the_table_of_a_debian_says_as_whom_each_job_runs() -> None:
    assert list(parse_table(DEBIANS)) == [
        CronJob(user="root", command="cd / && run-parts --report /etc/cron.hourly"),
        CronJob(
            user="root",
            command="test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.weekly; }",
        ),
    ]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("*/5 * * * * php artisan", "php artisan"),
        ("0 3 * JAN-MAR mon,fri backup", "backup"),
        ("@daily backup", "backup"),
        ("@every 1h30m backup", "backup"),
        ("0 */5 * * * * * backup now", "backup now"),  # supercronic's seconds and years
        ("&nice(5) 0 3 * * * backup", "backup"),  # fcron's options
    ],
)
def test_a_users_table_says_when_and_what(line: str, command: str) -> None:
    assert list(parse_table(line, user="ann")) == [CronJob(user="ann", command=command)]


@pytest.mark.parametrize(
    "line", ["", "# * * * * * x", "MAILTO=ann", 'PATH = "/bin"', "* * * * x", "x y z", "\0ELF"]
)
def test_what_is_no_job_is_left_out(line: str) -> None:
    assert list(parse_table(line, user="ann")) == []


@given(st.text())
def test_any_text_is_a_table(text: str) -> None:
    assert all(job.command for job in parse_table(text))
    assert all(job.user == "ann" for job in parse_table(text, user="ann"))


def test_all_tables_are_read_each_once(host: HostFS, root: Path) -> None:
    write(root, "etc/crontab", "* * * * * root one\n")
    write(root, "etc/cron.d/php", "* * * * * www-data two\n")
    write(root, "etc/cron.d/php.dpkg-old", "* * * * * root old\n")
    write(root, "etc/cron.d/.placeholder", "* * * * * root hidden\n")
    write(root, "var/spool/cron/crontabs/ann", "* * * * * three\n")
    write(root, "etc/crontabs/root", "* * * * * four\n")
    (root / "etc/also").symlink_to("crontabs")
    write(root, "var/spool/fcron/bob.orig", "* * * * * five\n")
    write(root, "srv/jobs", "* * * * * six\n")
    jobs = read_cron_jobs(host, PID, ["/etc/also", "/srv/jobs", "/srv/none"])
    assert [(job.user, job.command) for job in jobs] == [
        *(("root", "one"), ("www-data", "two"), ("ann", "three"), ("root", "four")),
        *(("bob", "five"), ("", "six")),
    ]


def test_no_table_is_no_job(host: HostFS) -> None:
    assert commands(host) == []


def test_what_a_stranger_put_there_neither_blocks_nor_leads_out(
    host: HostFS, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("* * * * * root secret\n")
    (root / "etc/cron.d").mkdir(parents=True)
    os.mkfifo(root / "etc/crontab")
    os.mkfifo(root / "etc/cron.d/pipe")
    (root / "etc/cron.d/out").symlink_to("../../../../../hosts")
    (root / "etc/cron.d/self").symlink_to("self")
    (root / "etc/cron.d/folder").mkdir()
    assert commands(host, "/../../../hosts", "/proc/kmsg", "/dev/zero") == []


def test_a_huge_table_and_a_crowd_of_them_are_read_in_part(host: HostFS, root: Path) -> None:
    write(root, "etc/crontab", "* * * * * root x" + "y" * 1000 + "\n" * 2_000_000)
    for number in range(300):
        lines = "".join(f"* * * * * root job{number} {i}\n" for i in range(9))
        write(root, f"etc/cron.d/{number}", lines)
    jobs = read_cron_jobs(host, PID)
    assert len(jobs) == 200
    assert max(len(job.command) for job in jobs) == 500


def test_what_may_not_be_read_is_not_nothing(
    host: HostFS, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "etc/crontab", DEBIANS)

    def denied(*_: object) -> bytes:
        raise Denied("/etc/crontab", "Permission denied")

    monkeypatch.setattr("collectors.hostfs.Dir.read_head", denied)
    with pytest.raises(Denied):
        read_cron_jobs(host, PID)


def test_the_rules_of_an_sshd_that_gives_out_files(host: HostFS, root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n")
    write(root, "etc/ssh/sshd_config.d/files.conf", "Match User *\n  ForceCommand internal-sftp\n")
    assert read_sshd_rules(host, PID) == SshdRules(forced_command="internal-sftp")


def test_the_rules_of_a_forges_sshd() -> None:
    lines = ["AllowUsers git vcs", "AuthorizedKeysCommand=/app/keys %u", "ForceCommand none"]
    assert parse_sshd_rules(lines) == SshdRules(keys_command="/app/keys %u", users=("git", "vcs"))


def test_what_holds_for_some_users_only_is_no_rule_for_all() -> None:
    lines = ["Match Group sftp", "ForceCommand internal-sftp", "AllowUsers ann"]
    assert parse_sshd_rules(lines) == SshdRules()
    assert parse_sshd_rules([*lines, "Match all", "ForceCommand x"]).forced_command == "x"


def test_the_first_value_of_a_keyword_holds() -> None:
    assert parse_sshd_rules(["ForceCommand a", "forcecommand b"]).forced_command == "a"


@given(st.text())
def test_any_text_is_a_configuration(text: str) -> None:
    parse_sshd_rules(text.splitlines())


def test_an_sshd_without_its_configuration_has_no_rules(host: HostFS, root: Path) -> None:
    with pytest.raises(Gone):
        read_sshd_rules(host, PID)
    (root / "etc/ssh").mkdir(parents=True)
    os.mkfifo(root / "etc/ssh/sshd_config")
    with pytest.raises(HostReadError):
        read_sshd_rules(host, PID)
