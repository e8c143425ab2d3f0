"""What runs in a container: a summary of its process tree as init, programs and users."""

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
"""How many programs of one service its name lists."""


class InitKind(StrEnum):
    """What the first process of a container is, by its binary and its behaviour."""

    MANAGER = "a service manager"
    SUPERVISOR = "a supervisor"
    REAPER = "a process that only starts and reaps its children"
    SHELL = "a shell"
    WAITING = "a process that only waits"
    PROGRAM = "a program"
    BARE = "an init that has started nothing"
    RUNTIME = "the runtime's own init, not yet the container's"
    NONE = "not seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One service: a master process with its workers, or the daemons of one package."""

    family: str
    identity: Identity
    lead: Process
    """The process that ``identity`` belongs to."""
    processes: tuple[Process, ...]
    names: tuple[str, ...] = ()
    """The titles of all programs that run as this service: postfix, dovecot."""
    not_listening: bool = False
    """It does nothing without a socket, and nothing listens in its network: it counts half."""

    @property
    def name(self) -> str:
        """Its common name; of several programs that are one service, all names."""
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
        """Why it counts less than its name suggests; empty where nothing speaks against it."""
        if self.not_listening:
            return "though nothing listens"
        return f"by {self.identity.basis}" if self.identity.trust < 1 else ""

    @property
    def part(self) -> Part:
        """The part of a larger application that it may be; unknown programs run its code."""
        return self.identity.info.part if self.identity.info else Part.RUNTIME

    @property
    def os_weight(self) -> float:
        """How far it counts as an operating system service, 0 to 1."""
        info = self.identity.info
        if info is None or info.role not in (Role.OS, Role.PLUMBING):
            return 0.0
        return info.weight * self.identity.trust * (0.5 if self.not_listening else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What was read from a container's process tree."""

    subject: Subject
    seen: bool
    """Processes of its own were seen."""
    init: Process | None
    init_kind: InitKind
    init_identity: Identity | None
    supervisor: str
    """The name of what supervises the services, wherever it is in the tree; else empty."""
    programs: tuple[Program, ...]
    """All programs but those that only hold others."""
    applications: tuple[tuple[Program, ...], ...]
    """Programs that are not of an operating system, grouped into unrelated applications."""
    os_services: tuple[Program, ...]
    """Operating system services: sshd, cron, syslog, getty."""
    plumbing: tuple[Program, ...]
    """Services that come with a service manager: journald, dbus."""
    units: frozenset[str]
    """Units of an inner service manager that have processes in a cgroup of their own."""
    sessions: Mapping[int, tuple[Process, ...]]
    """The processes of each login through a login service, by the pid that heads them."""
    left_running: tuple[Process, ...]
    """What users left running when they logged out: tmux, screen, a program in the background."""
    exec_shells: tuple[Process, ...]
    """Shells that entered from outside, by an engine's exec, and wait for what a person types."""

    @property
    def managed(self) -> bool:
        """Whether its first process is a service manager."""
        return self.init_kind is InitKind.MANAGER

    @property
    def supervised(self) -> bool:
        """Whether something restarts its services when they exit."""
        return self.managed or bool(self.supervisor)

    @property
    def os_weight(self) -> float:
        """How many operating system services run, each by how far it counts as one."""
        return sum(program.os_weight for program in self.os_services)

    @property
    def services(self) -> int:
        """How many unrelated services run."""
        return len(self.applications) + len(self.os_services)

    @property
    def login_users(self) -> frozenset[int]:
        """Users who are logged in or left something running, in the host's numbering."""
        logged_in = {_user(session) for session in self.sessions.values()}
        return frozenset(
            uid for uid in (*logged_in, *(p.uid for p in self.left_running)) if uid is not None
        )

    @property
    def users(self) -> frozenset[int]:
        """All users that run programs or have logged in, in the host's numbering."""
        own = {program.lead.uid for program in self.programs}
        if not self.programs and self.init is not None:
            own.add(self.init.uid)
        return frozenset(uid for uid in own if uid is not None) | self.login_users


def _user(session: tuple[Process, ...]) -> int | None:
    """Return who is logged in: the user of the last process; the first ones are the login's."""
    return session[-1].uid
