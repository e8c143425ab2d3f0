"""Where the definition leaves room for another reading, so that no verdict is sure.

What decides cannot be seen from outside, or was not read: then the style is unknown, or it is the
likelier one with little confidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.housekeeping import (
    TENDING,
    has_own_login,
    keeps_house,
    sshd_gives_no_shell,
    tends,
)
from agent.classifier.identity import product_directory
from agent.classifier.jobs import people_with_jobs
from agent.classifier.listening import TELNET, has_read_network, lets_people_in
from agent.classifier.people import has_accounts_without_a_shell, has_people
from agent.classifier.programs import Part
from agent.classifier.wording import application_names, listed

if TYPE_CHECKING:
    from agent.classifier.scene import Program, Scene

_FILE_SERVERS = frozenset({"ftp", "tftp", "rsync", "samba"})
_GIVES_FILES = frozenset({"ftp", "rsync", "git"})
_KNOWN_LOGINS = frozenset({"sshd", "telnetd", "inetd", "git server"})
_SSH_BY = frozenset({"sshd", "inetd"})
_NAMED = 4
_OF_VENDORS = ("/opt/", "/app/")
"""Where a maker's image has what a distribution does not."""


def is_disputable(scene: Scene) -> bool:
    """Return whether the definition leaves room for another reading, so that no verdict is sure.

    Two more cases than what keeps house, what has a login of its own and what has two fair
    readings: an sshd with nothing but its log or cron and its guard, which is a jump host or a file
    service, or a server that runs nothing yet; and an sshd that gives no shell.
    """
    if keeps_house(scene) or has_own_login(scene) or _is_way_in(scene) or two_readings(scene):
        return True
    return not scene.managed and sshd_gives_no_shell(scene)


def two_readings(scene: Scene) -> str:
    """Return the question that decides between two fair readings, if it cannot be answered."""
    if len(people_with_jobs(scene)) > 1 and keeps_house(scene):
        return "whether the people whose jobs cron runs are those of the application"
    if fed := _fed_by_a_file_server(scene):
        return f"whether its file server is for {fed}, or for people's files"
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
    if _has_unread_inetd(scene):
        return "whether its inetd lets people in: what it listens on is not known"
    if login := products_own_login(scene):
        application = listed(application_names(scene))
        return f"whether its {login} gives people a shell, or only what {application} keeps"
    known = any(program.family in _KNOWN_LOGINS for program in scene.programs)
    several = len(scene.programs) > 1 and not scene.os_services
    if several and not known and lets_people_in(scene.subject):
        return "which of its programs lets people in, and whether it gives them a shell"
    return ""


def products_own_login(scene: Scene) -> str:
    """Return the name of an sshd that may be the one application's own, as a forge's is.

    The application is somebody's product: its code, or all that is below its maker's prefix. What a
    distribution has (nginx, a database) brings no sshd, but what gives out files may have one for
    them, and an account without a shell was made for an sshd that gives none. Nobody is known who
    would log in for a shell, and beside the sshd only that runs which keeps house.
    """
    if scene.managed or len(scene.applications) != 1 or keeps_house(scene):
        return ""
    ways_in = [program for program in scene.os_services if program.family in _SSH_BY]
    others = [program for program in scene.os_services if program not in ways_in]
    if not ways_in or not all(map(tends, others)) or lets_people_in(scene.subject, {TELNET}):
        return ""
    application = scene.applications[0]
    if any(program.family == "sshd" for program in application):
        return ""  # it has one of its own: the system's is for somebody else
    its_own = any(p.family in _GIVES_FILES or _is_somebodys_product(p) for p in application)
    if has_people(scene) or not (its_own or has_accounts_without_a_shell(scene)):
        return ""
    return listed(program.name for program in ways_in)


def _fed_by_a_file_server(scene: Scene) -> str:
    """Return the name of the one web application or product that a file server runs beside.

    It may serve to fill it with files. A hosting server has both, too, but mail or a name server
    besides.
    """
    if scene.managed or len(scene.applications) != 2 or not (scene.supervised or scene.os_services):
        return ""
    if not all(map(tends, scene.os_services)) or lets_people_in(scene.subject):
        return ""
    alone = [group[0] for group in scene.applications if len(group) == 1]
    files = [program for program in alone if program.family in _FILE_SERVERS]
    others = [p for group in scene.applications for p in group if p not in files]
    parts = {program.part for program in others}
    fed = Part.WEB_SERVER in parts or any(map(_has_a_place_of_its_own, others))
    if len(files) != 1 or not fed or Part.STANDALONE in parts:
        return ""
    return "+".join(program.name for program in others[:_NAMED])


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
    return families <= {"sshd", "syslog", *TENDING, *(("cron",) if made_for_it else ())}


def _has_a_place_of_its_own(program: Program) -> bool:
    return program.part is Part.RUNTIME and bool(product_directory(program.identity.directory))


def _is_somebodys_product(program: Program) -> bool:
    directory = f"{program.identity.directory}/"
    return program.part is Part.RUNTIME or directory.startswith(_OF_VENDORS)


def _has_unread_inetd(scene: Scene) -> bool:
    """Return whether an inetd makes a server of an application, and what it serves is not known."""
    if scene.managed or len(scene.applications) > 1 or scene.services < 2:
        return False
    if has_read_network(scene.subject):
        return False
    inetd = any(program.family == "inetd" for program in scene.os_services)
    return inetd and all(tends(p, inetd=True) for p in scene.os_services)
