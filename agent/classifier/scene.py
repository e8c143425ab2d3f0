"""What runs in a container, seen as a person sees a process tree: init, programs, people.

Many processes are few programs. Whatever starts and holds others (a service manager, a supervisor,
a reaper, a shell that waits, su) is peeled off from the top of the tree; below it each subtree is
one program, whatever it forks; programs of one family are one service. Children of a login service
are people, children of cron are jobs, and what an engine's exec put in is nobody's service.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.classifier.identity import Identity, identify, package_place
from agent.classifier.known import Part, Role
from agent.classifier.relate import applications

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.model import Subject
    from collectors.facts import Process


class InitKind(StrEnum):
    """What the first process of a container is, by what it is and does."""

    MANAGER = "a service manager"
    SUPERVISOR = "a supervisor"
    REAPER = "a reaper"
    SHELL = "a shell"
    DUMMY = "a process that only waits"
    PROGRAM = "the program itself"
    RUNTIME = "the runtime's own init, not yet the container's"
    NONE = "not seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Processes that are one service: a master with its workers, the daemons of one package."""

    family: str
    lead: Process
    identity: Identity
    processes: tuple[Process, ...]

    @property
    def role(self) -> Role:
        """What it is for."""
        return self.identity.role

    @property
    def part(self) -> Part:
        """Which part of a larger application it may be; what nobody knows runs its own code."""
        return self.identity.known.part if self.identity.known else Part.RUNTIME

    @property
    def os_weight(self) -> float:
        """How far it counts as a service of an operating system: 0 to 1."""
        known = self.identity.known
        if known is None or known.role not in (Role.OS, Role.PLUMBING):
            return 0.0
        return known.weight * self.identity.trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The reading of a container's process tree."""

    subject: Subject
    seen: bool
    """Processes of its own were seen."""
    init: Process | None
    init_kind: InitKind
    init_identity: Identity | None
    supervised: str
    """The name of the supervisor that holds the services, wherever it stands; else empty."""
    programs: tuple[Program, ...]
    applications: tuple[tuple[Program, ...], ...]
    """Programs that are no operating system's, those that are parts of one thing together."""
    os_services: tuple[Program, ...]
    """An operating system's own services that people know by name: sshd, cron, syslog, getty."""
    plumbing: tuple[Program, ...]
    """What comes with a service manager: journald, dbus, networkd."""
    units: frozenset[str]
    """Units of an inner service manager that have processes in a cgroup of their own."""
    people: Mapping[int, tuple[Process, ...]]
    """Login sessions by the pid that heads them."""
    residents: tuple[Process, ...]
    """What people left running: tmux, screen."""
    guests: tuple[Process, ...]
    """Processes that came in from outside and hold a terminal: an engine's exec."""

    @property
    def os_weight(self) -> float:
        """How much of an operating system's own services runs."""
        return sum(program.os_weight for program in self.os_services)

    @property
    def services(self) -> int:
        """Unrelated services that run."""
        return len(self.applications) + len(self.os_services)

    @property
    def users(self) -> frozenset[int]:
        """Distinct users that run programs or are logged in, in the host's numbering."""
        own = {p.lead.uid for p in self.programs}
        own |= {p.uid for session in self.people.values() for p in session[-1:]}
        return frozenset(uid for uid in own if uid is not None)


def look(subject: Subject) -> Scene:
    """Read the process tree of a container. Total: whatever is there, it gives a scene."""
    return _Look(subject).scene()


_TRANSPARENT = frozenset({Role.MANAGER, Role.SUPERVISOR, Role.REAPER, Role.WRAPPER, Role.SHELL})
_LOGIN_FAMILIES = frozenset({"sshd", "telnetd", "rlogin", "getty"})
_RUNTIME_INITS = frozenset({"runc", "crun", "youki", "kata-agent", "runsc"})


