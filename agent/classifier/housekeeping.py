"""Whether the operating system services beside an application only keep house for it.

Cron, syslog and what tends a machine come with many images of one application. They make a small
server of it only together with what lets people in or runs unrelated things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.jobs import configuration, gives_no_shell, people_with_jobs
from agent.classifier.listening import lets_people_in, takes_messages
from agent.classifier.names import ADMINISTRATION
from agent.classifier.programs import Part, families

if TYPE_CHECKING:
    from agent.classifier.scene import Program, Scene

_FAMILIES = frozenset({"cron", "syslog", "dbus", "polkit", "accounts", "storage", "desktop"})
_TENDING = families(ADMINISTRATION)
_LOGIN = frozenset({"sshd"})
_FORGE = "git server"
_FILE_SERVERS = frozenset({"ftp", "tftp", "rsync", "samba"})
_SYSTEMS_OWN = ("/etc/ssh/sshd_config", "/etc/sshd_config")
_KNOWN_LOGINS = frozenset({"sshd", "telnetd", "inetd", "git server"})


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
    forge = _is_forge(scene) or _gives_no_shell(scene)
    if not forge and lets_people_in(scene.subject):
        return False
    own = scene.subject.network is not None and scene.subject.container.network == "own"
    serves = own and bool(scene.applications)
    if not all(
        _tends(program, inetd=serves) or (forge and program.family in _LOGIN)
        for program in services
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


def is_disputable(scene: Scene) -> bool:
    """Return whether the definition leaves room for another reading, so that no verdict is sure.

    Two more cases than what keeps house, what has a login of its own and what has two fair
    readings: an sshd with nothing but its log or cron and its guard, which is a jump host or a file
    service, or a server that runs nothing yet; and an sshd that gives no shell.
    """
    if keeps_house(scene) or has_own_login(scene) or _is_way_in(scene) or two_readings(scene):
        return True
    return not scene.managed and _gives_no_shell(scene)


def two_readings(scene: Scene) -> str:
    """Return the question that decides between two fair readings, if it cannot be answered."""
    if len(people_with_jobs(scene)) > 1 and keeps_house(scene):
        return "whether the people whose jobs cron runs are those of the application"
    if _is_shown_files(scene):
        return "whether its file server is for what its web server shows, or for people's files"
    if (
        scene.services == 1
        and scene.sessions
        and scene.left_running
        and len(scene.login_users) == 1
    ):
        return "whether the one user who has left programs running in it lives there or visits"
    cron = any(program.family == "cron" for program in scene.os_services)
    if cron and _is_way_in(scene) and not keeps_house(scene):
        return "whether its sshd gives people a shell, or only what it keeps"
    known = any(program.family in _KNOWN_LOGINS for program in scene.programs)
    several = len(scene.programs) > 1 and not scene.os_services
    if several and not known and lets_people_in(scene.subject):
        return "which of its programs lets people in, and whether it gives them a shell"
    return ""


def _is_shown_files(scene: Scene) -> bool:
    """Return whether a file server runs beside one web application, as to fill it with files.

    A hosting server has both, too, but mail or a name server besides.
    """
    if scene.managed or len(scene.applications) != 2 or not (scene.supervised or scene.os_services):
        return False
    if not all(map(_tends, scene.os_services)) or lets_people_in(scene.subject):
        return False
    alone = [group[0] for group in scene.applications if len(group) == 1]
    files = [program for program in alone if program.family in _FILE_SERVERS]
    others = [p for group in scene.applications for p in group if p not in files]
    parts = {program.part for program in others}
    return len(files) == 1 and Part.WEB_SERVER in parts and Part.STANDALONE not in parts


def _is_way_in(scene: Scene) -> bool:
    """Return whether an sshd, its syslog or its cron and what tends them are all that runs.

    A cron is taken for the sshd's own only where the container was made for the sshd: it is the
    first process, or a supervisor holds both.
    """
    families = {program.family for program in scene.os_services}
    if scene.managed or scene.applications or scene.sessions or scene.left_running:
        return False
    if not {"sshd"} < families or {"cron", "syslog"} <= families:
        return False
    first = {p.family for p in scene.os_services if scene.init in p.processes}
    made_for_it = bool(scene.supervisor) or "sshd" in first
    return families <= {"sshd", "syslog", *_TENDING, *(("cron",) if made_for_it else ())}


def _gives_no_shell(scene: Scene) -> bool:
    """Return whether an sshd runs that gives out files or a product, by its rules."""
    root = scene.subject.root
    accounts = root.accounts if root is not None else ()
    sshd = any(program.family in _LOGIN for program in scene.os_services)
    return sshd and gives_no_shell(scene.subject.files.sshd, accounts)


def _tends(program: Program, *, inetd: bool = False) -> bool:
    """Return whether a service only tends; with ``inetd`` an inetd does, too: no port lets in."""
    serves = inetd and program.family == "inetd"
    return serves or program.family in _FAMILIES or program.family in _TENDING


def _is_forge(scene: Scene) -> bool:
    return any(p.family == _FORGE for group in scene.applications for p in group)
