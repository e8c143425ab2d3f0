"""The first process of a container: as an engine's file names it, or below its monitor.

LXC, systemd-nspawn and libvirt keep one process outside for each container; the first process
inside is the one with namespaces that its parent is not in. Engines of the OCI family
write the first process's number to a file, which may be old or forged.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from collectors.engines.shared.cgroup_paths import is_named_after
from collectors.engines.shared.processes import alive, binary_name, started_at
from collectors.formats.command_line import boots_system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.contract import Context
    from collectors.facts import Process

_CLOCK_SLACK = 2.0
"""Seconds by which a process may seem younger than the file that names it, as clocks are set."""

_DEEPEST = 3
"""Generations below the engine's process in which the first one inside is looked for."""


def recorded_process(
    ctx: Context,
    numbers: Mapping[int, Process],
    pid: int | None,
    engine_id: str,
    *,
    recorded: float | None = None,
    start_ticks: int | None = None,
    owner: int | None = None,
) -> Process | None:
    """Return the first process of a container, as its engine's files name it, while it runs.

    ``pid`` is a number in the engine's own view, which ``numbers`` translates. ``recorded`` is when
    it was written, ``start_ticks`` the start time that some engines write beside it, ``owner`` the
    user whose engine it is.
    """
    if numbers is not ctx.processes.by_pid:
        process = numbers.get(pid) if pid is not None else None
        pid = process.pid if process is not None else None
    process = alive(ctx, pid)
    if process is None:
        return None
    if start_ticks is not None:
        if process.id.start_ticks != start_ticks:
            return None
    elif not is_first_of(ctx, process, engine_id, recorded):
        return None
    return process if may_own(ctx, owner, process) else None


def is_first_of(
    ctx: Context, process: Process, engine_id: str, recorded: float | None = None
) -> bool:
    """Return whether a process is the first one of a container, as a file claims.

    A number from a file may belong to another process by now. It is right when the container's id
    stands in the process's cgroup or in the command line of its parent (shim or conmon), or when
    the process is older than ``recorded``, the time at which the file was written. Without the
    boot time a process has no age, and that proof fails.
    """
    parts = (part for path in process.cgroups.values() for part in path.split("/"))
    if any(is_named_after(part, engine_id) for part in parts):
        return True
    parent = ctx.processes.get(process.ppid)
    if parent is not None and engine_id in parent.argv:
        return True
    started = started_at(ctx, process)
    if recorded is None or started is None:
        return False
    return started <= recorded + _CLOCK_SLACK


def may_own(ctx: Context, uid: int | None, process: Process) -> bool:
    """Return whether an engine of a user can have started a process, whatever its files claim.

    Root's can have started any; a user's only his own, and those in a user namespace.
    """
    if uid in (0, None) or process.uid == uid:
        return True
    return process.namespaces.user not in (None, ctx.facts.namespaces.user)


def boots(command: Sequence[str], first: Process | None) -> bool | None:
    """Return whether a system is booted, by the command and by what its process has become.

    A script may prepare something and end in ``exec /sbin/init``: NixOS's containers start so, and
    nobody tells their engine to boot. ``/init`` may be anything until it runs: s6-overlay's is
    no service manager, NixOS's becomes systemd. Where nothing runs, None is "not known".
    """
    told = boots_system(command)
    if told or first is None or first.exe is None:
        return told
    become = (first.exe.removesuffix(" (deleted)"), *first.argv[1:])
    is_applet = binary_name(first) == "busybox"
    if is_applet and first.argv and posixpath.basename(first.argv[0]) != "busybox":
        become = ("busybox", posixpath.basename(first.argv[0]))
    return bool(boots_system(become))


def is_inside(process: Process, outside: Process) -> bool:
    """Return whether a process has a mount or pid namespace that ``outside`` is not in."""
    mine, theirs = process.namespaces.mnt, outside.namespaces.mnt
    if mine is not None and theirs is not None:
        return mine != theirs
    # Without permission: /proc/<pid>/status is open to all, and NSpid grows by one a namespace.
    return has_own_pids(process, outside)


def has_own_pids(process: Process, outside: Process) -> bool:
    """Return whether a process below ``outside`` is in another pid namespace than that."""
    mine, theirs = process.namespaces.pid, outside.namespaces.pid
    if mine is not None and theirs is not None:
        return mine != theirs
    return len(process.ns_pids) > len(outside.ns_pids)


def first_inside(
    outside: Process,
    ctx: Context,
    children: Mapping[int, Sequence[int]],
    *,
    own_pids: bool = False,
) -> Process | None:
    """Find the first process of the container that ``outside`` keeps; None while there is none.

    With ``own_pids`` it must have a pid namespace of its own: what the engine forks while it sets
    the container up may have the mount namespace only.
    """
    generation = [outside.pid]
    for _ in range(_DEEPEST):
        below = [
            process
            for pid in generation
            for child in children.get(pid, ())
            if (process := ctx.processes.get(child)) is not None and process.state not in "ZX"
        ]
        inside = [
            p for p in below if is_inside(p, outside) and (not own_pids or has_own_pids(p, outside))
        ]
        if inside:
            return min(
                inside,
                key=lambda p: (not has_own_pids(p, outside), p.inner_pid != 1, p.id.start_ticks),
            )
        generation = [p.pid for p in below]
    return None
