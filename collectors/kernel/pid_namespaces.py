"""Which process is the first of its pid namespace, where the kernel does not write NSpid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import Process


def first_processes(table: Mapping[int, Process]) -> dict[int, Process]:
    """Return by pid those whose numbers are not known but must end in 1, with these numbers.

    NSpid of proc_pid_status(5) came with Linux 4.1. The first process of a pid namespace is made
    from outside, and before all others there: those that enter it later, by setns(2), are younger.
    """
    firsts: dict[int, Process] = {}
    for process in table.values():
        namespace = process.namespaces.pid
        if process.ns_pids or namespace is None:
            continue
        parent = table.get(process.ppid)
        if parent is not None and parent.namespaces.pid == namespace:
            continue
        first = firsts.setdefault(namespace, process)
        if (process.id.start_ticks, process.pid) < (first.id.start_ticks, first.pid):
            firsts[namespace] = process
    return {p.pid: replace(p, ns_pids=(1,) if p.pid == 1 else (p.pid, 1)) for p in firsts.values()}
