"""What a program is for, by its name.

A name is the base name of a binary or of an interpreter's script. Names are cheap to forge: this
module only says what a name means, ``identity`` says how far it can be believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from agent.classifier.names import (
    ADMINISTRATION,
    AUXILIARIES,
    ESSENTIAL_DAEMONS,
    MANAGERS,
    OPERATING_SYSTEM,
    PLUMBING,
    REAPERS,
    RUNTIMES,
    SESSIONS,
    SHELLS,
    STANDALONE,
    STORES,
    SUPERVISORS,
    UTILITIES,
    WEB_SERVERS,
    WRAPPERS,
)


class Role(StrEnum):
    """What a program is for, as far as that tells an application from a small server."""

    MANAGER = "service manager"
    SUPERVISOR = "supervisor"
    REAPER = "reaper"
    SHELL = "shell"
    WRAPPER = "wrapper"
    UTILITY = "utility"
    OS = "operating system service"
    PLUMBING = "part of an operating system"
    SESSION = "session"
    APPLICATION = "application"


class Part(StrEnum):
    """Which part of a larger application a program usually is."""

    WEB_SERVER = "web server"  # takes requests: web servers, proxies
    RUNTIME = "runtime"  # runs the application's code: php-fpm, gunicorn, node, an unknown binary
    STORE = "store"  # keeps data for the others: databases, caches, queues
    AUXILIARY = "auxiliary"  # serves the others: exporters, log shippers
    STANDALONE = "standalone"  # an application in itself: mail, name service, file service


SERVERS = frozenset({Part.WEB_SERVER, Part.STORE})
"""Parts that are services by themselves, not helpers of whatever started them."""


@dataclass(frozen=True, slots=True)
class ProgramInfo:
    """What the name of a program means."""

    family: str
    """Programs of one family are one service: postfix's master, qmgr and pickup."""
    role: Role
    part: Part = Part.STANDALONE
    weight: float = 1.0
    """How far it counts as an operating system service: sshd wholly, dbus or ntpd half."""


def _rows(text: str) -> list[tuple[str, list[str]]]:
    """Read lines of ``family: name name …``."""
    rows = []
    for line in text.strip().splitlines():
        family, _, members = line.strip().partition(":")
        rows.append((family.strip(), members.split()))
    return rows


def _table() -> dict[str, ProgramInfo]:
    table: dict[str, ProgramInfo] = {}
    for role, part, weight, text in (
        (Role.MANAGER, Part.STANDALONE, 1.0, MANAGERS),
        (Role.SUPERVISOR, Part.STANDALONE, 1.0, SUPERVISORS),
        (Role.REAPER, Part.STANDALONE, 1.0, REAPERS),
        (Role.SHELL, Part.RUNTIME, 1.0, SHELLS),
        (Role.WRAPPER, Part.RUNTIME, 1.0, WRAPPERS),
        (Role.UTILITY, Part.RUNTIME, 1.0, UTILITIES),
        (Role.OS, Part.STANDALONE, 1.0, OPERATING_SYSTEM),
        (Role.OS, Part.STANDALONE, 0.5, ADMINISTRATION),
        (Role.PLUMBING, Part.STANDALONE, 1.0, ESSENTIAL_DAEMONS),
        (Role.PLUMBING, Part.STANDALONE, 0.5, PLUMBING),
        (Role.SESSION, Part.STANDALONE, 1.0, SESSIONS),
        (Role.APPLICATION, Part.WEB_SERVER, 1.0, WEB_SERVERS),
        (Role.APPLICATION, Part.RUNTIME, 1.0, RUNTIMES),
        (Role.APPLICATION, Part.STORE, 1.0, STORES),
        (Role.APPLICATION, Part.AUXILIARY, 1.0, AUXILIARIES),
        (Role.APPLICATION, Part.STANDALONE, 1.0, STANDALONE),
    ):
        for family, members in _rows(text):
            for name in members:
                table[name] = ProgramInfo(family, role, part, weight)
    return table


_TABLE = _table()

MULTI_CALL = frozenset(
    {"busybox", "toybox", "dropbearmulti", "coreutils", "sbase-box", "ubase-box", "toolbox"}
)
"""One binary that is many programs, identified by argv alone."""

INTERPRETERS = frozenset(
    {
        "python", "pypy", "perl", "ruby", "node", "nodejs", "php", "java", "lua", "luajit",
        "tclsh", "guile", "mono", "dotnet", "deno", "bun", "gawk", "awk", "beam.smp",
    }
)  # fmt: skip
"""Binaries that run a script: which one stands in argv."""

INTERPRETED = frozenset(
    {
        "fail2ban-server", "denyhosts", "unattended-upgrade", "unattended-upgr", "salt-minion",
        "puppet", "chef-client", "cockpit-ws", "miniserv", "miniserv.pl", "networkd-dispatcher",
        "firewalld", "yum-cron", "dnf-automatic", "waagent", "tuned", "munin-node",
    }
)  # fmt: skip
"""Operating system services that are scripts. An sshd never is, whatever its title says."""

_LOADERS = ("ld-linux", "ld-musl", "ld.so", "ld64.so", "qemu-", "rosetta")
_NO_LOADERS = ("qemu-system", "qemu-ga", "qemu-nbd", "qemu-img", "qemu-storage")

WAITING = frozenset({"sleep", "tail", "cat", "pause", "s6-pause", "yes", "true", "wait", "read"})
"""Programs that are often started only to keep a container alive."""

IDLE = ProgramInfo("utility", Role.UTILITY, Part.RUNTIME)
"""Of a process that is called something else, and only waits."""

VAGUE = frozenset(
    {"agent", "app", "daemon", "main", "master", "run", "server", "service", "start", "starter"}
)
"""Names that say little without their package: /usr/lib/postfix/sbin/master."""

_VERSION = re.compile(r"[-_.]?v?\d+(\.\d+)*$")


def families(text: str) -> frozenset[str]:
    """Return the families of a table of names."""
    return frozenset(family for family, _ in _rows(text))


def lookup(name: str) -> ProgramInfo | None:
    """Look up a base name; a version at its end is ignored (``php-fpm8.2``, ``python3.11``)."""
    info = _TABLE.get(name) or _TABLE.get(unversioned(name))
    if info is None and name.startswith("systemd-"):
        return ProgramInfo("systemd", Role.PLUMBING, Part.STANDALONE, 0.5)
    if info is None and name.startswith("s6-"):
        return ProgramInfo("s6", Role.UTILITY, Part.RUNTIME)
    return info


def is_loader(name: str) -> bool:
    """Return whether a binary runs another one: the dynamic loader, or an emulator."""
    return name.startswith(_LOADERS) and not name.startswith(_NO_LOADERS)


def unversioned(name: str) -> str:
    """Return a name without the version that a distribution appended."""
    return _VERSION.sub("", name) or name
