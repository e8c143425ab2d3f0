"""Drops root and the capabilities, before serve answers its first request.

Root without capabilities still owns root's files and Docker's socket, so serve becomes another user
where it can. Every user may read what it reads (counters of cgroups, net/dev of processes); the two
exceptions are in ``needed``.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
import stat
import threading
from pathlib import PurePath
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError
from collectors.syscalls import (
    forbid_new_privileges,
    keep_capabilities,
    permitted_capabilities,
    set_capabilities,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config import Config
    from collectors.hostfs import HostFS

log = logging.getLogger(__name__)

CAPABILITIES = {  # include/uapi/linux/capability.h
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
}
"""The capabilities that the agent uses, with their numbers."""

USERS = ("tallyman", "nobody")
"""The users that serve becomes if none is configured: the first of them that exists."""

_NOBODY = 65534


def permitted() -> int:
    """Return the permitted capabilities of this thread, a bit each, capget(2); 0 if unknown."""
    try:
        return permitted_capabilities()
    except OSError:
        return 0


def needed(config: Config, host: HostFS) -> Mapping[str, str]:
    """Return the capabilities that serve itself needs, each with the reason."""
    reasons = {}
    if config.enabled("descriptors"):
        reason = "collector.descriptors looks into /proc/<pid>/fd of every process"
        reasons = {"CAP_SYS_PTRACE": reason, "CAP_DAC_READ_SEARCH": reason}
    hidden = hidden_processes(host)
    if hidden is not None and hidden == 0:
        reasons["CAP_SYS_PTRACE"] = (
            "/proc is mounted with hidepid and no gid= that serve could join"
        )
    return reasons


def hidden_processes(host: HostFS) -> int | None:
    """Return the group that sees other users' processes, 0 if none does, None if all users do.

    See hidepid= and gid= in proc(5), of the mount that the processes are read from.
    """
    try:
        mounts = host.proc.read_text("self/mountinfo")
    except HostReadError:
        return None
    for line in reversed(mounts.splitlines()):  # the last mount covers those before it
        before, _, after = line.partition(" - ")
        if before.split(" ")[4:5] == [host.procfs] and after.startswith("proc "):
            options = before.split(" ")[5] + "," + after.rpartition(" ")[2]
            hidden = re.search(r"\bhidepid=(\w+)", options)
            if hidden is None or hidden[1] in ("0", "off"):
                return None
            group = re.search(r"\bgid=(\d+)", options)
            # With hidepid=4 no group sees them.
            return int(group[1]) if group and hidden[1] not in ("4", "ptraceable") else 0
    return None


def readable_by_all(*paths: str) -> bool:
    """Return whether every user can read these files."""
    for path in map(PurePath, paths):
        for entry in (path, *path.parents):
            needed_bit = stat.S_IROTH if entry == path else stat.S_IXOTH
            if not os.stat(entry).st_mode & needed_bit:
                return False
    return True


def drop(config: Config, host: HostFS) -> None:
    """Become another user, if this is root, and drop all capabilities that are not needed.

    Raises RuntimeError if there are other threads, as those would keep theirs. What cannot be
    dropped is logged, and is no reason to stop. No program that is executed later can regain any.
    """
    if threading.active_count() > 1:
        raise RuntimeError("there are threads that would keep their privileges")
    kept = needed(config, host)
    bits = sum(1 << CAPABILITIES[name] for name in kept) & permitted()
    if os.geteuid() == 0:
        _become(config.process.user, hidden_processes(host), keep=bits != 0)
    try:
        forbid_new_privileges()
        set_capabilities(bits)
    except OSError as error:
        log.warning("serve keeps its capabilities: they cannot be dropped (%s)", error.strerror)
        return
    for name, reason in kept.items():
        if bits >> CAPABILITIES[name] & 1:
            log.warning("serve keeps %s: %s", name, reason)


def _become(user: str, group: int | None, *, keep: bool) -> None:
    name, uid, gid = account(user)
    if uid == 0:
        return
    try:
        os.setgroups([group] if group else [])
        os.setresgid(gid, gid, gid)
        if keep:
            keep_capabilities()
        os.setresuid(uid, uid, uid)
    except OSError as error:
        log.warning(
            "serve goes on as root, it cannot become %s (%s): that takes CAP_SETUID and CAP_SETGID",
            name,
            error.strerror,
        )
    else:
        log.info("serve runs as %s", name)


def account(user: str) -> tuple[str, int, int]:
    """Return name, uid and gid of a user, or of the first of ``USERS``; raises KeyError."""
    if user:
        entry = pwd.getpwnam(user)
        return user, entry.pw_uid, entry.pw_gid
    for name in USERS:
        try:
            return account(name)
        except KeyError:
            continue  # in a container there may be no accounts at all
    return "nobody", _NOBODY, _NOBODY
