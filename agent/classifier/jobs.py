"""What cron runs, and what an sshd gives out, by their files, and which files those are.

A container can write its own tables and rules: they are shown, and they may take away certainty,
but they never make a verdict sure.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from typing import TYPE_CHECKING

from agent.classifier.identity import TOLD_OF_TABLES, identify
from agent.classifier.programs import Role, lookup
from collectors.kernel.service_files import SSHD_CONFIG

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from agent.classifier.scene import Scene
    from collectors.facts import Account, CronJob, Process, SshdRules

_MOST_TABLES = 4

PEOPLE = range(1000, 60000)
"""User numbers of people: UID_MIN and UID_MAX in login.defs(5)."""
NO_SHELLS = frozenset(
    {"", "nologin", "false", "sync", "halt", "shutdown", "git-shell", "rssh", "scponly", "rbash"}
)
"""Base names of login shells that give no shell. The field is empty for some system accounts."""
_ORDINARY = re.compile(r"[\w./+@-]+")
_BETWEEN = re.compile(r"[;|&(){}\n]+")
_QUOTED = re.compile(r"""(?<!-c )(?<!-lc )(?:'[^']*'|"[^"]*")""")
"""What stands in quotes is no command, unless a shell is to run it."""
_QUOTES = str.maketrans("", "", "\"'")
_PREAMBLE = frozenset(
    {
        "[",
        "test",
        "cd",
        "command",
        "if",
        "then",
        "elif",
        "else",
        "fi",
        "exec",
        "!",
        "do",
        "umask",
        "export",
    }
)
"""Words at the beginning of a command that are not what it runs."""


def cron_tables(
    processes: Iterable[Process], visitors: Collection[int] = ()
) -> tuple[str, ...] | None:
    """Return the tables that the cron of a container was told of; None where no cron runs."""
    crons = [p for p in processes if p.pid not in visitors and _family(p) == "cron"]
    if not crons:
        return None
    told = (table for process in crons for table in _told(process))
    return tuple(itertools.islice(dict.fromkeys(told), _MOST_TABLES))


def sshd_configuration(processes: Iterable[Process], visitors: Collection[int] = ()) -> str:
    """Return the configuration file of the sshd of a container; empty where none runs."""
    for process in processes:
        if process.pid not in visitors and identify(process).name in ("sshd", "sshd.pam"):
            return configuration(process.argv) or SSHD_CONFIG
    return ""


def configuration(argv: tuple[str, ...]) -> str:
    """Return the file that an sshd was given with -f, also where it wrote a title over it."""
    words = " ".join(argv).split()
    return next((after for word, after in itertools.pairwise(words) if word == "-f"), "")


def gives_no_shell(rules: SshdRules | None, accounts: Iterable[Account]) -> bool:
    """Return whether an sshd gives everybody files or a product, and nobody a shell.

    It forces a command that is no shell, or only accounts may log in whose shells are none, or a
    program says whose key is whose for the few accounts of a product, as a forge's does.
    """
    if rules is None:
        return False
    if rules.forced_command:
        words = rules.forced_command.split()
        info = lookup(words[0].rpartition("/")[2])
        return info is None or info.role is not Role.SHELL
    if not rules.users or "root" in rules.users:
        return False
    if rules.keys_command:
        return True
    shells = {account.name: account.shell.rpartition("/")[2] for account in accounts}
    return all(shells.get(user, "-") in NO_SHELLS for user in rules.users)


def people_with_jobs(scene: Scene) -> list[str]:
    """Return the names of people whose jobs cron runs: accounts with a shell to log in with.

    One such account may be the product's; a second one is somebody else's.
    """
    jobs, root = scene.subject.files.jobs, scene.subject.root
    if not jobs or root is None:
        return []
    people = {
        account.name
        for account in root.accounts
        if account.uid in PEOPLE and account.shell.rpartition("/")[2] not in NO_SHELLS
    }
    names = sorted({job.user for job in jobs} & people)
    return names if len(names) > 1 else []


def programs_of(jobs: Iterable[CronJob], accounts: Iterable[Account] = ()) -> list[str]:
    """Return the names of the programs that jobs run: ``run-parts``, ``logrotate``, ``php``."""
    users = frozenset(account.name for account in accounts)
    return sorted({name for job in jobs for name in _programs(job.command, users)})


def _programs(command: str, users: Collection[str]) -> Iterator[str]:
    """Find the programs of a command of a shell, without what only wraps them (``su www-data``)."""
    for part in _BETWEEN.split(_QUOTED.sub(" ", command).translate(_QUOTES)):
        for word in part.split():
            name = word.rpartition("/")[2]
            info = lookup(name)
            if word in _PREAMBLE:
                if word in ("[", "test", "cd", "umask", "export"):
                    break
                continue
            if word.startswith("-") or word.isdigit() or word in users or "=" in word:
                continue
            if name == "logger" or not _ORDINARY.fullmatch(word):
                break
            if info is not None and info.role in (Role.WRAPPER, Role.SHELL):
                continue
            yield name
            break


def _told(process: Process) -> Iterator[str]:
    """Return the tables that a cron's arguments name."""
    name = identify(process).name
    words = [word for word in process.argv[1:] if word]
    if name in TOLD_OF_TABLES:
        yield from (word for word in words if posixpath.isabs(word))
    else:
        # busybox' and dcron's crond: the directory of the tables. Of the others -c is none.
        pairs = itertools.pairwise(words)
        yield from (after for word, after in pairs if word == "-c" and posixpath.isabs(after))


def _family(process: Process) -> str:
    info = identify(process).info
    return info.family if info is not None else ""
