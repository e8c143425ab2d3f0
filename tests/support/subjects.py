"""Makes subjects for the classifier from process trees written as nested calls."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.classifier import classify, findings, read_scene
from agent.model import Container, Evidence, Subject, Verdict
from collectors.facts import (
    FileId,
    HostFacts,
    Listener,
    Namespaces,
    NetworkFacts,
    Process,
    ProcessId,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.patterns import Override

NOW = 1_700_000_000.0
HOST = HostFacts(
    nodename="host",
    boot_time=NOW - 100_000,
    namespaces=Namespaces(cgroup=1, ipc=1, mnt=1, net=1, pid=1, time=1, user=1, uts=1),
    root=FileId(1, 2),
)
INNER = Namespaces(cgroup=1, ipc=2, mnt=2, net=2, pid=2, time=1, user=1, uts=2)
FIRST = 1000

_BINARIES = {
    "sshd": "/usr/sbin/sshd",
    "cron": "/usr/sbin/cron",
    "rsyslogd": "/usr/sbin/rsyslogd",
    "nginx": "/usr/sbin/nginx",
    "systemd": "/usr/lib/systemd/systemd",
    "journald": "/usr/lib/systemd/systemd-journald",
    "logind": "/usr/lib/systemd/systemd-logind",
    "dbus": "/usr/bin/dbus-daemon",
    "agetty": "/sbin/agetty",
    "php-fpm": "/usr/sbin/php-fpm8.2",
    "postgres": "/usr/lib/postgresql/15/bin/postgres",
    "mysqld": "/usr/sbin/mysqld",
    "redis": "/usr/bin/redis-server",
    "supervisord": "/usr/bin/python3.11 /usr/bin/python3 /usr/bin/supervisord -n",
    "runsvdir": "/usr/bin/runsvdir",
    "runsv": "/usr/bin/runsv",
    "python": "/usr/bin/python3.11",
    "sh": "/usr/bin/dash sh",
    "bash": "/usr/bin/bash",
    "sleep": "/usr/bin/sleep",
    "tail": "/usr/bin/tail",
    "tini": "/usr/bin/tini",
    "login": "/usr/bin/login",
    "tmux": "/usr/bin/tmux",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A process with its children."""

    exe: str | None
    argv: tuple[str, ...]
    children: tuple[Node, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


def run(what: str, *children: Node, args: str = "", **more: Any) -> Node:
    """Return a process by a short name (or ``exe`` and, after a blank, ``argv``), with children.

    ``own=True`` gives it a session of its own, as a daemon has.
    """
    words = _BINARIES.get(what, what).split(" ")
    exe, argv = words[0], words[1:] or words[:1]
    return Node(exe, (*argv, *args.split()), children, more)


def claims(exe: str, *argv: str, **more: Any) -> Node:
    """Return a process whose arguments claim something, whatever its binary is."""
    return Node(exe, argv, (), more)


def applet(name: str, *children: Node, **more: Any) -> Node:
    """Return an applet of busybox."""
    return run(f"/bin/busybox {name}", *children, **more)


def session(*inside: Node, user: int = 1001) -> Node:
    """A login over ssh: the privileged half, the user's half, a shell at a pty."""
    shell = run("bash", *inside, args="-l", uid=user, tty=34816, own=True)
    half = claims("/usr/sbin/sshd", "sshd: ann@pts/0", uid=user)
    return Node(
        "/usr/sbin/sshd",
        ("sshd: ann [priv]",),
        (Node(half.exe, half.argv, (shell,), half.more),),
        {"own": True},
    )


def subject(
    tree: Node | None,
    *beside: Node,
    entered_from_outside: tuple[Node, ...] = (),
    engine: str = "docker",
    **container: Any,
) -> Subject:
    """Return the subject of a container whose first process is ``tree``.

    ``beside`` are daemons that it has adopted; ``entered_from_outside`` came in from outside.
    """
    numbers = itertools.count(FIRST)
    processes: list[Process] = []
    if tree is not None:
        adopted = tuple(replace(n, more={"own": True, **n.more}) for n in beside)
        whole = replace(tree, children=(*tree.children, *adopted))
        processes += _processes(whole, 7, FIRST, numbers)
    inside = len(processes)
    for root in entered_from_outside:
        processes += _processes(root, 8, next(numbers), numbers)
    made: dict[str, Any] = {
        "id": "/docker/c",
        "engine": engine,
        "name": "c",
        "state": State.RUNNING if processes else State.EXITED,
        "init": processes[0].id if processes else None,
        "network": "own",
        "created": NOW - 600,
        "started": NOW - 500 if processes else None,
        "cgroup": "/docker/c",
    } | container
    return Subject(
        container=Container(**made),
        host=HOST,
        now=NOW,
        processes=tuple(processes),
        entered_from_outside=frozenset(p.pid for p in processes[inside:]),
    )


def listening(container: Subject, *ports: int, protocol: str = "tcp") -> Subject:
    """Return a container in whose own network something listens on these ports."""
    listeners = (
        Listener(protocol=protocol, address="0.0.0.0", port=port, uid=0, inode=port)
        for port in ports
    )
    return replace(container, network=NetworkFacts(listeners=tuple(listeners)))


def verdict_of(subject: Subject, overrides: Iterable[Override] = ()) -> Verdict:
    """Return the verdict of a subject."""
    return classify(read_scene(subject), overrides)


def findings_of(subject: Subject) -> set[str]:
    """Return the names of a subject's findings."""
    scene = read_scene(subject)
    return {f.name for f in findings(scene, classify(scene))}


def evidence_of(subject: Subject) -> dict[str, Evidence]:
    """Return the evidence on a subject, by rule."""
    return {piece.rule: piece for piece in verdict_of(subject).evidence}


def _processes(node: Node, parent: int, session: int, numbers: Iterator[int]) -> list[Process]:
    pid = next(numbers)
    more = dict(node.more)
    own_session = pid if more.pop("own", False) else session
    unit = more.pop("unit", "")
    facts: dict[str, Any] = {
        "session": own_session,
        "uid": 0,
        "ns_pids": (pid, pid - FIRST + 1),
        "namespaces": INNER,
        "cgroups": {"": f"/docker/c{unit}"},
    } | more
    process = Process(
        id=ProcessId(pid, pid),
        ppid=parent,
        comm=(node.argv[0] if node.argv else "?").rpartition("/")[2][:15],
        argv=node.argv,
        exe=node.exe,
        **facts,
    )
    children = [p for c in node.children for p in _processes(c, pid, own_session, numbers)]
    return [process, *children]


def booted(*units: Node, **more: Any) -> Node:
    """Return a systemd that runs each of ``units`` in a cgroup of its own."""
    held = tuple(
        replace(u, more={"own": True, "unit": f"/system.slice/u{i}.service", **u.more})
        for i, u in enumerate(units)
    )
    return replace(run("systemd", *held, **more), more={"unit": "/init.scope", **more})


NGINX = run("nginx", run("nginx", uid=33), run("nginx", uid=33))
PHP = run("php-fpm", run("php-fpm", uid=33), run("php-fpm", uid=33))
SSHD = run("sshd", args="-D")
CRON = run("cron", args="-f")
SYSLOG = run("rsyslogd", args="-n")
REDIS = run("redis", uid=101)
POSTGRES = run("postgres", run("postgres", uid=103), uid=103)
GETTY = run("agetty", args="-o -p tty1", tty=1025)
JOURNALD = run("journald")
