"""What the first process is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.axes.words import listed, proc
from agent.classifier.rules import Hit, Rule
from agent.classifier.scene import InitKind
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.scene import Scene


def _init(scene: Scene) -> dict[str, object]:
    init, identity = scene.init, scene.init_identity
    return {
        "name": identity.name if identity else "?",
        "exe": (init.exe if init else None) or "an unreadable binary",
        "basis": identity.basis if identity else "",
    }


def _manager(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.MANAGER or scene.init_identity is None:
        return None
    return Hit(_init(scene), scene.init_identity.trust, proc(scene, "exe"))


def _units(scene: Scene) -> Hit | None:
    if not scene.units:
        return None
    return Hit(
        {"count": len(scene.units), "names": listed(scene.units, 4)},
        source=proc(scene, "cgroup") + " and its children's",
    )


def _supervisor(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.SUPERVISOR:
        return None
    return Hit(_init(scene), source=proc(scene, "exe"))


def _reaper(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.REAPER:
        return None
    return Hit(_init(scene), source=proc(scene, "exe"))


def _shell(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.SHELL:
        return None
    return Hit(_init(scene), source=proc(scene, "exe"))


def _waiting(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.WAITING:
        return None
    return Hit(_init(scene), source=proc(scene, "exe"))


def _program(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.PROGRAM or scene.services > 1:
        return None
    return Hit(_init(scene), source=proc(scene, "exe"))


def _program_among_others(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.PROGRAM or scene.services <= 1:
        return None
    return Hit(_init(scene), source=proc(scene, "exe"))


RULES = (
    Rule(
        name="init.service_manager",
        axis=Axis.INIT,
        weight=1.0,
        when="The first process is a service manager (systemd, OpenRC, sysvinit, runit, busybox).",
        sentence="its first process is {name}, a service manager ({exe}, by {basis})",
        detect=_manager,
    ),
    Rule(
        name="init.units",
        axis=Axis.INIT,
        weight=0.6,
        when="The service manager keeps its services in cgroups of their own.",
        sentence="its init keeps {count} units in cgroups of their own: {names}",
        detect=_units,
    ),
    Rule(
        name="init.supervisor",
        axis=Axis.INIT,
        weight=0.2,
        when="The first process is a supervisor, by name or because it holds several services.",
        sentence="its first process, {name}, supervises others",
        detect=_supervisor,
    ),
    Rule(
        name="init.reaper",
        axis=Axis.INIT,
        weight=-0.4,
        when="The first process only looks after its children (tini, docker-init, su).",
        sentence="its first process is {name}, which only looks after its children",
        detect=_reaper,
    ),
    Rule(
        name="init.shell",
        axis=Axis.INIT,
        weight=-0.5,
        when="The first process is a shell: a script that starts things, or a prompt.",
        sentence="its first process is a shell ({exe}), no service manager",
        detect=_shell,
    ),
    Rule(
        name="init.waiting",
        axis=Axis.INIT,
        weight=-0.3,
        when="The first process does nothing but keep the container alive (sleep, tail -f).",
        sentence="its first process, {name}, only keeps the container alive",
        detect=_waiting,
    ),
    Rule(
        name="init.program",
        axis=Axis.INIT,
        weight=-1.5,
        when="The first process is the only program itself.",
        sentence="its first process is the program itself: {name} ({exe})",
        detect=_program,
    ),
    Rule(
        name="init.program_among_others",
        axis=Axis.INIT,
        weight=-0.3,
        when="The first process is a program, and other services run beside it.",
        sentence="its first process is a program, {name}, no service manager",
        detect=_program_among_others,
    ),
)
