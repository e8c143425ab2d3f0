"""Reads a process tree: what holds others is peeled off, what remains is grouped into programs.

Whatever starts and holds others (a service manager, a supervisor, a reaper, a shell that waits,
su) is peeled off from the top of the tree; below it each subtree is one program, whatever it
forks; programs of one family are one service. Children of a login service are people, children of
cron are jobs, and what came in from outside is nobody's service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.identity import identify, package_directory
from agent.classifier.programs import WAITING, Part, Role
from agent.classifier.relate import applications
from agent.classifier.scene import InitKind, Program, Scene

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agent.classifier.identity import Identity
    from agent.model import Subject
    from collectors.facts import FileId, Process

_HOLDERS = frozenset(
    {Role.MANAGER, Role.SUPERVISOR, Role.REAPER, Role.WRAPPER, Role.SHELL, Role.SESSION}
)
_LOGIN = frozenset({"sshd", "telnetd", "rlogin", "getty"})
"""Families whose children are people."""
_LISTENING = frozenset({"sshd", "telnetd", "rlogin", "inetd"})
"""Families that are nothing without a TCP socket to listen on."""
_RUNTIMES = frozenset({"runc", "crun", "youki", "kata-agent", "runsc"})
_SERVERS = frozenset({Part.WEB_SERVER, Part.STORE})


def read_scene(subject: Subject) -> Scene:
    """Read the process tree of a container. Total: whatever is there, it gives a scene."""
    return _Look(subject).scene()


class _Look:
    """One reading of one subject."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        everyone = sorted(subject.processes, key=lambda p: p.id)
        self.own = {
            p.pid: p
            for p in everyone
            if p.pid not in subject.entered_from_outside and p.state not in ("Z", "X")
        }
        self.entered = [p for p in everyone if p.pid in subject.entered_from_outside]
        self.identity = _doubt_namesakes(self.own, {p.pid: identify(p) for p in self.own.values()})
        self.children: dict[int, list[Process]] = {}
        for p in self.own.values():
            if p.ppid != p.pid:
                self.children.setdefault(p.ppid, []).append(p)
        self.init = self._init()
        self.units = frozenset(self._units())
        self.holds_services = self._holders_by_deed()
        self.has_login = self._has_login()
        self.kind = self._kind()
        self.supervisor = ""
        self.roots: list[Process] = []
        self.sessions: dict[int, tuple[Process, ...]] = {}
        self.left_running: list[Process] = []
        self.visited: set[int] = set()

    def scene(self) -> Scene:
        """Return the reading."""
        tops = [p for p in self.own.values() if p.ppid not in self.own or p.ppid == p.pid]
        for top in (*([self.init] if self.init else []), *tops):
            self._descend(top)
        programs = self._programs()
        system = tuple(p for p in programs if p.role in (Role.OS, Role.PLUMBING))
        # Without a service manager nobody starts a dbus by the way: it counts as a service.
        plumbing = tuple(
            p for p in system if p.role is Role.PLUMBING and self.kind is InitKind.MANAGER
        )
        return Scene(
            subject=self.subject,
            seen=bool(self.own),
            init=self.init,
            init_kind=self.kind,
            init_identity=self.identity[self.init.pid] if self.init else None,
            supervisor=self.supervisor,
            programs=programs,
            applications=applications(p for p in programs if p not in system),
            os_services=tuple(p for p in system if p not in plumbing),
            plumbing=plumbing,
            units=self.units,
            sessions=self.sessions,
            left_running=tuple(self.left_running),
            exec_shells=tuple(p for p in self.entered if p.tty and identify(p).role is Role.SHELL),
        )

    def _has_login(self) -> bool:
        """Return whether a login service runs outside any terminal multiplexer.

        An sshd started inside tmux cannot be how the owner of that tmux logged in.
        """
        within = {
            below.pid
            for pid, identity in self.identity.items()
            if identity.role is Role.SESSION
            for below in self._subtree(self.own[pid])
        }
        return any(
            i.role is Role.OS and i.info is not None and i.info.family in _LOGIN
            for pid, i in self.identity.items()
            if pid not in within
        )

    def _init(self) -> Process | None:
        reported = self.subject.container.init
        if reported is not None and reported.pid in self.own:
            return self.own[reported.pid]
        firsts = [p for p in self.own.values() if p.inner_pid == 1]
        tops = firsts or [p for p in self.own.values() if p.ppid not in self.own]
        return min(tops, key=lambda p: (p.id.start_ticks, p.pid), default=None)

    def _kind(self) -> InitKind:
        if self.init is None:
            return InitKind.NONE
        identity = self.identity[self.init.pid]
        if identity.name in _RUNTIMES and "init" in self.init.argv[1:2]:
            return InitKind.RUNTIME
        if self.init.pid in self.holds_services:
            return InitKind.SUPERVISOR
        match identity.role:
            case Role.MANAGER:
                if self._manages(self.init):
                    return InitKind.MANAGER
                return InitKind.BARE if self._is_bare(self.init, identity) else InitKind.PROGRAM
            case Role.SUPERVISOR:
                return InitKind.SUPERVISOR
            case Role.REAPER | Role.WRAPPER:
                return InitKind.REAPER
            case Role.SHELL:
                return InitKind.SHELL
            case Role.UTILITY if identity.name in WAITING:
                return InitKind.WAITING
            case _:
                return InitKind.PROGRAM

    def _manages(self, process: Process) -> bool:
        """Return whether an init is one by what it does, not by its name alone.

        It keeps units in cgroups of their own, or it has started other programs than itself, also
        through what it forked for that (systemd's generators).
        """
        if process is self.init and self.units:
            return True
        own = self.identity[process.pid]
        for started in self._subtree(process)[1:]:
            if None not in (started.exe, process.exe) and not _same_binary(started, process):
                return True
            # One binary for both (busybox), or none to be read: then their names tell.
            if own.by_argv and self.identity[started.pid].name != own.name:
                return True
        return False

    def _is_bare(self, init: Process, identity: Identity) -> bool:
        """Return whether an init, and what it has forked of itself, is all there is.

        It is only being booted, it hangs, or something else took init's name and nothing shows it:
        neither an application nor a system can be told from that. What serves the network shows it.
        """
        alone = all(_same_binary(p, init) for p in self.own.values())
        return alone and not identity.by_argv and identity.trust == 1 and not self._is_heard()

    def _is_heard(self) -> bool:
        """Return whether anything listens on TCP in its network, where that is its own."""
        network = self.subject.network
        if network is None or self.subject.container.network != "own":
            return False
        return any(listener.protocol.startswith("tcp") for listener in network.listeners)

    def _is_fork_of_init(self, process: Process) -> bool:
        """Return whether it is about to exec another program, as busybox's askfirst does."""
        return (
            self.init is not None
            and process.ppid == self.init.pid
            and self.kind is InitKind.MANAGER
            and _same_binary(process, self.init)
        )

    def _holders_by_deed(self) -> frozenset[int]:
        """Find supervisors by what they do, whatever they are called.

        Programs that nobody knows, or that run somebody's code, and that hold services of at
        least two families. Shells are none: they start things and forget them.
        """
        found = set()
        for pid, children in self.children.items():
            holder = self.identity.get(pid)
            if holder is None or holder.role is not Role.APPLICATION:
                continue
            if holder.info is not None and holder.info.part is not Part.RUNTIME:
                continue
            families = {
                info.family
                for child in children
                if (info := self.identity[child.pid].info) is not None
                and (info.role is Role.OS or info.part in _SERVERS)
            }
            if len(families) >= 2:
                found.add(pid)
        return frozenset(found)

    def _descend(self, process: Process) -> None:
        """Peel what only holds others; collect the programs below it."""
        if process.pid in self.visited:
            return
        self.visited.add(process.pid)
        identity = self.identity[process.pid]
        if process is not self.init and self._is_somebodys(process, identity):
            return
        by_deed = process.pid in self.holds_services
        if identity.role is Role.MANAGER and not self._manages(process):
            if self.kind is not InitKind.BARE and not self._is_fork_of_init(process):
                self.roots.append(process)  # one in name alone
        elif identity.role in _HOLDERS or by_deed:
            if identity.role in (Role.SUPERVISOR, Role.MANAGER) or by_deed:
                self.supervisor = self.supervisor or identity.name
            self._held(process)
        elif identity.role is Role.UTILITY:
            # A tail beside the services is none, and a job of wget is nobody's service.
            self._held(process)
            if process is self.init and self.kind is InitKind.PROGRAM:
                self.roots.append(process)
        else:
            self.roots.append(process)
            self._within(process)

    def _is_somebodys(self, process: Process, identity: Identity) -> bool:
        """Put what belongs to people and to no service with them."""
        if identity.role is Role.MANAGER and "--user" in process.argv:
            self.sessions[process.pid] = self._subtree(process)
        elif identity.role is Role.SESSION and self.has_login:
            self.left_running.append(process)
        else:
            return False
        return True

    def _held(self, process: Process) -> None:
        """Go on with what a process holds."""
        children = self.children.get(process.pid, [])
        if self.identity[process.pid].role is Role.SHELL and _interactive(process):
            # What has the shell's own terminal is somebody's job there, not a service.
            children = [c for c in children if c.tty != process.tty or c.session == c.pid]
            if process is not self.init and self.kind is InitKind.MANAGER:
                # A service manager's shell at a console is its getty (busybox's askfirst).
                self.sessions.setdefault(process.pid, self._subtree(process))
        for child in children:
            self._descend(child)

    def _within(self, process: Process) -> None:
        """Look for what stands below a program and is not it: people, and adopted daemons."""
        info = self.identity[process.pid].info
        family = info.family if info else ""
        if family in _LOGIN:
            self._logins(process)
        elif family != "cron" or process is self.init:
            for child in self.children.get(process.pid, ()):
                if self._is_foreign(child, process, family):
                    self._descend(child)

    def _is_foreign(self, child: Process, process: Process, family: str) -> bool:
        """Return whether a program's child is a service of its own, and not the program's.

        An operating system's is. Others are where the program is the first process, and got what
        was started before it: servers, and what has made itself a daemon.
        """
        info = self.identity[child.pid].info
        daemon = child.session == child.pid
        if info is None:
            return process is self.init and daemon and not _same_binary(child, process)
        if info.family == family:
            return False
        if info.role is Role.OS:
            return True
        if process is not self.init:
            return False
        if info.role is Role.APPLICATION and info.part in _SERVERS:
            return True
        return daemon and info.role in (Role.APPLICATION, Role.SUPERVISOR, Role.MANAGER)

    def _logins(self, process: Process) -> None:
        """Tell the children of a login service: logins, and what it adopted as first process."""
        for child in self.children.get(process.pid, ()):
            session = self._subtree(child)
            if self._family(child) in _LOGIN:
                if any(self.identity[p.pid].role is not Role.OS for p in session):
                    self.sessions[child.pid] = session
            elif process is not self.init:
                self.sessions[child.pid] = session
            elif child.session not in (child.pid, process.session):
                # Its session is that of a login which has ended.
                self.visited.add(child.pid)
                self.left_running.append(child)
            else:
                self._descend(child)

    def _programs(self) -> tuple[Program, ...]:
        grouped: dict[str, list[Process]] = {}
        for root in self.roots:
            grouped.setdefault(self._family(root), []).append(root)
        others = {*self.visited, *self.sessions}
        programs = []
        for family, members in sorted(grouped.items()):
            lead = min(members, key=lambda p: (-self.identity[p.pid].trust, p.id))
            identity = self.identity[lead.pid]
            processes = {q.pid: q for p in members for q in self._subtree(p, others - {p.pid})}
            programs.append(
                Program(
                    family=family,
                    identity=identity,
                    lead=lead,
                    processes=tuple(processes.values()),
                    names=tuple(sorted({self.identity[p.pid].title for p in members})),
                    not_listening=self._is_not_listening(family),
                )
            )
        return tuple(programs)

    def _is_not_listening(self, family: str) -> bool:
        """Return whether a login service listens to nobody; a service manager may listen for it."""
        network = self.subject.network
        if family not in _LISTENING or network is None or self.kind is InitKind.MANAGER:
            return False
        return not any(listener.protocol.startswith("tcp") for listener in network.listeners)

    def _family(self, process: Process) -> str:
        identity = self.identity[process.pid]
        if identity.info is not None and identity.info.part is not Part.RUNTIME:
            return identity.info.family
        return package_directory(identity.directory) or identity.name

    def _subtree(self, process: Process, without: Collection[int] = ()) -> tuple[Process, ...]:
        found = {process.pid: process}
        queue = [process]
        for parent in queue:
            for child in self.children.get(parent.pid, ()):
                if child.pid not in found and child.pid not in without:
                    found[child.pid] = child
                    queue.append(child)
        return tuple(found.values())

    def _units(self) -> Iterator[str]:
        """Find the units of an inner service manager: cgroups beside the one its init sits in."""
        if self.init is None:
            return
        for hierarchy in ("", "name=systemd"):
            path = self.init.cgroups.get(hierarchy, "")
            if not path.endswith("/init.scope"):
                continue
            base = path.removesuffix("init.scope")
            for p in self.own.values():
                inner = p.cgroups.get(hierarchy, "")
                if inner.startswith(base) and inner != path:
                    parts = inner.removeprefix(base).split("/")
                    yield from [q for q in parts if q.endswith((".service", ".scope"))][:1]


def _doubt_namesakes(
    own: Mapping[int, Process], identity: Mapping[int, Identity]
) -> dict[int, Identity]:
    """Believe by half what is one binary under the names of several programs.

    A busybox with hard links, or a sleep that was linked to /usr/sbin/sshd.
    """
    families: dict[FileId, set[str]] = {}
    for pid, process in own.items():
        if process.exe_id is not None:
            info = identity[pid].info
            name = info.family if info else identity[pid].name
            families.setdefault(process.exe_id, set()).add(name)
    return {
        pid: found.doubted("the name of a binary that has many")
        if (exe_id := own[pid].exe_id) is not None
        and len(families[exe_id]) > 1
        and found.believed_by_half
        and not found.by_argv
        else found
        for pid, found in identity.items()
    }


def _same_binary(one: Process, other: Process) -> bool:
    return (one.exe, one.exe_id) == (other.exe, other.exe_id)


def _interactive(process: Process) -> bool:
    """Return whether a shell reads from a terminal: it has one, and neither a script nor ``-c``."""
    return bool(process.tty) and all(
        word.startswith("--") or (word.startswith("-") and "c" not in word)
        for word in process.argv[1:]
    )
