"""Processes of the host, as engines' collectors need them: program, age, state, numbering."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from collectors.facts import CgroupMode, State
from collectors.kernel.cgroups import is_frozen
from collectors.kernel.processes import read_newborn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.facts import Process


def binary_name(process: Process) -> str:
    """Return the name of the binary that a process runs, also after its file was replaced.

    It is the kernel's answer, and "" where exe may not be read. The comm is no substitute: any
    process can call itself anything.
    """
    return posixpath.basename((process.exe or "").removesuffix(" (deleted)"))


def claimed_name(process: Process) -> str:
    """Return the name of the binary, or the comm where exe may not be read.

    Only for finding daemons that an agent without privileges can still ask or read: one in the
    group docker sees root's dockerd by its comm alone. The agent of root reads every exe, so there
    no process is taken at its word.
    """
    return process.comm if process.exe is None else binary_name(process)


def alive(ctx: Context, pid: int | None) -> Process | None:
    """Return the running process of a number in the host's numbering; zombies do not run.

    One that has started since the processes were read is read now: its engine knows it already.
    """
    if pid is None or pid <= 0:
        return None
    process = ctx.processes.get(pid)
    if process is None:
        only_unified = ctx.facts.cgroups.mode is CgroupMode.V2
        process = read_newborn(ctx.host, pid, only_unified=only_unified)
    return process if process is not None and process.state not in ("Z", "X") else None


def started_at(ctx: Context, process: Process) -> float | None:
    """Return when a process started, in seconds since the epoch; None without the boot time."""
    if not ctx.facts.boot_time:
        return None
    return ctx.facts.boot_time + process.id.start_ticks / os.sysconf("SC_CLK_TCK")


def running_state(ctx: Context, process: Process) -> State:
    """Return the state of a container that has a first process: the kernel knows of a pause."""
    return State.PAUSED if is_frozen(ctx.host, ctx.facts.cgroups, process) else State.RUNNING


def host_numbers(ctx: Context, observer: Process | None) -> Mapping[int, Process]:
    """Map process numbers as an engine sees them to the processes they mean; None is the host.

    An engine inside a container counts in its own pid namespace. A process of another container
    can have the same number there, so only descendants of that namespace's processes are taken,
    which is also all that such an engine can have started: it cannot name any other. Without
    NSpid, before Linux 4.1, its numbers mean nothing here.
    """
    if (
        observer is None
        or observer.namespaces.pid in (None, ctx.facts.namespaces.pid)
        or len(observer.ns_pids) == 1
    ):
        return ctx.processes.by_pid
    if not observer.ns_pids:
        return {}
    level = len(observer.ns_pids) - 1
    inside: dict[int, bool] = {}
    numbers = {}
    for process in ctx.processes:
        if len(process.ns_pids) > level and _within(ctx, process, observer, inside):
            numbers[process.ns_pids[level]] = process
    return numbers


def _within(ctx: Context, process: Process, observer: Process, answers: dict[int, bool]) -> bool:
    """Return whether a process or one of its ancestors is in the observer's pid namespace."""
    chain = []
    current: Process | None = process
    answer = False
    while current is not None and current.pid not in chain:
        if current.pid in answers:
            answer = answers[current.pid]
            break
        chain.append(current.pid)
        if current.namespaces.pid == observer.namespaces.pid:
            answer = True
            break
        current = ctx.processes.get(current.ppid)
    answers.update(dict.fromkeys(chain, answer))
    return answer
