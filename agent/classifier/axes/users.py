"""Who runs things, and who is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.housekeeping import has_own_login, keeps_house
from agent.classifier.jobs import people_with_jobs
from agent.classifier.readings import products_own_login
from agent.classifier.rules import Hit, RuleSet
from agent.classifier.wording import application_names, listed, plural, proc, tree
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

RULES = RuleSet(Axis.USERS)


@RULES.rule(
    "users.sessions",
    1.5,
    when="Users are logged in through a login service of the container (not by an engine's exec).",
    sentence="users are logged in: {sessions} of {users}",
)
def _sessions(scene: Scene) -> Hit | None:
    sessions, users = len(scene.sessions), len(scene.login_users)
    if not sessions:
        return None
    return Hit(
        {
            "sessions": plural(sessions, "session"),
            "users": plural(users, "user"),
        },
        min(1.0, 0.4 * users + 0.1 * (sessions - 1)),
        tree(scene),
    )


@RULES.rule(
    "users.residents",
    2.6,
    when="Users have left programs running (tmux, screen, a program in the background): 60 % of "
    "the weight for one user.",
    sentence="users have left programs running: {names}",
)
def _residents(scene: Scene) -> Hit | None:
    if not scene.left_running:
        return None
    users = len({p.uid for p in scene.left_running})
    return Hit(
        {"names": listed(p.comm for p in scene.left_running)},
        0.6 if users == 1 else 1.0,
        f"/proc/{scene.left_running[0].pid}/exe",
    )


@RULES.rule(
    "users.several",
    0.3,
    when="Programs run as at least three different users.",
    sentence="programs run as {count} different users",
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


@RULES.rule(
    "users.own_login",
    -1.5,
    when="The sshd beside one application has a configuration of its own, not that of the system: "
    "it may give out the application's data and no shell. The verdict is then never sure.",
    sentence="its sshd has a configuration of its own, and may give out {application} and no shell",
    cheap=True,
)
def _own_login(scene: Scene) -> Hit | None:
    if keeps_house(scene) or not has_own_login(scene):
        return None
    return Hit({"application": listed(application_names(scene))}, source=tree(scene))


@RULES.rule(
    "users.nobody",
    -1.5,
    when="An sshd runs beside one product, and nobody is known to log in for a shell: it may be "
    "the product's own. The style is then `unknown`.",
    sentence="nobody is known to log in for a shell: its {login} may be a part of {application}",
    cheap=True,
)
def _nobody(scene: Scene) -> Hit | None:
    login = products_own_login(scene)
    if not login:
        return None
    values = {"login": login, "application": listed(application_names(scene))}
    return Hit(values, source=proc(scene, "root/etc/passwd"))


def _can_log_in(shell: str) -> bool:
    """Return whether a login shell lets its user log in."""
    return shell.rpartition("/")[2] not in ("nologin", "false", "sync", "halt", "shutdown", "")


@RULES.rule(
    "users.accounts",
    0.2,
    when="Accounts have a password and a login shell.",
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
    when="Its login records (utmp) list a session.",
    sentence="its login records (utmp) list {sessions}",
    cheap=True,
)
def _utmp(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.sessions:
        return None
    return Hit({"sessions": plural(root.sessions, "session")}, source=proc(scene, "root/run/utmp"))


@RULES.rule(
    "users.jobs",
    0.5,
    when="The tables of cron, which keeps house for an application, have jobs of two people or "
    "more. The style is then `unknown`.",
    sentence="its cron runs jobs of several people: {names}",
    cheap=True,
)
def _jobs_of_people(scene: Scene) -> Hit | None:
    names = people_with_jobs(scene)
    if not names or not keeps_house(scene):
        return None
    return Hit({"names": listed(names)}, source=proc(scene, "root/var/spool/cron"))
