"""Reads a container's process tree into a scene.

Whatever starts and holds others (a service manager, a supervisor, a reaper, a shell that waits,
su) is peeled off from the top of the tree; below it each subtree is one program, whatever it
forks; programs of one family are one service. Children of a login service are sessions of users,
children of cron are jobs, and what entered from outside is part of no service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.descent import descend
from agent.classifier.identity import identify, product_directory
from agent.classifier.init_kind import init_kind
from agent.classifier.listening import is_private
from agent.classifier.process_tree import read_tree
from agent.classifier.programs import Role
from agent.classifier.relate import applications, with_its_services
from agent.classifier.scene import InitKind, Program, Scene
from agent.classifier.shells import is_interactive
from collectors.facts import State

if TYPE_CHECKING:
    from agent.classifier.descent import Descent
    from agent.classifier.process_tree import ProcessTree
    from agent.model import Subject
    from collectors.facts import NetworkFacts, Process

_LISTENING = frozenset({"sshd", "telnetd", "rlogin", "inetd"})
"""Families that do nothing without a TCP socket to listen on."""

_PREPARING = 60.0
"""Seconds after its start in which a container's first process may still be its runtime's own."""


def read_scene(subject: Subject) -> Scene:
    """Read the process tree of a container. Total: every subject has a scene."""
    tree = read_tree(subject)
    kind = init_kind(tree, listens=_listens_on_own_network(subject), is_new=_is_new(subject))
    descent = descend(tree, kind)
    # A service manager listens in place of its services (socket activation).
    silent = kind is not InitKind.MANAGER and _is_silent(subject.network)
    programs = _programs(tree, descent, silent=silent)
    system = tuple(p for p in programs if p.role in (Role.OS, Role.PLUMBING))
    # Without a service manager a dbus was started on purpose: it counts as a service.
    plumbing = tuple(p for p in system if p.role is Role.PLUMBING and kind is InitKind.MANAGER)
    groups = with_its_services(
        applications((p for p in programs if p not in system), lambda p: is_private(p, subject)),
        (p for p in system if p not in plumbing),
    )
    part = {id(p) for group in groups for p in group}
    return Scene(
        subject=subject,
        seen=bool(tree.own),
        init=tree.init,
        init_kind=kind,
        init_identity=tree.identity[tree.init.pid] if tree.init else None,
        supervisor=descent.supervisor,
        programs=programs,
        applications=groups,
        os_services=tuple(p for p in system if p not in plumbing and id(p) not in part),
        plumbing=plumbing,
        units=tree.units,
        sessions=descent.sessions,
        left_running=tuple(descent.left_running),
        exec_shells=_exec_shells(subject),
    )


def _programs(tree: ProcessTree, descent: Descent, *, silent: bool) -> tuple[Program, ...]:
    """Group the collected processes into programs, a family each."""
    families: dict[tuple[str, str], list[Process]] = {}
    for root in descent.roots:
        families.setdefault((tree.family(root), _product(tree, root)), []).append(root)
    elsewhere = {*descent.visited, *descent.sessions}
    programs = []
    for (family, _), members in sorted(families.items()):
        lead = min(members, key=lambda p: (-tree.identity[p.pid].trust, p.id))
        processes = {q.pid: q for p in members for q in tree.subtree(p, elsewhere - {p.pid})}
        programs.append(
            Program(
                family=family,
                identity=tree.identity[lead.pid],
                lead=lead,
                processes=tuple(processes.values()),
                names=tuple(sorted({tree.identity[p.pid].title for p in members})),
                not_listening=silent and family in _LISTENING,
            )
        )
    return tuple(programs)


def _product(tree: ProcessTree, process: Process) -> str:
    """Return the product that an operating system service was installed with, if it was with one.

    The sshd of a product and the system's are two.
    """
    identity = tree.identity[process.pid]
    return product_directory(identity.directory) if identity.role is Role.OS else ""


def _exec_shells(subject: Subject) -> tuple[Process, ...]:
    """Return the shells of people who entered from outside, one for each of their sessions."""
    shells: dict[int, Process] = {}
    for process in sorted(subject.processes, key=lambda p: p.id):
        if (
            process.pid in subject.entered_from_outside
            and identify(process).role is Role.SHELL
            and is_interactive(process)
        ):
            shells.setdefault(process.session or process.pid, process)
    return tuple(shells.values())


def _is_new(subject: Subject) -> bool:
    """Return whether its runtime may still prepare it; later it only calls itself a runtime."""
    started = subject.container.started
    if subject.container.state is State.CREATED or started is None:
        return True
    return 0 <= subject.now - started < _PREPARING


def _listens_on_own_network(subject: Subject) -> bool:
    """Return whether something listens on TCP in its network, where that is its own."""
    network = subject.network
    if network is None or subject.container.network != "own":
        return False
    return not _is_silent(network)


def _is_silent(network: NetworkFacts | None) -> bool:
    """Return whether a network was read in which nothing listens on TCP."""
    if network is None:
        return False
    return not any(listener.protocol.startswith("tcp") for listener in network.listeners)
