"""What the first process of a container is, by what it is called and by what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.process_tree import same_binary
from agent.classifier.programs import IDLE, WAITING, Role
from agent.classifier.scene import InitKind

if TYPE_CHECKING:
    from agent.classifier.process_tree import ProcessTree
    from collectors.facts import Process

_RUNTIMES = frozenset({"runc", "crun", "youki", "kata-agent", "runsc"})


def init_kind(tree: ProcessTree, *, listens: bool, is_new: bool = False) -> InitKind:
    """Return the kind of the first process.

    ``listens``: something listens in its network. ``is_new``: its runtime may still prepare it.
    """
    if tree.init is None:
        return InitKind.NONE
    identity = tree.identity[tree.init.pid]
    if is_new and _is_runtime(tree.init, identity.name):
        return InitKind.RUNTIME
    by_behaviour = tree.init.pid in tree.supervisors
    if by_behaviour or tree.init.pid in tree.wrappers:
        return InitKind.SUPERVISOR if by_behaviour else InitKind.REAPER
    match identity.role:
        case Role.MANAGER:
            if manages(tree, tree.init):
                return InitKind.MANAGER
            return InitKind.BARE if not listens and _is_bare(tree, tree.init) else InitKind.PROGRAM
        case Role.SUPERVISOR:
            return InitKind.SUPERVISOR
        case Role.REAPER | Role.WRAPPER:
            return InitKind.REAPER
        case Role.SHELL:
            return InitKind.SHELL
        case Role.UTILITY if identity.name in WAITING or identity.info is IDLE:
            return InitKind.WAITING
        case _:
            return InitKind.PROGRAM


def _is_runtime(init: Process, name: str) -> bool:
    """Return whether it is the runtime's own process, in the moment before it starts the program.

    runc's is ``runc init``, and may run from a copy of itself in memory; crun keeps the arguments
    with which it was called.
    """
    if "init" in init.argv[1:2]:
        return name in _RUNTIMES or (init.exe or "").startswith("/memfd:runc_cloned")
    return name == "crun" and bool({"create", "run"} & set(init.argv[1:]))


def manages(tree: ProcessTree, manager: Process) -> bool:
    """Return whether what is called a service manager acts as one.

    It keeps units in cgroups of their own, or it has started other programs than itself, directly
    or through what it forked for that (systemd's generators).
    """
    if manager is tree.init and tree.units:
        return True
    identity = tree.identity[manager.pid]
    for started in tree.subtree(manager)[1:]:
        if None not in (started.exe, manager.exe) and not same_binary(started, manager):
            return True
        # Both run one binary (busybox), or it cannot be read: then the names decide.
        if identity.by_argv and tree.identity[started.pid].name != identity.name:
            return True
    return False


def _is_bare(tree: ProcessTree, init: Process) -> bool:
    """Return whether an init and its forks are all that runs.

    It is still booting, it hangs, or it only has the name of an init: whether that is an
    application or a system cannot be said.
    """
    identity = tree.identity[init.pid]
    alone = all(same_binary(process, init) for process in tree.own.values())
    return alone and not identity.by_argv and identity.trust == 1
