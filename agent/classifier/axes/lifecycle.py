"""How it is maintained: replaced, or kept and repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.rules import Hit, RuleSet
from agent.classifier.wording import plural
from agent.model import Axis
from collectors.facts import State

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

_DAY = 86400.0
_LONG = 30 * _DAY
_REPLACED = 2 * _DAY

RULES = RuleSet(Axis.LIFECYCLE)


@RULES.rule(
    "lifecycle.long_running",
    0.2,
    when="It has run for a month or more.",
    sentence="it has run for {days}",
)
def _old(scene: Scene) -> Hit | None:
    container = scene.subject.container
    if container.started is None or container.state is not State.RUNNING:
        return None
    age = scene.subject.now - container.started
    return Hit({"days": plural(int(age / _DAY), "day")}, source="engine") if age >= _LONG else None


@RULES.rule(
    "lifecycle.repaired",
    0.2,
    when="It was started again a month or more after it was created: kept, not replaced.",
    sentence="it was kept and started again {days} after it was created",
)
def _kept(scene: Scene) -> Hit | None:
    container = scene.subject.container
    if container.started is None or container.created is None:
        return None
    later = container.started - container.created
    return (
        Hit({"days": plural(int(later / _DAY), "day")}, source="engine") if later >= _LONG else None
    )


@RULES.rule(
    "lifecycle.restarted",
    -0.1,
    when="Its engine restarted it after it had exited.",
    sentence="its engine has restarted it {times}",
)
def _restarted(scene: Scene) -> Hit | None:
    restarts = scene.subject.container.restarts
    return Hit({"times": plural(restarts, "time")}, source="engine") if restarts else None


@RULES.rule(
    "lifecycle.replaced",
    -0.2,
    when="It was created within two days of its published image: replaced with every build.",
    sentence="it was created soon after its image was built",
)
def _replaced(scene: Scene) -> Hit | None:
    container = scene.subject.container
    image = container.image_facts
    if image is None or image.created is None or container.created is None or not image.digests:
        return None
    if not 0 <= container.created - image.created <= _REPLACED:
        return None
    return Hit(source="engine")


@RULES.rule(
    "lifecycle.throwaway",
    -0.4,
    when="Its engine removes it when it exits.",
    sentence="its engine removes it when it exits",
)
def _throwaway(scene: Scene) -> Hit | None:
    return Hit(source="engine") if scene.subject.container.auto_remove else None
