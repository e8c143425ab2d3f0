"""Descends a process tree: peels off what only holds others, and collects what remains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.classifier.init_kind import manages
from agent.classifier.process_tree import same_binary
from agent.classifier.programs import SERVERS, Role
from agent.classifier.scene import InitKind
from agent.classifier.shells import is_interactive

if TYPE_CHECKING:
    from agent.classifier.identity import Identity
    from agent.classifier.process_tree import ProcessTree
    from collectors.facts import Process

_HOLDERS = frozenset(
    {Role.MANAGER, Role.SUPERVISOR, Role.REAPER, Role.WRAPPER, Role.SHELL, Role.SESSION}
)
_DAEMONS = range(1, 1000)
"""User numbers of a system's accounts: SYS_UID_MIN and SYS_UID_MAX in login.defs(5)."""
_LOGIN = frozenset({"sshd", "telnetd", "rlogin", "getty"})
"""Families whose children are the sessions of users."""


@dataclass(slots=True, kw_only=True)
class Descent:
    """What was collected on the way down."""

    supervisor: str = ""
    """The name of the first supervisor that was met."""
    roots: list[Process] = field(default_factory=list)
    """The topmost process of each program."""
    sessions: dict[int, tuple[Process, ...]] = field(default_factory=dict)
    """The processes of each login, by the pid that heads them."""
    left_running: list[Process] = field(default_factory=list)
    """What users left running when they logged out."""
    visited: set[int] = field(default_factory=set)


def descend(tree: ProcessTree, kind: InitKind) -> Descent:
    """Go through the whole tree, from the first process down, then from whatever else is on top."""
    walker = _Walker(tree, kind)
    tops = [p for p in tree.own.values() if p.ppid not in tree.own or p.ppid == p.pid]
    for top in (*([tree.init] if tree.init else []), *tops):
        walker.descend(top)
    return walker.descent


class _Walker:
    def __init__(self, tree: ProcessTree, kind: InitKind) -> None:
        self.tree = tree
        self.kind = kind
        self.has_login = _has_login(tree)
        self.descent = Descent()

    def descend(self, process: Process) -> None:
        """Peel off what only holds others; collect the programs below it."""
        if process.pid in self.descent.visited:
            return
        self.descent.visited.add(process.pid)
        identity = self.tree.identity[process.pid]
        if process is not self.tree.init and self._is_of_a_user(process, identity):
            return
        by_behaviour = process.pid in self.tree.supervisors
        if identity.role is Role.MANAGER and not manages(self.tree, process):
            if self.kind is not InitKind.BARE and not self._is_fork_of_init(process):
                self.descent.roots.append(process)  # a manager in name only
        elif identity.role in _HOLDERS or by_behaviour or process.pid in self.tree.wrappers:
            if identity.role in (Role.SUPERVISOR, Role.MANAGER) or by_behaviour:
                self.descent.supervisor = self.descent.supervisor or identity.name
            self._into(process)
        elif identity.role is Role.UTILITY:
            # A tail beside the services is not a service, nor is a job that runs wget.
            self._into(process)
            if process is self.tree.init and self.kind is InitKind.PROGRAM:
                self.descent.roots.append(process)
        else:
            self.descent.roots.append(process)
            self._below_program(process)

    def _is_of_a_user(self, process: Process, identity: Identity) -> bool:
        """Return whether a process belongs to a user and to no service; then it is collected."""
        if identity.role is Role.MANAGER and "--user" in process.argv:
            self.descent.sessions[process.pid] = self.tree.subtree(process)
        elif identity.role is Role.SESSION and self.has_login:
            self.descent.left_running.append(process)
        else:
            return False
        return True

    def _is_fork_of_init(self, process: Process) -> bool:
        """Return whether it is about to exec another program, as busybox's askfirst does."""
        init = self.tree.init
        return (
            init is not None
            and process.ppid == init.pid
            and self.kind is InitKind.MANAGER
            and same_binary(process, init)
        )

    def _into(self, holder: Process) -> None:
        """Descend into what a process holds."""
        children = self.tree.children_of(holder)
        is_shell = self.tree.identity[holder.pid].role is Role.SHELL
        if is_shell and holder.tty and is_interactive(holder):
            # What runs on the shell's own terminal is a job of its user, not a service.
            children = [c for c in children if c.tty != holder.tty or c.session == c.pid]
            if holder is not self.tree.init and self.kind is InitKind.MANAGER:
                # A service manager's shell at a console is its getty (busybox's askfirst).
                self.descent.sessions.setdefault(holder.pid, self.tree.subtree(holder))
        for child in children:
            self.descend(child)

    def _below_program(self, program: Process) -> None:
        """Find what runs below a program and is not part of it: logins and adopted daemons."""
        info = self.tree.identity[program.pid].info
        family = info.family if info else ""
        if family in _LOGIN:
            self._logins(program)
        elif family != "cron" or program is self.tree.init:
            for child in self.tree.children_of(program):
                if self._is_separate(child, program, family):
                    self.descend(child)

    def _is_separate(self, child: Process, program: Process, family: str) -> bool:
        """Return whether a program's child is a service of its own and not part of the program.

        Services of an operating system are. Others are separate only below the first process, which
        adopts what was started before it: servers, and what has made itself a daemon.
        """
        info = self.tree.identity[child.pid].info
        daemon = child.session == child.pid
        if info is None:
            if program is not self.tree.init or same_binary(child, program):
                return False
            # An inetd, say, starts no such program: a script did before. A cron has jobs.
            serves = self.tree.identity[program.pid].role is Role.OS and family != "cron"
            return daemon or serves
        if info.family == family:
            return False
        if info.role is Role.OS:
            return True
        if program is not self.tree.init:
            return False
        if info.role is Role.APPLICATION and info.part in SERVERS:
            return True
        held = (Role.APPLICATION, Role.SUPERVISOR, Role.MANAGER, Role.SESSION)
        return daemon and info.role in held

    def _logins(self, service: Process) -> None:
        """Sort the children of a login service: logins, and what it adopted as first process."""
        for child in self.tree.children_of(service):
            session = self.tree.subtree(child)
            if self.tree.family(child) in _LOGIN:
                if any(self.tree.identity[p.pid].role is not Role.OS for p in session):
                    self.descent.sessions[child.pid] = session
            elif service is not self.tree.init:
                self.descent.sessions[child.pid] = session
            elif self._is_of_an_ended_login(child, service):
                self.descent.visited.add(child.pid)
                self.descent.left_running.append(child)
            else:
                self.descend(child)

    def _is_of_an_ended_login(self, child: Process, service: Process) -> bool:
        """Return whether it belongs to the session of a login that has ended.

        So does a daemon that has forked twice (fail2ban); what serves the system is no user's, nor
        what runs as an account that is a daemon's.
        """
        start = (
            service.uid or 0
        )  # of a user namespace, as an sshd that is the first process is root
        if self.tree.identity[child.pid].role is Role.OS or (child.uid or 0) - start in _DAEMONS:
            return False
        return child.session not in (child.pid, service.session)


def _has_login(tree: ProcessTree) -> bool:
    """Return whether a login service runs outside any terminal multiplexer.

    An sshd started inside tmux cannot be how the owner of that tmux logged in.
    """
    within = {
        below.pid
        for pid, identity in tree.identity.items()
        if identity.role is Role.SESSION
        for below in tree.subtree(tree.own[pid])
    }
    return any(
        i.role is Role.OS and i.info is not None and i.info.family in _LOGIN
        for pid, i in tree.identity.items()
        if pid not in within
    )
