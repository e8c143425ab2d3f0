"""Whether what calls itself a service of an operating system does anything that such a one does.

The name of a binary is cheap: a copy of ``sleep`` can be called sshd. But an sshd has a socket, a
cron its spool or its pid file, a systemd its event loop. What has nothing open that its kind must
have is not believed, and taken for something that waits. Where its descriptors could not be read,
it is refuted only by its own arguments, in a directory where no distribution installs such things.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.classifier.identity import contradicts_itself, identify
from agent.classifier.programs import IDLE, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from agent.classifier.identity import Identity
    from collectors.facts import Descriptors, Process

_MOST = 32
"""Claims of one container whose descriptors are read."""

_PLACES = (
    *("/bin", "/sbin", "/lib", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/libexec"),
    *("/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/usr/local/libexec"),
    *("/nix/store", "/gnu/store", "/snap", "/run/current-system", "/command", "/package"),
)
"""Directories below which distributions and their like install a system's services."""

_REFUTED = "a name that nothing else supports"

_QUIET = frozenset({"klogd", "busybox-klogd", "svscan", "readproctitle", "s6-overlay-suexec"})
"""They may have nothing open: klogd can read the kernel's messages by system calls, syslog(2)."""


def claimants(processes: Iterable[Process], visitors: Collection[int] = ()) -> list[int]:
    """Return the pids of the processes whose descriptors can refute what they claim to be."""
    pids = (p.pid for p in processes if p.pid not in visitors and _test_of(identify(p)) is not None)
    return sorted(pids)[:_MOST]


def unproven(processes: Iterable[Process], descriptors: Mapping[int, Descriptors]) -> bool:
    """Return whether a process has, so far, nothing open of what its kind must have."""
    return any(
        _is_refuted(process, identify(process), descriptors[process.pid])
        for process in processes
        if process.pid in descriptors
    )


def examined(process: Process, identity: Identity, opened: Descriptors | None) -> Identity:
    """Return the identity of a process, or that of something that waits if it is refuted."""
    if _is_refuted(process, identity, opened):
        return replace(identity, trust=0.0, info=IDLE, basis=_REFUTED)
    return identity


def credited(
    process: Process, identity: Identity, children: Iterable[tuple[Process, Identity]]
) -> Identity:
    """Return the identity of a process, restored if it holds an unrefuted one of its own kind.

    What supervises or separates privileges may have nothing open itself: syslog-ng's first process.
    """
    if identity.basis != _REFUTED:
        return identity
    whole = identify(process)
    family = whole.info.family if whole.info else ""
    for child, of_child in children:
        same = child.exe_id == process.exe_id and child.exe == process.exe
        if same and of_child.info is not None and of_child.info.family == family:
            return whole
    return identity


def _is_refuted(process: Process, identity: Identity, opened: Descriptors | None) -> bool:
    test = _test_of(identity)
    if test is None:
        return False
    if opened is not None:
        return opened.whole and not test(process, opened)
    if identity.by_argv or _in_a_usual_place(identity):
        return False
    return contradicts_itself(process, identity)


def _in_a_usual_place(identity: Identity) -> bool:
    return any(identity.directory == p or identity.directory.startswith(p + "/") for p in _PLACES)


def _test_of(identity: Identity) -> Callable[[Process, Descriptors], bool] | None:
    """Return the test that a process of its kind passes; None where there is none."""
    info = identity.info
    if info is None or identity.name in _QUIET:
        return None
    if identity.by_argv and info.family != "supervisord":
        return None  # it counts half as it is, and a shell that runs a script has little open
    if info.role is Role.MANAGER and info.family not in _TESTS:
        return None if _in_a_usual_place(identity) else _has_anything
    if info.role in (Role.OS, Role.PLUMBING, Role.MANAGER, Role.SUPERVISOR):
        return _TESTS.get(info.family)
    return None


def _beyond_stdio(opened: Descriptors) -> list[str]:
    """Return what is open besides standard input, output and error, and a socket as input."""
    return [
        link
        for number, link in opened.links.items()
        if number > 2 or (number == 0 and link.startswith("socket:"))
    ]


def _has_socket(_: Process, opened: Descriptors) -> bool:
    return any(link.startswith("socket:") for link in _beyond_stdio(opened))


def _has_event_loop(_: Process, opened: Descriptors) -> bool:
    return any(link.startswith(("socket:", "anon_inode:")) for link in _beyond_stdio(opened))


def _has_anything(process: Process, opened: Descriptors) -> bool:
    """Return whether it has more open than a shell that runs a script."""
    scripts = {word.rpartition("/")[2] for word in process.argv[1:]}
    return any(link.rpartition("/")[2] not in scripts for link in _beyond_stdio(opened))


def _keeps_time(_: Process, opened: Descriptors) -> bool:
    """Return whether it has a spool as working directory or open, a pid file, or events."""
    if (opened.directory or "").startswith(("/var/", "/etc/cron")):
        return True
    signs = ("socket:", "anon_inode:", "pipe:")
    words = ("cron", "spool", ".pid", "/atd", ".fifo")
    return any(
        link.startswith(signs) or any(word in link for word in words)
        for link in _beyond_stdio(opened)
    )


def _reads_messages(_: Process, opened: Descriptors) -> bool:
    return any(
        link.startswith(("socket:", "pipe:", "anon_inode:")) or link.endswith("/kmsg")
        for link in _beyond_stdio(opened)
    )


def _has_terminal(process: Process, opened: Descriptors) -> bool:
    terminals = ("/dev/tty", "/dev/pts", "/dev/console", "/dev/hvc", "/dev/vc")
    return bool(process.tty) or any(link.startswith(terminals) for link in opened.links.values())


_TESTS: Mapping[str, Callable[[Process, Descriptors], bool]] = {
    "sshd": _has_socket,
    "telnetd": _has_socket,
    "rlogin": _has_socket,
    "inetd": _has_anything,
    "cron": _keeps_time,
    "syslog": _reads_messages,
    "getty": _has_terminal,
    "dbus": _has_socket,
    "udev": _has_event_loop,
    "logind": _has_event_loop,
    "systemd": _has_event_loop,
    "runit": _has_anything,
    "s6": _has_anything,
    "daemontools": _has_anything,
    "supervisord": _has_anything,
}
"""By family. What is in none of them may have nothing open."""
