"""The process tree of one container: its own processes, their children, and what each one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.classifier.claims import credited, examined
from agent.classifier.engine_inits import as_engines_own
from agent.classifier.identity import identify, package_directory
from agent.classifier.programs import SERVERS, Part, Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from agent.classifier.identity import Identity
    from agent.model import Subject
    from collectors.facts import FileId, Process, ProcessId


_STARTING = 3.0
"""Seconds after the start of a container in which its services may have nothing open yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTree:
    """A container's own processes, by pid: no zombies, and none that entered from outside."""

    own: Mapping[int, Process]
    identity: Mapping[int, Identity]
    children: Mapping[int, Sequence[Process]]
    """By the pid of the parent; processes without children are left out."""
    init: Process | None
    """The first process."""
    units: frozenset[str]
    """Units of the first process, if it is a systemd: cgroups beside its own ``init.scope``."""
    supervisors: frozenset[int]
    """Pids of the supervisors by behaviour, whatever they are called."""
    wrappers: frozenset[int]
    """Pids of unknown programs that only hold the one program that they were told to run."""

    def children_of(self, process: Process) -> Sequence[Process]:
        """Return the children of a process."""
        return self.children.get(process.pid, ())

    def subtree(self, process: Process, without: Collection[int] = ()) -> tuple[Process, ...]:
        """Return a process and its descendants, breadth first; ``without`` cuts branches off."""
        members = {process.pid: process}
        queue = [process]
        for parent in queue:
            for child in self.children_of(parent):
                if child.pid not in members and child.pid not in without:
                    members[child.pid] = child
                    queue.append(child)
        return tuple(members.values())

    def family(self, process: Process) -> str:
        """Return the family of a process: processes of one family are one service."""
        identity = self.identity[process.pid]
        if identity.info is not None and identity.info.part is not Part.RUNTIME:
            return identity.info.family
        return package_directory(identity.directory) or identity.name


def read_tree(subject: Subject) -> ProcessTree:
    """Return the process tree of a container."""
    own = {
        p.pid: p
        for p in sorted(subject.processes, key=lambda p: p.id)
        if p.pid not in subject.entered_from_outside and p.state not in ("Z", "X")
    }
    # What has only just started has not yet opened what it will need.
    opened = {} if _has_just_started(subject) else subject.descriptors
    children = _children(own.values())
    looked_at = {pid: examined(p, identify(p), opened.get(pid)) for pid, p in own.items()}
    identity = _doubt_namesakes(
        own,
        {
            pid: credited(own[pid], i, ((c, looked_at[c.pid]) for c in children.get(pid, ())))
            for pid, i in looked_at.items()
        },
    )
    init = _first_process(own, subject.container.init)
    if init is not None:
        engine = subject.container.engine
        identity[init.pid] = as_engines_own(init, identity[init.pid], engine)
    return ProcessTree(
        own=own,
        identity=identity,
        children=children,
        init=init,
        units=frozenset(_units(own.values(), init)),
        supervisors=frozenset(_supervisors_by_behaviour(init, children, identity)),
        wrappers=frozenset(_wrappers_by_behaviour(own, children, identity)),
    )


def _has_just_started(subject: Subject) -> bool:
    started = subject.container.started
    return started is not None and 0 <= subject.now - started < _STARTING


def same_binary(one: Process, other: Process) -> bool:
    """Return whether two processes run the same binary, as far as it can be read."""
    return (one.exe, one.exe_id) == (other.exe, other.exe_id)


def _children(processes: Iterable[Process]) -> dict[int, list[Process]]:
    children: dict[int, list[Process]] = {}
    for process in processes:
        if process.ppid != process.pid:
            children.setdefault(process.ppid, []).append(process)
    return children


def _first_process(own: Mapping[int, Process], reported: ProcessId | None) -> Process | None:
    """Return the first process: the reported one, else what is pid 1 inside, else the oldest."""
    if reported is not None and reported.pid in own:
        return own[reported.pid]
    firsts = [p for p in own.values() if p.inner_pid == 1]
    tops = firsts or [p for p in own.values() if p.ppid not in own]
    return min(tops, key=lambda p: (p.id.start_ticks, p.pid), default=None)


def _units(processes: Iterable[Process], init: Process | None) -> Iterator[str]:
    """Find the units of an inner systemd: cgroups beside the ``init.scope`` that it sits in."""
    if init is None:
        return
    for hierarchy in ("", "name=systemd"):
        path = init.cgroups.get(hierarchy, "")
        if not path.endswith("/init.scope"):
            continue
        base = path.removesuffix("init.scope")
        for process in processes:
            inner = process.cgroups.get(hierarchy, "")
            if inner.startswith(base) and inner != path:
                parts = inner.removeprefix(base).split("/")
                yield from [q for q in parts if q.endswith((".service", ".scope"))][:1]


def _supervisors_by_behaviour(
    init: Process | None,
    children: Mapping[int, Sequence[Process]],
    identity: Mapping[int, Identity],
) -> Iterator[int]:
    """Find supervisors by what they do.

    They are unknown programs, or run code of one's own, and their children are services of at
    least two families. Shells do not count: they start programs and do not look after them. Nor do
    daemons below the first process: it may be an application that has adopted them, as its script
    started them before.
    """
    for pid, below in children.items():
        started = [c for c in below if init is None or pid != init.pid or c.session != c.pid]
        parent = identity.get(pid)
        if parent is None or parent.role is not Role.APPLICATION:
            continue
        if parent.info is not None and parent.info.part is not Part.RUNTIME:
            continue
        families = {
            info.family
            for child in started
            if (info := identity[child.pid].info) is not None
            and (info.role is Role.OS or info.part in SERVERS)
        }
        if len(families) >= 2:
            yield pid


def _wrappers_by_behaviour(
    own: Mapping[int, Process],
    children: Mapping[int, Sequence[Process]],
    identity: Mapping[int, Identity],
) -> Iterator[int]:
    """Find wrappers by what they do.

    They are unknown programs, or run code of one's own; their only child is a service, and their
    arguments name it (``keep --user x /usr/sbin/sshd -D``).
    """
    for pid, started in children.items():
        parent = identity.get(pid)
        if parent is None or len(started) != 1 or parent.role is not Role.APPLICATION:
            continue
        if parent.info is not None and parent.info.part is not Part.RUNTIME:
            continue
        child = identity[started[0].pid]
        if child.info is None or child.info.part is Part.RUNTIME:
            continue
        if any(word.rpartition("/")[2] == child.name for word in own[pid].argv[1:]):
            yield pid


def _doubt_namesakes(
    own: Mapping[int, Process], identity: Mapping[int, Identity]
) -> dict[int, Identity]:
    """Halve the trust in a binary that runs under the names of several programs.

    It is a busybox with hard links, say, or a sleep that was linked to /usr/sbin/sshd.
    """
    families: dict[FileId, set[str]] = {}
    for pid, process in own.items():
        if process.exe_id is not None:
            info = identity[pid].info
            families.setdefault(process.exe_id, set()).add(
                info.family if info else identity[pid].name
            )

    def is_doubtful(pid: int) -> bool:
        exe_id = own[pid].exe_id
        return (
            exe_id is not None
            and len(families[exe_id]) > 1
            and identity[pid].believed_by_half
            and not identity[pid].by_argv
        )

    return {
        pid: one.doubted("the name of a binary that has many") if is_doubtful(pid) else one
        for pid, one in identity.items()
    }
