"""What is shown of one container alone: its processes with what each one does, and its mounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.tasks import tasks
from agent.model import Details, ProcessEntry, Task
from agent.scout.secrets import masked
from agent.scout.sockets import program_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agent.classifier.scene import Scene
    from collectors.facts import Mount, Process

PROCESSES_SHOWN = 256
MOUNTS_SHOWN = 128
_PATH_LIMIT = 300

_KERNELS_OWN = frozenset(
    (
        *("proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "debugfs", "tracefs", "bpf"),
        *("securityfs", "pstore", "configfs", "fusectl", "efivarfs", "binfmt_misc", "autofs"),
        *("hugetlbfs", "devtmpfs", "rpc_pipefs", "selinuxfs", "nsfs"),
    )
)
"""Filesystems that hold no files of anybody, filesystems(5)."""


def details_of(scene: Scene, *, show_arguments: bool) -> Details:
    """Return the details of a container whose processes were read."""
    subject = scene.subject
    what = tasks(scene)
    ordered = list(_parents_first(subject.processes))
    shown = ordered[:PROCESSES_SHOWN]
    mounts = [_cut(m) for m in subject.mounts or () if m.fstype not in _KERNELS_OWN]
    return Details(
        processes=tuple(_entry(p, what, show_arguments=show_arguments) for p in shown),
        more_processes=len(ordered) - len(shown),
        mounts=tuple(mounts[:MOUNTS_SHOWN]),
        more_mounts=max(0, len(mounts) - MOUNTS_SHOWN),
    )


def _entry(process: Process, what: Mapping[int, Task], *, show_arguments: bool) -> ProcessEntry:
    return ProcessEntry(
        pid=process.pid,
        parent=process.ppid,
        inner_pid=process.inner_pid,
        start_ticks=process.id.start_ticks,
        program=program_name(process),
        exe=(process.exe or "")[:_PATH_LIMIT],
        task=what.get(process.pid, Task.JOB),
        uid=process.uid,
        arguments=masked(process.argv[1:]) if show_arguments else None,
    )


def _parents_first(processes: Iterable[Process]) -> Iterator[Process]:
    """Return processes level by level, so that whoever is left out has no children that are not."""
    by_pid = {p.pid: p for p in sorted(processes, key=lambda p: p.id)}
    children: dict[int, list[Process]] = {}
    level = []
    for process in by_pid.values():
        if process.ppid in by_pid and process.ppid != process.pid:
            children.setdefault(process.ppid, []).append(process)
        else:
            level.append(process)
    while level:
        yield from level
        level = [child for process in level for child in children.pop(process.pid, ())]


def _cut(mount: Mount) -> Mount:
    """Return a mount with what is shown of it: its options may hold a password."""
    return type(mount)(
        device=mount.device,
        root=mount.root[:_PATH_LIMIT],
        target=mount.target[:_PATH_LIMIT],
        fstype=mount.fstype[:_PATH_LIMIT],
        source=masked((mount.source[:_PATH_LIMIT],))[0],
        options="",
    )
