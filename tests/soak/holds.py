"""What an agent holds of the machine: descriptors, threads, memory."""

from __future__ import annotations

from contextlib import suppress

import psutil


def holds(pid: int) -> dict[str, int]:
    """Return what serve, its launcher and the scout hold together."""
    sums = {"descriptors": 0, "threads": 0, "megabytes": 0}
    size = 0
    agent = psutil.Process(pid)
    for process in (agent, *agent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            sums["descriptors"] += process.num_fds()
            sums["threads"] += process.num_threads()
            # Its own: of shared pages it has more when another program that has them ends.
            size += process.memory_full_info().uss
    return {**sums, "megabytes": size >> 20}
