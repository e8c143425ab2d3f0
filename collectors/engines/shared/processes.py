"""The processes of container engines: which they are, what they see, whose processes are whose."""

from __future__ import annotations

import os
import posixpath
from contextlib import contextmanager
from typing import TYPE_CHECKING

from collectors.facts import State
from collectors.formats.documents import clean_text
from collectors.hostfs import HostReadError
from collectors.kernel.cgroups import SYSTEMD, UNIFIED, contains, is_frozen
from collectors.kernel.processes import read_mounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.contract import Context
    from collectors.facts import Process
    from collectors.hostfs import Dir

_CLOCK_SLACK = 2.0
"""Seconds by which a process may seem younger than the file that names it, as clocks are set."""

_HIERARCHIES = (SYSTEMD, UNIFIED, "memory", "pids", "cpu")
"""Where a container's cgroup is looked for, first systemd's hierarchy as the identity wants it."""


def exe_name(process: Process) -> str:
    """Return the name of the binary that runs, which the process cannot choose freely.

    Where exe may not be read it is the comm, which it can, but then it is another user's process
    and nothing of it can be opened either.
    """
    if process.exe is None:
        return process.comm
    return posixpath.basename(process.exe.removesuffix(" (deleted)"))


def options(argv: tuple[str, ...], *names: str) -> list[str]:
    """Return all values of an option: ``-H x``, ``-H=x``, ``--host x``, ``--host=x``."""
    found = []
    for index, word in enumerate(argv[1:], 1):
        name, equals, value = word.partition("=")
        if name not in names:
            continue
        if equals:
            found.append(clean_text(value))
        elif index + 1 < len(argv):
            found.append(clean_text(argv[index + 1]))
    return found


def option(argv: tuple[str, ...], *names: str) -> str:
    """Return the first value of an option; empty where it is not given."""
    return next(iter(options(argv, *names)), "")


def shortest(path: str) -> str:
    """Return the one name of a path that has two: /var/run is a link to /run."""
    path = posixpath.normpath(path)
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def in_host_mounts(ctx: Context, process: Process) -> bool:
    """Return whether a process sees the very mounts of the host, so that all paths mean the same.

    An agent without privileges cannot read the namespaces of root's daemons: those it sees are
    taken to be the host's, as nothing inside a container could be opened anyway.
    """
    mine, theirs = ctx.facts.namespaces.mnt, process.namespaces.mnt
    return mine == theirs or mine is None or theirs is None


def on_host(ctx: Context, process: Process) -> bool:
    """Return whether an engine runs on the host itself and not in a container.

    Rootless engines have mounts of their own above the host's root, which makes no container.
    """
    return in_host_mounts(ctx, process) or process.root in (None, ctx.facts.root)


def place_of(ctx: Context, process: Process) -> str:
    """Name where an engine runs that is not on the host itself: ``<its cgroup>:``, else "".

    The cgroup stays the same when the container around it is restarted; where it has none of its
    own, the mount namespace has to do.
    """
    if on_host(ctx, process):
        return ""
    ordered = (process.cgroups.get(hierarchy, "/") for hierarchy in _HIERARCHIES)
    cgroup = next((path for path in ordered if path != "/"), "")
    return f"{cgroup}:" if cgroup else f"mnt {process.namespaces.mnt}:"


@contextmanager
def root_of(ctx: Context, process: Process | None) -> Iterator[Dir]:
    """Open the root directory as a process sees it; the host's own for None.

    What is not the host's view is confined: somebody else has written what is in it.
    """
    if process is None or in_host_mounts(ctx, process):
        yield ctx.host.root
        return
    with ctx.host.container_root(process.pid) as root:
        yield root


def alive(ctx: Context, pid: int | None) -> Process | None:
    """Return the running process of a number in the host's numbering; zombies do not run."""
    process = ctx.processes.get(pid) if pid is not None else None
    return process if process is not None and process.state not in ("Z", "X") else None


def running_state(ctx: Context, process: Process) -> State:
    """Return the state of a container that has a first process: the kernel knows of a pause."""
    return State.PAUSED if is_frozen(ctx.host, ctx.facts.cgroups, process) else State.RUNNING


def started_at(ctx: Context, process: Process) -> float:
    """Return when a process started, in seconds since the epoch."""
    return ctx.facts.boot_time + process.id.start_ticks / os.sysconf("SC_CLK_TCK")


