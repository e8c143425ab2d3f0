"""Made-up hosts for tests of what is pure: processes in a few words, without /proc."""

from __future__ import annotations

import dataclasses
from typing import Any

from collectors.facts import (
    CgroupLayout,
    CgroupMode,
    FileId,
    HostFacts,
    Mount,
    Namespaces,
    Process,
    ProcessId,
    ProcessTable,
    Sighting,
)

HOST_NS = {"cgroup": 1, "ipc": 2, "mnt": 3, "net": 4, "pid": 5, "time": 6, "user": 7, "uts": 8}
HOST_ROOT = FileId(1, 2)
HOST = HostFacts(
    nodename="host",
    boot_time=1_000_000.0,
    cgroups=CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"}),
    namespaces=Namespaces(**HOST_NS),
    root=HOST_ROOT,
)


def process(
    pid: int,
    ppid: int = 1,
    *,
    ns: dict[str, int] | None = None,
    root: int | None = None,
    cgroup: str = "/",
    **more: Any,
) -> Process:
    """A process of the host, but for the namespaces, the root and the cgroup that are given."""
    inside = bool(ns and "pid" in ns)
    values: dict[str, Any] = {
        "id": ProcessId(pid, 100 + pid),
        "ppid": ppid,
        "exe": "/usr/bin/program",
        "argv": ("program",),
        "exe_id": FileId(1 if root is None else 50 + root, pid),
        "session": pid,
        "ns_pids": (pid, 1) if inside else (pid,),
        "namespaces": Namespaces(**{**HOST_NS, **(ns or {})}),
        "root": HOST_ROOT if root is None else FileId(50 + root, 2),
        "cgroups": {"": cgroup},
        "uid": 0,
    }
    return Process(**{**values, **more})


def inner(outer: Process, pid: int, ppid: int | None = None, **more: Any) -> Process:
    """Another process of the container that ``outer`` is the init of."""
    values: dict[str, Any] = {
        "id": ProcessId(pid, 100 + pid),
        "ppid": outer.pid if ppid is None else ppid,
        "ns_pids": (pid, pid) if len(outer.ns_pids) > 1 else (pid,),
        "session": pid,
    }
    return dataclasses.replace(outer, **{**values, **more})


def table(*processes: Process) -> ProcessTable:
    """A process table with a service manager of the host as pid 1."""
    manager = process(1, 0, exe="/usr/lib/systemd/systemd", cgroup="/init.scope")
    return ProcessTable(by_pid={p.pid: p for p in (manager, *processes)})


def own_root(_pid: int) -> tuple[Mount, ...]:
    """The mounts of a container on a filesystem of its own."""
    return (mount("/", 60, "/", "overlay"),)


def mount(target: str, device: int, root: str, fstype: str = "ext4", options: str = "rw") -> Mount:
    """A mount in a few words."""
    return Mount(
        device=FileId(device, 0),
        root=root,
        target=target,
        fstype=fstype,
        source="none",
        options=options,
    )


def sighting(init: Process | None = None, **more: Any) -> Sighting:
    """What a docker collector would say."""
    values: dict[str, Any] = {
        "collector": "docker",
        "engine": "docker",
        "engine_id": "a" * 64,
        "name": "web",
        "init": init.id if init else None,
        "state": "running",
    }
    return Sighting(**{**values, **more})
