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
    from collections.abc import Collection

    from agent.classifier.scene import Scene
    from collectors.facts import Account

_OF_BASE_IMAGES = frozenset({"ubuntu", "debian", "node", "user", "app"})
"""Accounts that come with base images, for whatever will run there."""


def has_people(scene: Scene) -> bool:
    """Return whether people are known to log in: they are at a shell or have left programs running.

    Else by the accounts: root or somebody has a password to type, two people or more have a shell,
    or cron runs the jobs of two. One account without a password may be the product's, and the one
    as which it runs is. One program that runs as several serves those who rent its sites.
    """
    if scene.left_running or people_with_jobs(scene) or _somebody_is_at_a_shell(scene):
        return True
    root = scene.subject.root
    accounts = [a for a in (root.accounts if root is not None else ()) if _has_a_shell(a)]
    users = _users_by_program(scene)
    numbers = {account.uid for account in accounts}
    if any(len(of_one & numbers) > 1 for of_one in users.values()):
        return True
    running = frozenset(number for of_one in users.values() for number in of_one)
    others = [account for account in accounts if not _is_a_products(account, running)]
    unlocked = any(not account.locked for account in others)
    return unlocked or sum(account.uid != 0 for account in others) > 1


def has_accounts_without_a_shell(scene: Scene) -> bool:
    """Return whether somebody has an account that gives no shell, and no application runs as it."""
    root = scene.subject.root
    numbers = {
        account.uid
        for account in (root.accounts if root is not None else ())
        if account.uid in PEOPLE and account.shell.rpartition("/")[2] in NO_SHELLS
    }
    running = {number for of_one in _users_by_program(scene).values() for number in of_one}
    return bool(numbers - running)


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


def _users_by_program(scene: Scene) -> dict[str, set[int]]:
    """Return as which users each program of the applications runs, in the container's numbers."""
    isolation, init = scene.subject.container.isolation, scene.init
    # In a user namespace they begin where its root is, as which the first process starts.
    mapped = isolation.user_mapped and init is not None
    start = (init.uid or 0) if mapped and init is not None else 0
    users: dict[str, set[int]] = {}
    for program in (program for group in scene.applications for program in group):
        for process in program.processes:
            if process.uid is not None and process.uid != start:
                users.setdefault(identify(process).name, set()).add(process.uid - start)
    return users


def _is_a_products(account: Account, running: Collection[int]) -> bool:
    """Return whether an application runs as an account, or a base image brought it."""
    return account.uid in running or (account.locked and account.name in _OF_BASE_IMAGES)
