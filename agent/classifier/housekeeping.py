"""Whether the operating system services beside an application only keep house for it.

Cron, syslog and what tends a machine come with many images of one application. They make a small
server of it only together with what lets people in or runs unrelated things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.listening import lets_people_in, takes_messages
from agent.classifier.names import ADMINISTRATION
from agent.classifier.programs import families

if TYPE_CHECKING:
    from agent.classifier.scene import Program, Scene

_FAMILIES = frozenset({"cron", "syslog", "dbus", "polkit", "accounts", "storage", "desktop"})
_TENDING = families(ADMINISTRATION)
_LOGIN = frozenset({"sshd"})
_FORGE = "git server"


def keeps_house(scene: Scene) -> bool:
    """Return whether all operating system services belong to the one application that runs.

    No service manager was booted, nobody can log in or has left programs running, no second
    unrelated application runs, and the syslog takes no messages from other hosts while there is an
    application. The sshd of a forge is a part of it, by which it gives out what it keeps.
    """
    services = scene.os_services
    if scene.managed or not services or scene.services < 2 or len(scene.applications) > 1:
        return False
    if scene.left_running:
        return False
    forge = _is_forge(scene)
    if not forge and lets_people_in(scene.subject):
        return False
    if not all(_tends(program) or (forge and program.family in _LOGIN) for program in services):
        return False
    syslog = [program for program in services if program.family == "syslog"]
    return not (scene.applications and takes_messages(syslog, scene.subject))


def _tends(program: Program) -> bool:
    return program.family in _FAMILIES or program.family in _TENDING


def _is_forge(scene: Scene) -> bool:
    return any(p.family == _FORGE for group in scene.applications for p in group)
