"""Whether the operating system services beside an application only keep house for it.

Cron, syslog and what tends a machine come with many images of one application. They make a small
server of it only together with what lets people in or runs unrelated things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.jobs import configuration, gives_no_shell
from agent.classifier.listening import (
    has_read_network,
    lets_people_in,
    serves_others,
    takes_messages,
)
from agent.classifier.names import ADMINISTRATION
from agent.classifier.programs import families

if TYPE_CHECKING:
    from agent.classifier.scene import Program, Scene

_FAMILIES = frozenset({"cron", "syslog", "dbus", "polkit", "accounts", "storage", "desktop"})
TENDING = families(ADMINISTRATION)
_LOGIN = frozenset({"sshd"})
_FORGE = "git server"
_SYSTEMS_OWN = ("/etc/ssh/sshd_config", "/etc/sshd_config")


def keeps_house(scene: Scene) -> bool:
    """Return whether all operating system services belong to the one application that runs.

    No service manager was booted, nobody can log in or has left programs running, no second
    unrelated application runs, and the syslog takes no messages from other hosts while there is an
    application. The sshd of a forge, or one whose rules give nobody a shell, is a part of it, by
    which it gives out what it keeps.
    """
    services = scene.os_services
    if scene.managed or not services or scene.services < 2 or len(scene.applications) > 1:
        return False
    if scene.left_running:
        return False
    forge = _is_forge(scene) or sshd_gives_no_shell(scene)
    if not forge and lets_people_in(scene.subject):
        return False
    inetd = has_read_network(scene.subject) and (
        bool(scene.applications) or serves_others(scene.subject)
    )
    if not all(
        tends(program, inetd=inetd) or (forge and program.family in _LOGIN) for program in services
    ):
        return False
    syslog = [program for program in services if program.family == "syslog"]
    return not (scene.applications and takes_messages(syslog, scene.subject))


def has_own_login(scene: Scene) -> bool:
    """Return whether an sshd beside one application has a configuration of its own.

    That of a forge or of a file service may give out the application's data and no shell, the
    system's lets people in. Which of the two it is cannot be seen from outside.
    """
    if scene.managed or len(scene.applications) != 1:
        return False
    return any(
        configuration(process.argv) not in ("", *_SYSTEMS_OWN)
        for program in scene.os_services
        if program.family == "sshd"
        for process in program.processes
    )


def sshd_gives_no_shell(scene: Scene) -> bool:
    """Return whether an sshd runs that gives out files or a product, by its rules."""
    root = scene.subject.root
    accounts = root.accounts if root is not None else ()
    sshd = any(program.family in _LOGIN for program in scene.os_services)
    return sshd and gives_no_shell(scene.subject.files.sshd, accounts)


def tends(program: Program, *, inetd: bool = False) -> bool:
    """Return whether a service only tends; with ``inetd`` an inetd does, too: no port lets in."""
    serves = inetd and program.family == "inetd"
    return serves or program.family in _FAMILIES or program.family in TENDING


def _is_forge(scene: Scene) -> bool:
    return any(p.family == _FORGE for group in scene.applications for p in group)
