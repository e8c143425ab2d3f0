"""How many unrelated services run, and which are an operating system's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.rules import Hit, RuleSet
from agent.classifier.scene import InitKind
from agent.classifier.wording import application_names, listed, service_names, tree
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

_TRUSTED_COMPANY = 0.7
"""Operating system services of this weight decide; less is half a name, which wants company."""


_FEW = 4
"""Init, syslog, cron and sshd are the least that a system runs."""
_MANY = 12

RULES = RuleSet(Axis.SERVICES)


@RULES.rule(
    "services.operating_system",
    3.5,
    when="At least two independent services run, and one is an operating system's own "
    "(sshd, cron, syslog, getty, …). A name in argv alone counts half.",
    sentence="an operating system's own services run{beside}: {names}",
)
def _operating_system(scene: Scene) -> Hit | None:
    weight = scene.os_weight
    if scene.services < 2 or not weight:
        return None
    others = listed(application_names(scene))
    return Hit(
        {
            "names": service_names(scene.os_services),
            "beside": f" beside {others}" if others else "",
        },
        min(1.0, weight) if weight >= _TRUSTED_COMPANY else weight / 2,
        tree(scene),
    )


@RULES.rule(
    "services.more_operating_system",
    1.8,
    when="Several of an operating system's own services run: a third for each after the first.",
    sentence="{count} services of an operating system run side by side",
)
def _more_operating_system(scene: Scene) -> Hit | None:
    if scene.services < 2 or scene.os_weight <= 1:
        return None
    return Hit({"count": len(scene.os_services)}, (scene.os_weight - 1) / 3, tree(scene))


@RULES.rule(
    "services.idle_system",
    2.0,
    when="A service manager runs an operating system and no application.",
    sentence="a system has booted and waits for work: {names}",
)
def _idle_system(scene: Scene) -> Hit | None:
    if not scene.managed or scene.applications:
        return None
    trust = scene.init_identity.trust if scene.init_identity else 0.0
    names = service_names((*scene.os_services, *scene.plumbing)) or "nothing yet"
    return Hit({"names": names}, trust, tree(scene))


@RULES.rule(
    "services.one_under_manager",
    -2.6,
    when="A service manager holds one application, and neither getty, sshd, cron nor syslog.",
    sentence="all that the service manager holds is one application, {name}",
)
def _one_under_manager(scene: Scene) -> Hit | None:
    if not scene.managed or len(scene.applications) != 1:
        return None
    if scene.os_weight >= _TRUSTED_COMPANY:
        return None
    return Hit({"name": listed(application_names(scene))}, source=tree(scene))


@RULES.rule(
    "services.unrelated_supervised",
    2.6,
    when="A supervisor or service manager holds unrelated applications; two count 70 %.",
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
    when="Several applications run with neither a supervisor nor a system's own services.",
    sentence="{count} applications share the container ({names}), with nothing of a system",
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
    when="Exactly one service runs, however many processes it has; half where people live in it.",
    sentence="one service runs: {name} ({count})",
)
def _one(scene: Scene) -> Hit | None:
    if scene.managed or scene.services != 1:
        return None
    names = [*application_names(scene), *(p.name for p in scene.os_services)]
    many = sum(len(p.processes) for p in scene.programs)
    values = {"name": listed(names), "count": f"{many} process{'es' if many != 1 else ''}"}
    return Hit(values, 0.5 if scene.left_running else 1.0, tree(scene))


@RULES.rule(
    "services.claimed",
    -1.0,
    when="What would make it a server is little: half a name or half a service, without company.",
    sentence="all that would make it a server is too little for that: {names}",
)
def _claimed(scene: Scene) -> Hit | None:
    if scene.managed or scene.services < 2 or len(scene.applications) > 1:
        return None
    if not 0 < scene.os_weight < _TRUSTED_COMPANY:
        return None
    return Hit({"names": service_names(scene.os_services)}, source=tree(scene))


@RULES.rule(
    "services.nothing",
    -1.8,
    when="No service runs at all: a shell, a job, or something that waits.",
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
    when="It could not be looked into, and OpenVZ counts at most four processes and threads.",
    sentence="OpenVZ counts {count} processes in it, too few for a system",
)
def _counted_few(scene: Scene) -> Hit | None:
    count = _counted(scene)
    if count is None or not 0 < count <= _FEW:
        return None
    return Hit({"count": count}, source="vzlist")


@RULES.rule(
    "services.counted_many",
    0.4,
    when="It could not be looked into, and OpenVZ counts at least a dozen processes.",
    sentence="OpenVZ counts {count} processes in it, as in a system",
)
def _counted_many(scene: Scene) -> Hit | None:
    count = _counted(scene)
    if count is None or count < _MANY:
        return None
    return Hit({"count": count}, source="vzlist")
