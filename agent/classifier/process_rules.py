"""The rules that judge what runs: the axes init, services and users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.rules import Hit, Rule
from agent.classifier.scene import InitKind
from agent.model import Axis

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.classifier.scene import Program, Scene

_TRUSTED_COMPANY = 0.7
"""Operating system services of this weight decide; less is half a name, which wants company."""


def _init(scene: Scene) -> dict[str, object]:
    init, identity = scene.init, scene.init_identity
    return {
        "name": identity.name if identity else "?",
        "exe": (init.exe if init else None) or "an unreadable binary",
        "basis": identity.basis if identity else "",
    }


def proc(scene: Scene, file: str) -> str:
    """Name a file in /proc of the container's first process."""
    return f"/proc/{scene.init.pid}/{file}" if scene.init else f"/proc/*/{file}"


def _tree(scene: Scene) -> str:
    return f"the processes below {scene.init.pid}" if scene.init else "its processes"


def listed(names: Iterable[str], limit: int = 6) -> str:
    """Write names as a person does: ``cron, nginx and sshd``."""
    rest = sorted(set(names))
    if len(rest) > limit:
        rest = [*rest[:limit], f"{len(rest) - limit} more"]
    return rest[0] if len(rest) == 1 else f"{', '.join(rest[:-1])} and {rest[-1]}" if rest else ""


def application_names(scene: Scene) -> list[str]:
    """Give one name for each application."""
    return ["+".join(p.name for p in group[:4]) for group in scene.applications]


def _os_names(programs: Iterable[Program]) -> str:
    by_doubt: dict[str, list[str]] = {}
    for program in programs:
        by_doubt.setdefault(program.doubt, []).append(program.name)
    return "; ".join(
        listed(names) + (f" ({doubt})" if doubt else "")
        for doubt, names in sorted(by_doubt.items())
    )


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


