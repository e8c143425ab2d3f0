"""Whether people log into a container for a shell, or nobody but its product is known there.

Accounts are files, which a container can write: they only decide between a server and an open
question, and never make an application sure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.identity import identify
from agent.classifier.jobs import NO_SHELLS, PEOPLE, people_with_jobs
from agent.classifier.programs import Role
from agent.classifier.shells import is_interactive

if TYPE_CHECKING:
    from agent.classifier.scene import Scene
    from collectors.facts import Account

_OF_BASE_IMAGES = frozenset({"ubuntu", "debian", "node", "user", "app"})
"""Accounts that come with base images, for whatever will run there."""


def has_people(scene: Scene) -> bool:
    """Return whether people are known to log in: they are at a shell or have left programs running.

    Else by the accounts: root or somebody has a password to type, two people or more have a shell,
    or cron runs the jobs of two. One account without a password may be the product's, and the one
    as which it runs is; what runs as several are the sites of those who rent them.
    """
    if scene.left_running or people_with_jobs(scene) or _somebody_is_at_a_shell(scene):
        return True
    root = scene.subject.root
    accounts = [a for a in (root.accounts if root is not None else ()) if _has_a_shell(a)]
    running = [account for account in accounts if _runs_as(account, scene)]
    if len(running) > 1:
        return True
    people = [a for a in accounts if a not in running and not _is_of_a_base_image(a)]
    unlocked = any(not account.locked for account in people)
    return unlocked or sum(account.uid != 0 for account in people) > 1


def _somebody_is_at_a_shell(scene: Scene) -> bool:
    return any(
        identify(process).role is Role.SHELL and is_interactive(process)
        for session in scene.sessions.values()
        for process in session
    )


def _has_a_shell(account: Account) -> bool:
    if account.shell.rpartition("/")[2] in NO_SHELLS:
        return False
    return account.uid == 0 or account.uid in PEOPLE


def _runs_as(account: Account, scene: Scene) -> bool:
    """Return whether an application runs as the account of a person."""
    isolation, init = scene.subject.container.isolation, scene.init
    # In a user namespace the numbers begin where its root is, as which the first process starts.
    mapped = isolation.user_mapped and init is not None
    start = (init.uid or 0) if mapped and init is not None else 0
    runs = {q.uid for group in scene.applications for p in group for q in p.processes}
    return account.uid != 0 and start + account.uid in runs


def _is_of_a_base_image(account: Account) -> bool:
    return account.locked and account.name in _OF_BASE_IMAGES