class _Look:
    """One pass over the processes of one subject."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.own = {
            p.pid: p
            for p in sorted(subject.processes, key=lambda p: p.id)
            if p.pid not in subject.visitors and p.state not in ("Z", "X")
        }
        self.identities = {pid: identify(p) for pid, p in self.own.items()}
        self.children: dict[int, list[Process]] = {}
        for p in self.own.values():
            self.children.setdefault(p.ppid, []).append(p)
        self.init = self._init()
        self.by_deed = self._by_deed()
        self.supervised = ""
        self.people: dict[int, tuple[Process, ...]] = {}
        self.residents: list[Process] = []
        self.roots: list[Process] = []
        self.idle: list[Process] = []
        """Shells and utilities that stand alone: what there is where there is no program."""

    def scene(self) -> Scene:
        """Give the reading."""
        tops = [p for p in self.own.values() if p.ppid not in self.own or p.ppid == p.pid]
        if self.init is not None:
            tops = [self.init, *(p for p in tops if p is not self.init)]
        for top in tops:
            self._descend(top, set())
        units = self._units()
        programs = self._programs(self.roots)
        if not programs and self.init is not None and self._kind() is not InitKind.MANAGER:
            programs = self._programs((self.idle or [self.init])[:1])
        kind = self._kind()
        os_services = tuple(p for p in programs if p.role is Role.OS)
        plumbing = tuple(p for p in programs if p.role is Role.PLUMBING)
        if kind is not InitKind.MANAGER:
            # Without a service manager nobody starts these by himself: they count as services.
            os_services, plumbing = (*os_services, *plumbing), ()
        rest = tuple(p for p in programs if p.role not in (Role.OS, Role.PLUMBING, Role.SESSION))
        return Scene(
            subject=self.subject,
            seen=bool(self.own),
            init=self.init,
            init_kind=kind,
            init_identity=self.identities[self.init.pid] if self.init else None,
            supervised=self.supervised,
            programs=programs,
            applications=applications(rest),
            os_services=os_services,
            plumbing=plumbing,
            units=units,
            people=self.people,
            residents=tuple(self.residents),
            guests=tuple(
                p
                for p in sorted(self.subject.processes, key=lambda p: p.id)
                if p.pid in self.subject.visitors and p.tty and identify(p).role is Role.SHELL
            ),
        )

    def _init(self) -> Process | None:
        known = self.subject.container.init
        if known is not None and known.pid in self.own:
            return self.own[known.pid]
        for p in self.own.values():
            if p.inner_pid == 1:
                return p
        tops = [p for p in self.own.values() if p.ppid not in self.own]
        return min(tops, key=lambda p: p.id.start_ticks) if tops else None

    def _kind(self) -> InitKind:
        if self.init is None:
            return InitKind.NONE
        identity = self.identities[self.init.pid]
        if identity.name in _RUNTIME_INITS and "init" in self.init.argv[1:2]:
            return InitKind.RUNTIME
        if self.init.pid in self.by_deed:
            return InitKind.SUPERVISOR
        match identity.role:
            case Role.MANAGER:
                return InitKind.MANAGER
            case Role.SUPERVISOR:
                return InitKind.SUPERVISOR
            case Role.REAPER | Role.WRAPPER:
                return InitKind.REAPER
            case Role.SHELL:
                return InitKind.SHELL
            case Role.UTILITY:
                return InitKind.DUMMY
            case _:
                return InitKind.PROGRAM

    def _by_deed(self) -> frozenset[int]:
        """Give the processes that are a supervisor by what they do, whatever they are called.

        A program that nobody knows, or a script, that holds at least two services of different
        families.
        """
        found = set()
        for pid, children in self.children.items():
            identity = self.identities.get(pid)
            if identity is None or identity.role is not Role.APPLICATION:
                continue
            if identity.known is not None and identity.known.part is not Part.RUNTIME:
                continue
            families = {
                known.family
                for child in children
                if (known := self.identities[child.pid].known) is not None
                and (
                    known.role is Role.OS
                    or (known.role is Role.APPLICATION and known.part in (Part.FRONT, Part.STORE))
                )
            }
            if len(families) >= 2:
                found.add(pid)
        return frozenset(found)

    def _descend(self, process: Process, above: set[int]) -> None:  # noqa: C901
        """Peel what only holds others; collect the programs below it."""
        if process.pid in above:
            return
        above = above | {process.pid}
        identity = self.identities[process.pid]
        children = [c for c in self.children.get(process.pid, ()) if c.pid != process.pid]
        if identity.role is Role.MANAGER and process is not self.init:
            if "--user" in process.argv:
                self.people[process.pid] = self._subtree(process)
                return
            self.roots.append(process)
            return
        if identity.role is Role.SESSION:
            self.residents.append(process)
            return
        by_deed = process.pid in self.by_deed
        if identity.role is Role.SUPERVISOR or by_deed:
            self.supervised = self.supervised or identity.name
        dummy = identity.role is Role.UTILITY and process is self.init
        if identity.role in _TRANSPARENT or dummy or by_deed:
            if identity.role is Role.SHELL and _interactive(process):
                self.idle.append(process)
                children = [c for c in children if c.tty != process.tty or c.session == c.pid]
            elif identity.role in (Role.SHELL, Role.WRAPPER) or dummy:
                self.idle.append(process)
            for child in children:
                self._descend(child, above)
            return
        if identity.role is Role.UTILITY:
            self.idle.append(process)
            return
        self.roots.append(process)
        self._within(process, identity, children, above)

    def _within(
        self, process: Process, identity: Identity, children: list[Process], above: set[int]
    ) -> None:
        """Look for what stands below a program and is not it: people, and adopted daemons."""
        family = identity.known.family if identity.known else ""
        if family in _LOGIN_FAMILIES:
            for child in children or [process]:
                session = self._subtree(child)
                if any(self.identities[p.pid].role is not Role.OS for p in session):
                    self.people[child.pid] = session
            return
        if family == "cron":
            return
        for child in children:
            other = self.identities[child.pid]
            if other.known is None or other.known.family == family:
                continue
            adopted = process is self.init and child.session == child.pid
            if other.role in (Role.OS, Role.SESSION) or (
                adopted and other.role is Role.APPLICATION
            ):
                self._descend(child, above)

    def _subtree(self, process: Process) -> tuple[Process, ...]:
        found = {process.pid: process}
        queue = [process]
        while queue:
            for child in self.children.get(queue.pop().pid, ()):
                if child.pid not in found:
                    found[child.pid] = child
                    queue.append(child)
        return tuple(found.values())

    def _programs(self, roots: list[Process]) -> tuple[Program, ...]:
        grouped: dict[str, list[Process]] = {}
        for root in roots:
            grouped.setdefault(self._family(root), []).append(root)
        return tuple(
            Program(
                family=family,
                lead=min(members, key=lambda p: (-self.identities[p.pid].trust, p.id)),
                identity=max(
                    (self.identities[p.pid] for p in members), key=lambda i: (i.trust, i.name)
                ),
                processes=tuple(dict.fromkeys(p for m in members for p in self._subtree(m))),
            )
            for family, members in sorted(grouped.items())
        )

    def _family(self, process: Process) -> str:
        identity = self.identities[process.pid]
        if identity.known is not None and identity.known.part is not Part.RUNTIME:
            return identity.known.family
        return package_place(identity.place) or identity.name

    def _units(self) -> frozenset[str]:
        """Find the units of an inner service manager: cgroups below the one its init sits in."""
        if self.init is None:
            return frozenset()
        found: set[str] = set()
        for key in ("", "name=systemd"):
            path = self.init.cgroups.get(key, "")
            if not path.endswith("/init.scope"):
                continue
            base = path.removesuffix("init.scope")
            for p in self.own.values():
                inner = p.cgroups.get(key, "")
                if inner.startswith(base):
                    found.update(_unit_names(inner.removeprefix(base)))
        return frozenset(found - {"init.scope"})


def _unit_names(path: str) -> Iterator[str]:
    for part in path.split("/"):
        if part.endswith((".service", ".scope")):
            yield part
            return


def _interactive(process: Process) -> bool:
    """Say whether a shell reads from a terminal: it has one, and no script and no -c."""
    return bool(process.tty) and all(
        word.startswith("-") and "c" not in word for word in process.argv[1:]
    )