INIT = (
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


def _operating_system(scene: Scene) -> Hit | None:
    weight = scene.os_weight
    if scene.services < 2 or not weight:
        return None
    others = listed(application_names(scene))
    return Hit(
        {
            "names": _os_names(scene.os_services),
            "beside": f" beside {others}" if others else "",
        },
        min(1.0, weight) if weight >= _TRUSTED_COMPANY else weight / 2,
        _tree(scene),
    )


def _more_operating_system(scene: Scene) -> Hit | None:
    if scene.services < 2 or scene.os_weight <= 1:
        return None
    return Hit({"count": len(scene.os_services)}, (scene.os_weight - 1) / 3, _tree(scene))


def _idle_system(scene: Scene) -> Hit | None:
    if not scene.managed or scene.applications:
        return None
    trust = scene.init_identity.trust if scene.init_identity else 0.0
    names = _os_names((*scene.os_services, *scene.plumbing)) or "nothing yet"
    return Hit({"names": names}, trust, _tree(scene))


def _one_under_manager(scene: Scene) -> Hit | None:
    if not scene.managed or len(scene.applications) != 1:
        return None
    if scene.os_weight >= _TRUSTED_COMPANY:
        return None
    return Hit({"name": listed(application_names(scene))}, source=_tree(scene))


def _unrelated_supervised(scene: Scene) -> Hit | None:
    count = len(scene.applications)
    if not scene.supervised or count < 2:
        return None
    return Hit(
        {"count": count, "names": listed(application_names(scene))},
        0.7 if count == 2 else 1.0,
        _tree(scene),
    )


def _several_loose(scene: Scene) -> Hit | None:
    if scene.supervised or len(scene.applications) < 2 or scene.os_services:
        return None
    return Hit(
        {"count": len(scene.applications), "names": listed(application_names(scene))},
        source=_tree(scene),
    )


def _one(scene: Scene) -> Hit | None:
    if scene.managed or scene.services != 1:
        return None
    names = [*application_names(scene), *(p.name for p in scene.os_services)]
    many = sum(len(p.processes) for p in scene.programs)
    values = {"name": listed(names), "count": f"{many} process{'es' if many != 1 else ''}"}
    return Hit(values, 0.5 if scene.residents else 1.0, _tree(scene))


def _claimed(scene: Scene) -> Hit | None:
    if scene.managed or scene.services < 2 or len(scene.applications) > 1:
        return None
    if not 0 < scene.os_weight < _TRUSTED_COMPANY:
        return None
    return Hit({"names": _os_names(scene.os_services)}, source=_tree(scene))


def _nothing(scene: Scene) -> Hit | None:
    if scene.services or not scene.seen or scene.managed:
        return None
    return Hit(source=_tree(scene))


SERVICES = (
    Rule(
        name="services.operating_system",
        axis=Axis.SERVICES,
        weight=3.5,
        when="At least two independent services run, and one is an operating system's own "
        "(sshd, cron, syslog, getty, …). A name in argv alone counts half.",
        sentence="an operating system's own services run{beside}: {names}",
        detect=_operating_system,
    ),
    Rule(
        name="services.more_operating_system",
        axis=Axis.SERVICES,
        weight=1.8,
        when="Several of an operating system's own services run: a third for each after the first.",
        sentence="{count} services of an operating system run side by side",
        detect=_more_operating_system,
    ),
    Rule(
        name="services.idle_system",
        axis=Axis.SERVICES,
        weight=2.0,
        when="A service manager runs an operating system and no application.",
        sentence="a system has booted and waits for work: {names}",
        detect=_idle_system,
    ),
    Rule(
        name="services.one_under_manager",
        axis=Axis.SERVICES,
        weight=-2.6,
        when="A service manager holds one application, and neither getty, sshd, cron nor syslog.",
        sentence="all that the service manager holds is one application, {name}",
        detect=_one_under_manager,
    ),
    Rule(
        name="services.unrelated_supervised",
        axis=Axis.SERVICES,
        weight=2.6,
        when="A supervisor or service manager holds unrelated applications; two count 70 %.",
        sentence="{count} unrelated applications are supervised together: {names}",
        detect=_unrelated_supervised,
    ),
    Rule(
        name="services.several_loose",
        axis=Axis.SERVICES,
        weight=-0.8,
        when="Several applications run with neither a supervisor nor a system's own services.",
        sentence="{count} applications share the container ({names}), with nothing of a system",
        detect=_several_loose,
    ),
    Rule(
        name="services.one",
        axis=Axis.SERVICES,
        weight=-2.0,
        when="Exactly one service runs, however many processes it has; half where people live "
        "in it.",
        sentence="one service runs: {name} ({count})",
        detect=_one,
    ),
    Rule(
        name="services.claimed",
        axis=Axis.SERVICES,
        weight=-1.0,
        when="What would make it a server is little believed: half a name, without company.",
        sentence="what would make it a server is only claimed: {names}",
        detect=_claimed,
    ),
    Rule(
        name="services.nothing",
        axis=Axis.SERVICES,
        weight=-1.8,
        when="No service runs at all: a shell, a job, or something that waits.",
        sentence="no service runs in it",
        detect=_nothing,
    ),
)


def _sessions(scene: Scene) -> Hit | None:
    count, people = len(scene.sessions), len(scene.people)
    if not count:
        return None
    return Hit(
        {
            "sessions": f"{count} session{'s' if count != 1 else ''}",
            "people": f"{people} user{'s' if people != 1 else ''}",
        },
        min(1.0, 0.4 * people + 0.1 * (count - 1)),
        _tree(scene),
    )


def _residents(scene: Scene) -> Hit | None:
    if not scene.residents:
        return None
    people = len({p.uid for p in scene.residents})
    return Hit(
        {"names": listed(p.comm for p in scene.residents)},
        0.6 if people == 1 else 1.0,
        f"/proc/{scene.residents[0].pid}/exe",
    )


def _several_users(scene: Scene) -> Hit | None:
    count = len(scene.users)
    return Hit({"count": count}, source="/proc/*/status") if count >= 3 else None


def _single_user(scene: Scene) -> Hit | None:
    own = {p.uid for program in scene.programs for p in program.processes}
    if len(own) != 1 or None in own or scene.people or scene.managed:
        return None
    return Hit({"uid": next(iter(own))}, source="/proc/*/status")


def _accounts(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None:
        return None
    names = [a.name for a in root.accounts if not a.locked and can_log_in(a.shell)]
    return Hit({"names": listed(names)}, source=proc(scene, "root/etc/shadow")) if names else None


def _utmp(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.sessions:
        return None
    return Hit({"count": root.sessions}, source=proc(scene, "root/run/utmp"))


def can_log_in(shell: str) -> bool:
    """Say whether a login shell lets somebody in."""
    return shell.rpartition("/")[2] not in ("nologin", "false", "sync", "halt", "shutdown", "")


USERS = (
    Rule(
        name="users.sessions",
        axis=Axis.USERS,
        weight=1.5,
        when="People are logged in through a login service of its own (not an engine's exec).",
        sentence="people are logged in: {sessions} of {people}",
        detect=_sessions,
    ),
    Rule(
        name="users.residents",
        axis=Axis.USERS,
        weight=2.6,
        when="What people left running goes on without them (tmux, screen, a program in the "
        "background); one person counts 60 %.",
        sentence="people live in it: {names} goes on when they have left",
        detect=_residents,
    ),
    Rule(
        name="users.several",
        axis=Axis.USERS,
        weight=0.3,
        when="Programs run as at least three distinct users.",
        sentence="programs run as {count} distinct users",
        detect=_several_users,
    ),
    Rule(
        name="users.single",
        axis=Axis.USERS,
        weight=-0.2,
        when="Everything runs as one user.",
        sentence="everything runs as one user (uid {uid} on the host)",
        detect=_single_user,
    ),
    Rule(
        name="users.accounts",
        axis=Axis.USERS,
        weight=0.2,
        when="Accounts have a password and a shell.",
        sentence="accounts can log in: {names}",
        detect=_accounts,
        cheap=True,
    ),
    Rule(
        name="users.utmp",
        axis=Axis.USERS,
        weight=0.2,
        when="Its own record of logins has somebody in it.",
        sentence="its own record of logins shows {count}",
        detect=_utmp,
        cheap=True,
    ),
)
