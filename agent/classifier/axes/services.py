"""How many unrelated services run, and which are an operating system's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.housekeeping import keeps_house
from agent.classifier.jobs import programs_of
from agent.classifier.rules import Hit, RuleSet
from agent.classifier.scene import InitKind
from agent.classifier.wording import application_names, listed, plural, service_names, tree
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

_DECISIVE = 0.7
"""Weight from which operating system services decide; half a name does not without another."""
_FEW = 4
"""Init, syslog, cron and sshd are the least that a system runs."""
_MANY = 12
_JOBS_NAMED = 3
"""How many programs that cron runs a sentence names."""

RULES = RuleSet(Axis.SERVICES)


@RULES.rule(
    "services.operating_system",
    3.5,
    when="At least two independent services run, and one is an operating system service "
    "(sshd, cron, syslog, getty, …). A name that stands in argv alone counts half.",
    sentence="operating system services run{beside}: {names}",
)
def _operating_system(scene: Scene) -> Hit | None:
    weight = scene.os_weight
    if scene.services < 2 or not weight or keeps_house(scene):
        return None
    others = listed(application_names(scene))
    return Hit(
        {
            "names": service_names(scene.os_services),
            "beside": f" beside {others}" if others else "",
        },
        min(1.0, weight) if weight >= _DECISIVE else weight / 2,
        tree(scene),
    )


@RULES.rule(
    "services.more_operating_system",
    1.8,
    when="Several operating system services run: a third of the weight for each after the first.",
    sentence="{count} run side by side",
)
def _more_operating_system(scene: Scene) -> Hit | None:
    if scene.services < 2 or scene.os_weight <= 1 or keeps_house(scene):
        return None
    return Hit(
        {"count": plural(len(scene.os_services), "operating system service")},
        (scene.os_weight - 1) / 3,
        tree(scene),
    )


@RULES.rule(
    "services.idle_system",
    2.0,
    when="A service manager runs, but no application.",
    sentence="a system has booted and runs no application: {names}",
)
def _idle_system(scene: Scene) -> Hit | None:
    if not scene.managed or scene.applications:
        return None
    trust = scene.init_identity.trust if scene.init_identity else 0.0
    names = service_names((*scene.os_services, *scene.plumbing)) or "no service yet"
    return Hit({"names": names}, trust, tree(scene))


@RULES.rule(
    "services.one_under_manager",
    -2.6,
    when="A service manager runs one application, and neither getty, sshd, cron nor syslog.",
    sentence="the service manager runs only one application, {name}",
)
def _one_under_manager(scene: Scene) -> Hit | None:
    if not scene.managed or len(scene.applications) != 1:
        return None
    if scene.os_weight >= _DECISIVE:
        return None
    return Hit({"name": listed(application_names(scene))}, source=tree(scene))


@RULES.rule(
    "services.unrelated_supervised",
    2.6,
    when="A supervisor or service manager runs unrelated applications: 70 % of the weight for two.",
    sentence="{count} unrelated applications are supervised together: {names}",
)
def _unrelated_supervised(scene: Scene) -> Hit | None:
    count = len(scene.applications)
    if not scene.supervised or count < 2:
        return None
    return Hit(
        {"count": count, "names": listed(application_names(scene))},
        0.7 if count == 2 else 1.0,
        tree(scene),
    )


@RULES.rule(
    "services.several_loose",
    -0.8,
    when="Several applications run, without a supervisor and without operating system services.",
    sentence="{count} applications share it ({names}), without operating system services",
)
def _several_loose(scene: Scene) -> Hit | None:
    if scene.supervised or len(scene.applications) < 2 or scene.os_services:
        return None
    return Hit(
        {"count": len(scene.applications), "names": listed(application_names(scene))},
        source=tree(scene),
    )


@RULES.rule(
    "services.one",
    -2.0,
    when="Exactly one service runs, however many processes it has; half the weight when users "
    "have left programs running in it.",
    sentence="one service runs: {name} ({count})",
)
def _one(scene: Scene) -> Hit | None:
    if scene.managed or scene.services != 1:
        return None
    names = [*application_names(scene), *(p.name for p in scene.os_services)]
    processes = sum(len(p.processes) for p in scene.programs)
    values = {"name": listed(names), "count": plural(processes, "process")}
    return Hit(values, 0.5 if scene.left_running else 1.0, tree(scene))


@RULES.rule(
    "services.claimed",
    -1.0,
    when="Too little suggests a server: one name that stands in argv alone, or one minor service "
    "(dbus, a time server).",
    sentence="only {names} suggests a server, which is too little",
)
def _claimed(scene: Scene) -> Hit | None:
    if scene.managed or scene.services < 2 or len(scene.applications) > 1:
        return None
    if not 0 < scene.os_weight < _DECISIVE or keeps_house(scene):
        return None
    return Hit({"names": service_names(scene.os_services)}, source=tree(scene))


@RULES.rule(
    "services.housekeeping",
    -2.4,
    when="The operating system services only keep house for one application: cron, syslog, dbus "
    "and what tends a machine, without a login service, a booted service manager or a second "
    "unrelated application, and with no syslog that takes messages from other hosts. A forge's "
    "sshd counts as a part of it, and so does one whose rules give nobody a shell. The verdict is "
    "then never sure.",
    sentence="{what}: {absent}",
)
def _housekeeping(scene: Scene) -> Hit | None:
    if not keeps_house(scene):
        return None
    absent = ["there is no login service", "no service manager was booted"]
    if any(program.family == "sshd" for program in scene.os_services):
        absent[0] = "its sshd is a way to what it keeps, and gives no shell"
    if scene.applications:
        absent.append("no second application runs")
    application = listed(application_names(scene))
    names, one = listed(p.name for p in scene.os_services), len(scene.os_services) == 1
    values = {
        "what": f"{names} {'belongs' if one else 'belong'} to {application}"
        if application
        else f"{names} are all that runs",
        "absent": ", ".join(absent[:-1]) + f" and {absent[-1]}" + _jobs(scene),
    }
    return Hit(values, source=tree(scene))


def _jobs(scene: Scene) -> str:
    """Return what cron's tables say that it runs, as the end of a sentence."""
    jobs, root = scene.subject.files.jobs, scene.subject.root
    if jobs is None:
        return ""
    names = programs_of(jobs, root.accounts if root is not None else ())
    return f"; cron's tables run {listed(names, _JOBS_NAMED) or 'nothing'}"