def is_first_of(
    ctx: Context, process: Process, engine_id: str, recorded: float | None = None
) -> bool:
    """Return whether a process is the first one of a container, as a file claims.

    A number from a file may be somebody else's by now. It is right when the container's id stands
    in the process's cgroup or in the command line of its parent (shim or conmon), or when the
    process is older than ``recorded``, the time at which the file was written.
    """
    parts = (part for path in process.cgroups.values() for part in path.split("/"))
    if any(is_named_after(part, engine_id) for part in parts):
        return True
    parent = ctx.processes.get(process.ppid)
    if parent is not None and engine_id in parent.argv:
        return True
    return recorded is not None and started_at(ctx, process) <= recorded + _CLOCK_SLACK


def may_own(ctx: Context, uid: int | None, process: Process) -> bool:
    """Return whether an engine of a user can have started a process, whatever its files claim.

    Root's can have started any; a user's only his own, and those in a user namespace.
    """
    if uid in (0, None) or process.uid == uid:
        return True
    return process.namespaces.user not in (None, ctx.facts.namespaces.user)


def is_named_after(part: str, engine_id: str) -> bool:
    """Return whether a cgroup is named after a container: its id, or ``<engine>-<id>.scope``."""
    stem = part.removesuffix(".scope")
    return stem == engine_id or stem.endswith("-" + engine_id)


def host_numbers(ctx: Context, observer: Process) -> Mapping[int, Process]:
    """Map process numbers as an engine sees them to the processes they mean.

    An engine inside a container counts in its own pid namespace. A process of another container
    can have the same number there, so only descendants of that namespace's processes are taken,
    which is also all that such an engine can have started: it cannot name anybody else's.
    """
    if observer.namespaces.pid == ctx.facts.namespaces.pid or len(observer.ns_pids) < 2:
        return ctx.processes.by_pid
    level = len(observer.ns_pids) - 1
    inside: dict[int, bool] = {}
    found = {}
    for process in ctx.processes:
        if len(process.ns_pids) > level and _within(ctx, process, observer, inside):
            found[process.ns_pids[level]] = process
    return found


def _within(ctx: Context, process: Process, observer: Process, known: dict[int, bool]) -> bool:
    """Return whether a process or one of its ancestors is in the observer's pid namespace."""
    chain = []
    current: Process | None = process
    answer = False
    while current is not None and current.pid not in chain:
        if current.pid in known:
            answer = known[current.pid]
            break
        chain.append(current.pid)
        if current.namespaces.pid == observer.namespaces.pid:
            answer = True
            break
        current = ctx.processes.get(current.ppid)
    known.update(dict.fromkeys(chain, answer))
    return answer


def cgroup_of(process: Process, wanted: str | None, engine_id: str) -> str | None:
    """Return a running container's cgroup in the host's view; None where it has none of its own.

    ``wanted`` is the path that its engine asked for, which for an engine inside a container lies
    below that one's own. Without it the shallowest directory that is named after the id counts.
    """
    ordered = [process.cgroups[h] for h in _HIERARCHIES if h in process.cgroups]
    for path in (*ordered, *process.cgroups.values()):
        if wanted is not None:
            start = path.find(wanted)
            cut = path[: start + len(wanted)]
            if start >= 0 and contains(cut, path):
                return cut
        parts = path.split("/")
        for index, part in enumerate(parts):
            if is_named_after(part, engine_id):
                return "/".join(parts[: index + 1])
    return None


def cgroup_prefix(ctx: Context, engine: Process) -> str:
    """Return the host's path of what an engine sees as the top of the cgroup tree; "" for the top.

    An engine inside a container has that one's cgroup mounted as the whole, or it is in a cgroup
    namespace of its own: mountinfo shows which, as the reader sees it.
    """
    if on_host(ctx, engine):
        return ""
    try:
        mounts = read_mounts(ctx.host, engine.pid)
    except HostReadError:
        return ""
    tops = [m for m in mounts if m.fstype in ("cgroup", "cgroup2")]
    tops.sort(key=lambda m: (SYSTEMD not in m.options.split(","), m.fstype != "cgroup2"))
    top = tops[0].root if tops else "/"
    return "" if top == "/" or "/.." in top else top


def user_manager(uid: int) -> str:
    """Return the cgroup below which a user's own systemd puts what his engines start."""
    return f"/user.slice/user-{uid}.slice/user@{uid}.service"
