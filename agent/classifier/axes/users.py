"""Who runs things, and who is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.rules import Hit, RuleSet
from agent.classifier.wording import listed, proc, tree
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

RULES = RuleSet(Axis.USERS)


@RULES.rule(
    "users.sessions",
    1.5,
    when="People are logged in through a login service of its own (not an engine's exec).",
    sentence="people are logged in: {sessions} of {people}",
)
def _sessions(scene: Scene) -> Hit | None:
    count, people = len(scene.sessions), len(scene.login_users)
    if not count:
        return None
    return Hit(
        {
            "sessions": f"{count} session{'s' if count != 1 else ''}",
            "people": f"{people} user{'s' if people != 1 else ''}",
        },
        min(1.0, 0.4 * people + 0.1 * (count - 1)),
        tree(scene),
    )


@RULES.rule(
    "users.residents",
    2.6,
    when="What people left running goes on without them (tmux, screen, a program in the "
    "background); one person counts 60 %.",
    sentence="people live in it: {names} goes on when they have left",
)
def _residents(scene: Scene) -> Hit | None:
    if not scene.left_running:
        return None
    people = len({p.uid for p in scene.left_running})
    return Hit(
        {"names": listed(p.comm for p in scene.left_running)},
        0.6 if people == 1 else 1.0,
        f"/proc/{scene.left_running[0].pid}/exe",
    )


@RULES.rule(
    "users.several",
    0.3,
    when="Programs run as at least three distinct users.",
    sentence="programs run as {count} distinct users",
)
def _several_users(scene: Scene) -> Hit | None:
    count = len(scene.users)
    return Hit({"count": count}, source="/proc/*/status") if count >= 3 else None


@RULES.rule(
    "users.single",
    -0.2,
    when="Everything runs as one user.",
    sentence="everything runs as one user (uid {uid} on the host)",
)
def _single_user(scene: Scene) -> Hit | None:
    own = {p.uid for program in scene.programs for p in program.processes}
    if len(own) != 1 or None in own or scene.login_users or scene.managed:
        return None
    return Hit({"uid": next(iter(own))}, source="/proc/*/status")


def _can_log_in(shell: str) -> bool:
    """Return whether a login shell lets somebody in."""
    return shell.rpartition("/")[2] not in ("nologin", "false", "sync", "halt", "shutdown", "")


@RULES.rule(
    "users.accounts",
    0.2,
    when="Accounts have a password and a shell.",
    sentence="accounts can log in: {names}",
    cheap=True,
)
def _accounts(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None:
        return None
    names = [a.name for a in root.accounts if not a.locked and _can_log_in(a.shell)]
    return Hit({"names": listed(names)}, source=proc(scene, "root/etc/shadow")) if names else None


@RULES.rule(
    "users.utmp",
    0.2,
    when="Its own record of logins has somebody in it.",
    sentence="its own record of logins shows {count}",
    cheap=True,
)
def _utmp(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.sessions:
        return None
    return Hit({"count": root.sessions}, source=proc(scene, "root/run/utmp"))
