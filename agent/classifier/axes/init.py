"""What the first process is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.rules import Hit, RuleSet
from agent.classifier.scene import InitKind
from agent.classifier.wording import listed, plural, proc
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.rules import Detector
    from agent.classifier.scene import Scene

RULES = RuleSet(Axis.INIT)


def _init(scene: Scene) -> dict[str, object]:
    init, identity = scene.init, scene.init_identity
    return {
        "name": identity.name if identity else "?",
        "exe": (init.exe if init else None) or "an unreadable binary",
        "basis": identity.basis if identity else "",
    }


def _of_kind(kind: InitKind) -> Detector:
    """Return the detector of a first process of one kind."""

    def detect(scene: Scene) -> Hit | None:
        if scene.init_kind is not kind:
            return None
        return Hit(_init(scene), source=proc(scene, "exe"))

    return detect


@RULES.rule(
    "init.service_manager",
    1.0,
    when="The first process is a service manager (systemd, OpenRC, sysvinit, runit, busybox).",
    sentence="its first process is {name}, a service manager ({exe}, identified by {basis})",
)
def _manager(scene: Scene) -> Hit | None:
    if scene.init_kind is not InitKind.MANAGER or scene.init_identity is None:
        return None
    return Hit(_init(scene), scene.init_identity.trust, proc(scene, "exe"))


@RULES.rule(
    "init.units",
    0.6,
    when="The service manager runs its services in cgroups of their own.",
    sentence="its init runs {count} in cgroups of their own: {names}",
)
def _units(scene: Scene) -> Hit | None:
    if not scene.units:
        return None
    return Hit(
        {"count": plural(len(scene.units), "unit"), "names": listed(scene.units, 4)},
        source=proc(scene, "cgroup") + " and its children's",
    )


RULES.rule(
    "init.supervisor",
    0.2,
    when="The first process is a supervisor, by name or because it runs several services.",
    sentence="its first process, {name}, supervises other programs",
)(_of_kind(InitKind.SUPERVISOR))


RULES.rule(
    "init.reaper",
    -0.4,
    when="The first process only starts and reaps its children (tini, docker-init, su).",
    sentence="its first process is {name}, which only starts and reaps its children",
)(_of_kind(InitKind.REAPER))


RULES.rule(
    "init.shell",
    -0.5,
    when="The first process is a shell: a script that starts things, or a prompt.",
    sentence="its first process is a shell ({exe}), not a service manager",
)(_of_kind(InitKind.SHELL))


RULES.rule(
    "init.waiting",
    -0.3,
    when="The first process does nothing but keep the container alive (sleep, tail -f).",
    sentence="its first process, {name}, only keeps the container alive",
)(_of_kind(InitKind.WAITING))


_first_program = _of_kind(InitKind.PROGRAM)


@RULES.rule(
    "init.program",
    -1.5,
    when="The first process is itself the only program.",
    sentence="its first process is the program itself: {name} ({exe})",
)
def _program(scene: Scene) -> Hit | None:
    return _first_program(scene) if scene.services <= 1 else None


@RULES.rule(
    "init.program_among_others",
    -0.3,
    when="The first process is a program, and other services run beside it.",
    sentence="its first process is a program, {name}, not a service manager",
)
def _program_among_others(scene: Scene) -> Hit | None:
    return _first_program(scene) if scene.services > 1 else None
