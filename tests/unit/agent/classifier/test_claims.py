"""What calls itself a service, and has nothing open that such a service must have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agent.classifier import read_scene
from agent.classifier.claims import claimants, examined, unproven
from agent.classifier.identity import identify
from agent.classifier.programs import IDLE
from agent.classifier.scene import InitKind
from agent.model import Style
from collectors.facts import Descriptors
from tests.support.processes import process
from tests.support.subjects import (
    CRON,
    NGINX,
    SSHD,
    Node,
    booted,
    claims,
    run,
    subject,
    verdict_of,
)

if TYPE_CHECKING:
    from agent.model import Subject

_STDIO = {0: "/dev/null", 1: "pipe:[1]", 2: "pipe:[2]"}
_SOCKET = "socket:[7]"
_LOOP = "anon_inode:[eventpoll]"
_SBIN = "/usr/sbin"


def opened(*links: str, directory: str = "/", whole: bool = True, **stdio: str) -> Descriptors:
    """Return descriptors from the third on, and the standard ones unless others are given."""
    first = _STDIO | {int(name[1:]): link for name, link in stdio.items()}
    return Descriptors(
        directory=directory, links={**first, **dict(enumerate(links, 3))}, whole=whole
    )


def is_believed(exe: str, what: Descriptors | None, *argv: str, tty: int = 0) -> bool:
    one = process(10, exe=exe, argv=(exe, *argv), tty=tty)
    return examined(one, identify(one), what).info is not IDLE


@pytest.mark.parametrize(
    ("exe", "links", "directory"),
    [
        ("/usr/sbin/sshd", (_SOCKET,), "/"),
        ("/usr/sbin/inetd", (_SOCKET,), "/"),
        ("/usr/sbin/xinetd", ("pipe:[9]",), "/"),
        ("/usr/sbin/cron", ("/run/crond.pid",), "/"),
        ("/usr/sbin/cron", (), "/var/spool/cron"),
        ("/usr/sbin/crond", ("anon_inode:inotify",), "/"),
        ("/usr/sbin/atd", ("/run/atd.pid",), "/"),
        ("/usr/sbin/rsyslogd", (_SOCKET,), "/"),
        ("/usr/sbin/klogd", (), "/"),
        ("/usr/bin/svscan", (), "/service"),
        ("/usr/bin/dbus-daemon", (_SOCKET,), "/"),
        ("/usr/lib/systemd/systemd", (_LOOP,), "/"),
        ("/usr/lib/systemd/systemd-journald", (_LOOP, _SOCKET), "/"),
        ("/usr/bin/runsvdir", ("/etc/service",), "/"),
        ("/usr/bin/s6-svscan", ("/run/service/.s6-svscan/control",), "/"),
        ("/sbin/init", (), "/"),
        ("/usr/sbin/smartd", (), "/"),
        ("/usr/sbin/nginx", (), "/"),
    ],
)
def test_what_does_its_work_is_believed(exe: str, links: tuple[str, ...], directory: str) -> None:
    assert is_believed(exe, opened(*links, directory=directory))


@pytest.mark.parametrize(
    "exe",
    [
        *("/usr/sbin/sshd", "/usr/sbin/cron", "/usr/sbin/rsyslogd", "/usr/sbin/agetty"),
        *("/usr/bin/dbus-daemon", "/usr/lib/systemd/systemd", "/usr/bin/runsvdir"),
        *("/usr/lib/systemd/systemd-logind", "/opt/r/sshd", "/opt/r/openrc-init", "/opt/r/runit"),
    ],
)
def test_what_does_nothing_is_not(exe: str) -> None:
    assert not is_believed(exe, opened())
    assert not is_believed(exe, Descriptors())
    assert is_believed(exe, opened("/a", whole=False))
    assert is_believed(exe, None)


def test_a_script_that_a_copy_of_a_shell_reads_is_no_work() -> None:
    assert not is_believed("/opt/r/systemd", opened("/w.sh"), "/w.sh")
    assert not is_believed("/opt/r/runsvdir", opened("/w.sh"), "/w.sh")
    assert not is_believed("/opt/r/cron", opened("/w.sh"), "/w.sh")


def test_standard_output_to_the_journal_is_no_work_but_a_socket_as_input_is() -> None:
    assert not is_believed("/usr/sbin/sshd", opened(n1=_SOCKET, n2=_SOCKET))
    assert is_believed("/usr/sbin/sshd", opened(n0=_SOCKET))


def test_a_getty_has_a_terminal() -> None:
    assert is_believed("/sbin/agetty", opened(n0="/dev/tty1"))
    assert is_believed("/sbin/agetty", opened(), tty=1025)


def test_where_nothing_open_is_known_place_and_arguments_must_both_be_wrong() -> None:
    for name in ("sshd", "cron", "systemd"):
        assert not is_believed(f"/opt/r/{name}", None, "86400")
        assert is_believed(f"/opt/r/{name}", None)
        assert is_believed(f"/usr/sbin/{name}", None, "86400")
    assert is_believed("/opt/r/runsvdir", None, "/etc/service")
    assert is_believed("/opt/r/systemd", None, "3")


def test_applets_and_scripts_count_half_already() -> None:
    for exe, *argv in (("/bin/busybox", "crond"), ("/bin/sh", "/sbin/svscanboot")):
        one = process(10, exe=exe, argv=tuple(argv) if "busybox" in exe else (exe, *argv))
        assert examined(one, identify(one), opened()).info is not IDLE
    script = process(10, exe="/usr/bin/python3", argv=("python3", "/opt/r/supervisord"))
    assert examined(script, identify(script), opened()).info is IDLE


def test_only_claims_are_read_and_no_visitors() -> None:
    several = [
        process(10, exe="/usr/sbin/sshd"),
        process(11, exe="/usr/sbin/nginx"),
        process(12, exe="/usr/sbin/cron"),
        process(13, exe="/usr/sbin/cron"),
    ]
    assert claimants(several, {13}) == [10, 12]
    assert len(claimants(process(pid, exe="/usr/sbin/cron") for pid in range(100, 300))) == 32
    assert unproven(several, {10: opened(), 12: opened("/run/crond.pid")})
    assert not unproven(several, {10: opened(_SOCKET)})
    assert not unproven(several, {})


def with_open(tree: Node, *nothing: str, **container: Any) -> Subject:
    """Return a container whose processes of these names have nothing open, all others a socket."""
    inside = subject(tree, **container)
    return replace(
        inside,
        descriptors={
            p.pid: opened() if p.exe and p.exe.rpartition("/")[2] in nothing else opened(_SOCKET)
            for p in inside.processes
        },
    )


_RENAMED = Node(
    "/opt/r/systemd", ("systemd",), (claims("/opt/r/sshd", "sshd"), claims("/opt/r/cron", "cron"))
)


def test_renamed_sleeps_are_no_system() -> None:
    assert verdict_of(subject(_RENAMED)).style is Style.SYSTEM
    renamed = with_open(_RENAMED, "systemd", "sshd", "cron")
    scene = read_scene(renamed)
    assert (scene.init_kind, scene.services, scene.os_services) == (InitKind.WAITING, 0, ())
    assert verdict_of(renamed).style is Style.APP


def test_a_system_that_works_is_one() -> None:
    system = with_open(booted(SSHD, CRON))
    assert verdict_of(system) == verdict_of(subject(booted(SSHD, CRON)))


def test_one_that_does_nothing_beside_those_that_work_is_left_out() -> None:
    scene = read_scene(with_open(run("sh", SSHD, CRON, NGINX), "cron"))
    assert [p.name for p in scene.os_services] == ["sshd"]
    assert scene.services == 2


def test_what_has_just_started_is_given_time() -> None:
    now = subject(SSHD).now
    assert verdict_of(with_open(_RENAMED, "systemd", "sshd", "cron", started=now - 1)) == (
        verdict_of(subject(_RENAMED, started=now - 1))
    )


def test_what_holds_one_of_its_kind_that_works_is_believed_too() -> None:
    def syslog(*below: Node) -> Node:
        return Node("/usr/sbin/syslog-ng", ("supervising syslog-ng",), below, {"own": True})

    working = run("/usr/sbin/syslog-ng", args="-F")
    tree = subject(NGINX, syslog(working))
    pids = {p.argv[0]: p.pid for p in tree.processes}
    idle, busy = Descriptors(links=_STDIO), opened(_SOCKET)
    known = {pids["supervising syslog-ng"]: idle, pids["/usr/sbin/syslog-ng"]: busy}
    (found,) = read_scene(replace(tree, descriptors=known)).os_services
    assert (found.name, found.doubt, len(found.processes)) == ("syslog-ng", "", 2)
    refuted = replace(tree, descriptors=dict.fromkeys(known, idle))
    assert read_scene(refuted).os_services == ()


@pytest.mark.parametrize(
    ("exe", "argv", "links", "directory"),
    [
        ("/usr/sbin/crond", ("-f", "-l", "8"), (), "/var/spool/cron/crontabs"),  # dcron
        ("/usr/sbin/fcron", ("-f",), ("socket:[9]", "/run/fcron.pid"), "/var/spool/fcron"),
        ("/usr/local/bin/supercronic", ("/etc/crontab",), (_LOOP, "pipe:[9]"), "/"),
        ("/usr/local/bin/supercronic", ("jobs",), (_LOOP,), "/app"),
        ("/usr/local/bin/go-crond", ("/etc/crontab", "--allow-unprivileged"), (_LOOP,), "/"),
        ("/usr/sbin/metalog", ("-N",), (_SOCKET, "/var/log/everything/current"), "/"),
        ("/usr/sbin/metalog", ("[KERNEL]",), ("/proc/kmsg", "pipe:[9]"), "/"),
        ("/usr/sbin/rsyslogd", ("-n", "-iNONE"), (_SOCKET, _LOOP), "/"),
        ("/usr/sbin/crond", ("-n",), ("/run/crond.pid", "anon_inode:inotify"), "/"),  # cronie
    ],
)
def test_every_cron_and_syslog_is_believed_wholly_with_its_own_arguments(
    exe: str, argv: tuple[str, ...], links: tuple[str, ...], directory: str
) -> None:
    """As their sources call and open things; not all of them can be installed everywhere."""
    first = f"{exe} {argv[0]}" if argv[0].startswith("[") else exe
    one = process(10, exe=exe, argv=(first, *(argv if first == exe else ())))
    what = examined(one, identify(one), opened(*links, directory=directory))
    assert (what.trust, what.believed_by_half) == (1.0, True)


def test_a_number_is_no_table() -> None:
    one = process(10, exe="/opt/r/supercronic", argv=("/opt/r/supercronic", "86400"))
    assert examined(one, identify(one), None).info is IDLE
