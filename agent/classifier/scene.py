"""What runs in a container, as a person would sum up its process tree: init, programs, people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.classifier.programs import Part, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.classifier.identity import Identity
    from agent.model import Subject
    from collectors.facts import Process


_NAMED = 4
"""Programs of one service that are called by name."""


class InitKind(StrEnum):
    """What the first process of a container is, by what it is and does."""

    MANAGER = "a service manager"
    SUPERVISOR = "a supervisor"
    REAPER = "a process that only looks after its children"
    SHELL = "a shell"
    WAITING = "a process that only waits"
    PROGRAM = "a program"
    BARE = "an init that has started nothing"
    RUNTIME = "the runtime's own init, not yet the container's"
    NONE = "not seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Processes that are one service: a master with its workers, the daemons of one package."""

    family: str
    identity: Identity
    lead: Process
    """The process that the identity is of."""
    processes: tuple[Process, ...]
    names: tuple[str, ...] = ()
    """What runs as this service, each once, where that is more than the lead: postfix, dovecot."""
    not_listening: bool = False
    """It should listen, and nothing listens in its network: it counts half of what it says."""

    @property
    def name(self) -> str:
        """The name that people know it by; of several programs that are one service, all."""
        if len(self.names) < 2:
            return self.identity.title
        more = len(self.names) - _NAMED
        return "+".join((*self.names[:_NAMED], *([f"{more} more"] if more > 0 else ())))

    @property
    def role(self) -> Role:
        """What it is for."""
        return self.identity.role

    @property
    def doubt(self) -> str:
        """Why it counts less than its name says; empty where nothing speaks against it."""
        if self.not_listening:
            return "though nothing listens"
        return f"by {self.identity.basis}" if self.identity.trust < 1 else ""

    @property
    def part(self) -> Part:
        """Which part of a larger application it may be; what nobody knows runs its own code."""
        return self.identity.info.part if self.identity.info else Part.RUNTIME

    @property
    def os_weight(self) -> float:
        """How far it counts as a service of an operating system: 0 to 1."""
        info = self.identity.info
        if info is None or info.role not in (Role.OS, Role.PLUMBING):
            return 0.0
        return info.weight * self.identity.trust * (0.5 if self.not_listening else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The reading of a container's process tree."""

    subject: Subject
    seen: bool
    """Processes of its own were seen."""
    init: Process | None
    init_kind: InitKind
    init_identity: Identity | None
    supervisor: str
    """The name of what supervises the services, wherever it stands; else empty."""
    programs: tuple[Program, ...]
    """All programs but those that only hold others."""
    applications: tuple[tuple[Program, ...], ...]
    """Programs that are no operating system's, those that are parts of one thing together."""
    os_services: tuple[Program, ...]
    """An operating system's own services: sshd, cron, syslog, getty."""
    plumbing: tuple[Program, ...]
    """What comes with a service manager and is started by nobody else: journald, dbus."""
    units: frozenset[str]
    """Units of an inner service manager that have processes in a cgroup of their own."""
    sessions: Mapping[int, tuple[Process, ...]]
    """Logins through a service of its own, by the pid that heads each."""
    left_running: tuple[Process, ...]
    """What people left running when they went: tmux, screen, a program in the background."""
    exec_shells: tuple[Process, ...]
    """Shells at a terminal that came in from outside: an engine's exec."""

    @property
    def managed(self) -> bool:
        """A service manager is its first process."""
        return self.init_kind is InitKind.MANAGER

    @property
    def supervised(self) -> bool:
        """Something starts its services again when they end."""
        return self.managed or bool(self.supervisor)

    @property
    def os_weight(self) -> float:
        """How much of an operating system's own services runs."""
        return sum(program.os_weight for program in self.os_services)

    @property
    def services(self) -> int:
        """Unrelated services that run."""
        return len(self.applications) + len(self.os_services)

    @property
    def login_users(self) -> frozenset[int]:
        """Users that are logged in or left something running, in the host's numbering."""
        logged_in = {_user(session) for session in self.sessions.values()}
        return frozenset(
            uid for uid in (*logged_in, *(p.uid for p in self.left_running)) if uid is not None
        )

    @property
    def users(self) -> frozenset[int]:
        """Distinct users that run programs or are logged in, in the host's numbering."""
        own = {program.lead.uid for program in self.programs}
        if not self.programs and self.init is not None:
            own.add(self.init.uid)
        return frozenset(uid for uid in own if uid is not None) | self.login_users


def _user(session: tuple[Process, ...]) -> int | None:
    """Return who is logged in: the user of what runs deepest; above it stands the login service."""
    return session[-1].uid
