"""Which process is the init of a container: the one with its envID that is pid 1 inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.openvz.kernel import HOST
from collectors.engines.openvz.units import is_ctid

if TYPE_CHECKING:
    from collectors.facts import Process, ProcessTable


def container_of(process: Process) -> str | None:
    """Return the CTID of the container that a process is in; None for the host's own."""
    envid = process.envid
    return envid if envid is not None and envid != HOST and is_ctid(envid) else None


def find_inits(table: ProcessTable) -> dict[str, Process]:
    """Find the init of each container in which a process runs, by CTID.

    Two kinds of process have a parent outside of their container: init, and what vzctl exec and
    enter have started. A pid 1 whose parent is inside belongs to a container nested in this one.
    Where the inner number is not known, init is the one that was started first.
    """
    entered: dict[str, list[Process]] = {}
    for process in table:
        ctid = container_of(process)
        if ctid is not None:
            parent = table.get(process.ppid)
            if parent is None or parent.envid != process.envid:
                entered.setdefault(ctid, []).append(process)
    return {
        ctid: min(processes, key=lambda p: (p.inner_pid != 1, p.id.start_ticks, p.pid))
        for ctid, processes in entered.items()
    }


def starts_a_system(init: Process) -> bool:
    """Return whether this is the init that vzctl starts: it runs ``init -z``."""
    name = init.argv[0].rpartition("/")[2] if init.argv else ""
    return name == "init" and "-z" in init.argv[1:]
