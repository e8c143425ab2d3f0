"""Reads the tables of a container's cron, crontab(5), and the rules of its sshd, sshd_config(5).

The container controls every byte that is read here. Reads are confined to its root, capped in size
and number, and of regular files only.
"""

from __future__ import annotations

import posixpath
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.facts import CronJob, SshdRules
from collectors.hostfs import Gone, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.hostfs import Dir, HostFS

_TABLE_LIMIT = 64 << 10
_TABLES_KEPT = 100
_NAMES_KEPT = 50
_JOBS_KEPT = 200
_COMMAND_KEPT = 500
_CONFIGURATION_LIMIT = 64 << 10
_CONFIGURATIONS_KEPT = 20
_USERS_KEPT = 50

SSHD_CONFIG = "/etc/ssh/sshd_config"

_SYSTEMS_TABLES = ("etc/crontab", "etc/cron.d")
"""Tables that say as whom a job runs; the second is a directory of them."""
_USERS_TABLES = ("var/spool/cron/crontabs", "var/spool/cron", "etc/crontabs", "var/spool/fcron")
"""Directories with a table for each user: Debian's cron, cronie, Alpine's, fcron's."""

_SETTING = re.compile(r"\s*[\"']?[A-Za-z_][\w.]*[\"']?\s*=")
_TIME = re.compile(
    r"[*?~\d][\d*?~/,#LW-]*|(?:sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct"
    r"|nov|dec)(?:[-,/]\w+)*",
    re.IGNORECASE,
)
_NO_FILES = ("proc/", "sys/", "dev/", "..")
"""Where a path that a process names leads to no table."""
_FIELDS, _MOST_FIELDS = 5, 7
"""Fields of a time in crontab(5); supercronic takes seconds and years too."""
_LEFT_BEHIND = ("~", ".bak", ".dpkg-dist", ".dpkg-new", ".dpkg-old", ".rpmnew", ".rpmsave", ".swp")


def read_cron_jobs(host: HostFS, pid: int, tables: Iterable[str] = ()) -> tuple[CronJob, ...]:
    """Read the jobs in all tables in the root of a process, at most 200.

    ``tables`` are further ones that cron was told of: a file (supercronic), or a directory with a
    table for each user (busybox' ``crond -c``). Raises ``HostReadError`` when the root cannot be
    opened, or something in it may not be read.
    """
    with host.container_root(pid) as root:
        reader = _Reader(root)
        jobs = dict.fromkeys(_all_jobs(reader, tables))
        return tuple(jobs)[:_JOBS_KEPT]


def read_sshd_rules(host: HostFS, pid: int, path: str = SSHD_CONFIG) -> SshdRules:
    """Read the rules of an sshd in the root of a process, given its configuration file.

    Raises ``HostReadError`` when it cannot be read.
    """
    with host.container_root(pid) as root:
        text = root.read_head(path.lstrip("/"), _CONFIGURATION_LIMIT).decode("utf-8", "replace")
        return parse_sshd_rules(_with_includes(_Reader(root, _CONFIGURATIONS_KEPT), text))


@dataclass(slots=True)
class _Reader:
    """Reads some files in one root: what is missing or no regular file is empty."""

    root: Dir
    left: int = _TABLES_KEPT

    def read(self, path: str, limit: int = _TABLE_LIMIT) -> str:
        if self.left <= 0:
            return ""
        self.left -= 1
        try:
            if not stat.S_ISREG(self.root.stat(path).st_mode):
                return ""
            return self.root.read_head(path, limit).decode("utf-8", "replace")
        except (Gone, Malformed):
            return ""

    def names(self, path: str) -> list[str]:
        try:
            return sorted(self.root.listdir(path, _NAMES_KEPT))
        except (Gone, Malformed):
            return []


def _all_jobs(reader: _Reader, tables: Iterable[str]) -> Iterator[CronJob]:
    single, directory = _SYSTEMS_TABLES
    yield from parse_table(reader.read(single))
    for name in reader.names(directory):
        if not name.startswith(".") and not name.endswith(_LEFT_BEHIND):
            yield from parse_table(reader.read(f"{directory}/{name}"))
    for directory in _USERS_TABLES:
        yield from _users_jobs(reader, directory)
    for table in tables:
        path = posixpath.normpath(table).strip("/")
        if path.startswith(_NO_FILES):
            continue
        of_users = list(_users_jobs(reader, path))
        yield from of_users or parse_table(reader.read(path), user="")


def _users_jobs(reader: _Reader, directory: str) -> Iterator[CronJob]:
    """Read a directory with a table for each user, which has the user's name.

    fcron keeps the text of one with ``.orig`` behind its name, and its own form without.
    """
    for name in reader.names(directory):
        if not name.startswith((".", "tmp.")) and not name.endswith(_LEFT_BEHIND):
            yield from parse_table(
                reader.read(f"{directory}/{name}"), user=name.removesuffix(".orig")
            )


def parse_table(text: str, user: str | None = None) -> Iterator[CronJob]:
    """Parse a table of cron's; without ``user`` each line says as whom its job runs.

    Lines that are no job (settings of the environment, comments, nonsense) are left out.
    """
    if "\0" in text:
        return
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#") or _SETTING.match(line):
            continue
        rest = _after_the_time(line.strip())
        runs_as = user
        if user is None:
            runs_as, _, rest = rest.partition(" ")
        command = rest.strip()
        if command and runs_as is not None:
            yield CronJob(command=command[:_COMMAND_KEPT], user=runs_as[:_NAMES_KEPT])


def _after_the_time(line: str) -> str:
    """Return what follows the time of a job: ``@daily``, ``@every 1h``, or five to seven fields."""
    words = line.split()
    if line.startswith("@"):
        used = 2 if words[0] == "@every" else 1
    else:
        start = 1 if words[0].startswith("&") else 0  # fcron's options
        used = start
        while used < min(len(words), start + _MOST_FIELDS) and _TIME.fullmatch(words[used]):
            used += 1
        if used - start < _FIELDS:
            return ""
    return " ".join(words[used:])


def _with_includes(reader: _Reader, text: str) -> Iterator[str]:
    """Yield the lines of a configuration, with those of the files of directories it includes."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0].lower() == "include" and words[1].endswith("/*.conf"):
            directory = posixpath.join("etc/ssh", words[1].removesuffix("/*.conf")).strip("/")
            for name in reader.names(directory):
                if name.endswith(".conf"):
                    yield from reader.read(f"{directory}/{name}").splitlines()
        else:
            yield line


def parse_sshd_rules(lines: Iterable[str]) -> SshdRules:
    """Parse sshd_config(5): of each keyword the first value holds, in blocks for all users too."""
    found: dict[str, str] = {}
    users: list[str] = []
    for_all = True
    for line in lines:
        keyword, _, value = line.strip().replace("=", " ", 1).partition(" ")
        keyword, value = keyword.lower(), value.strip()
        if keyword == "match":
            for_all = value.lower().split() in (["all"], ["user", "*"])
        elif for_all and keyword == "allowusers":
            users += value.split()
        elif for_all and value:
            found.setdefault(keyword, value)
    forced, keys = found.get("forcecommand", ""), found.get("authorizedkeyscommand", "")
    return SshdRules(
        forced_command="" if forced.lower() == "none" else forced[:_COMMAND_KEPT],
        keys_command="" if keys.lower() == "none" else keys[:_COMMAND_KEPT],
        users=tuple(user[:_NAMES_KEPT] for user in users[:_USERS_KEPT]),
    )