@RULES.rule(
    "services.housekeepers",
    1.8,
    when="Cron, syslog and the like run beside an application, as on a server: a third of the "
    "weight for each, half of that for what only maintains the machine.",
    sentence="{names} {run}{beside}, as on a server",
)
def _housekeepers(scene: Scene) -> Hit | None:
    if not keeps_house(scene):
        return None
    application = listed(application_names(scene))
    values = {
        "names": service_names(scene.os_services),
        "run": "runs" if len(scene.os_services) == 1 else "run",
        "beside": f" beside {application}" if application else "",
    }
    return Hit(values, scene.os_weight / 3, tree(scene))


@RULES.rule(
    "services.nothing",
    -1.8,
    when="No service runs: only a shell, a job, or something that waits.",
    sentence="no service runs in it",
)
def _nothing(scene: Scene) -> Hit | None:
    if scene.services or not scene.seen or scene.managed or scene.init_kind is InitKind.BARE:
        return None
    return Hit(source=tree(scene))


def _counted(scene: Scene) -> int | None:
    """Return how many processes OpenVZ counts in a container that could not be looked into."""
    facts = scene.subject.container.openvz
    return None if scene.seen or facts is None else facts.processes


@RULES.rule(
    "services.counted_few",
    -0.7,
    when="Its processes could not be seen, and OpenVZ counts at most four processes and threads.",
    sentence="OpenVZ counts {count} in it, too few for a system",
)
def _counted_few(scene: Scene) -> Hit | None:
    count = _counted(scene)
    if count is None or not 0 < count <= _FEW:
        return None
    return Hit({"count": plural(count, "process")}, source="vzlist")


@RULES.rule(
    "services.counted_many",
    0.4,
    when="Its processes could not be seen, and OpenVZ counts at least 12 processes and threads.",
    sentence="OpenVZ counts {count} in it, as many as in a system",
)
def _counted_many(scene: Scene) -> Hit | None:
    count = _counted(scene)
    if count is None or count < _MANY:
        return None
    return Hit({"count": plural(count, "process")}, source="vzlist")
