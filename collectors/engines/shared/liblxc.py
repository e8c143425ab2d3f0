"""The monitor processes of liblxc, which LXC, Incus, LXD and Proxmox share, and their cgroups.

A monitor calls itself ``[lxc monitor] LXCPATH NAME`` once it is in the background, and keeps the
command line that it was started with in the foreground (``lxc-start -F``, as Proxmox does). Any
process can set its argv, so the binary must be one of LXC's, or the container's first process must
be in a cgroup with a name that only liblxc gives, as with programs that use the library.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.cgroup_paths import cgroup_paths, find_cgroup
from collectors.engines.shared.first_process import first_inside, is_inside
from collectors.engines.shared.processes import binary_name, claimed_name
from collectors.formats.command_line import parse_command_line
from collectors.hostfs import HostReadError
from collectors.kernel.cgroups import contains

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.contract import Context
    from collectors.facts import Process

_TITLE = "[lxc monitor] "
_STARTERS = frozenset({"lxc-start", "lxc-execute"})
DAEMONS = {"incusd": "incus", "lxd": "lxd"}
"""Engines that are daemons over liblxc, by their program; their monitors are forks of it."""

DIRECTORIES = {
    "/var/lib/incus": "incus",
    "/var/lib/lxd": "lxd",
    "/var/snap/lxd/common/lxd": "lxd",
}
"""Engine by the directory in which it works unless told otherwise."""

_PROGRAMS = _STARTERS | {"lxc-autostart", "lxc-copy"} | DAEMONS.keys()
_INIT_OF_EXECUTE = frozenset({"lxc-execute", "init.lxc", "init.lxc.static", "lxc-init"})
"""What lxc-execute runs as the first process: it starts the program and reaps zombies."""

_LONG_OPTIONS = frozenset(
    {"name", "lxcpath", "rcfile", "console", "console-log", "pidfile", "define", "logfile"}
    | {"logpriority", "share-net", "share-ipc", "share-uts", "share-pid", "uid", "gid", "config"}
)
_SOCKETS_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """A monitor process and its container."""

    process: Process
    lxcpath: str
    """As the monitor sees it; empty when it is the default of the user who started it."""
    name: str
    init: Process
    executes: bool
    """Started by lxc-execute: one program, no system."""
    command: tuple[str, ...] = ()
    """Program on the command line, which overrides the configuration's."""
    rcfile: str = ""

    @property
    def engine(self) -> str:
        """Return the engine that the monitor belongs to: lxc, incus or lxd.

        An agent without privileges cannot read its binary: then the comm tells, or the lxcpath.
        """
        engine = DAEMONS.get(claimed_name(self.process))
        if engine is None and self.process.exe is None:
            engine = DIRECTORIES.get(self.lxcpath.removesuffix("/containers"))
        return engine or "lxc"


def find_monitors(ctx: Context) -> list[Monitor]:
    """Return the monitors among all processes of the host, those in containers included.

    One whose container is not there yet, or is gone, is left out.
    """
    children = ctx.processes.children()
    monitors: dict[int, Monitor] = {}
    for process in sorted(ctx.processes, key=lambda p: p.id.start_ticks):
        title = _parse_argv(process)
        parent = monitors.get(process.ppid)
        if title is None or (parent is not None and is_inside(process, parent.process)):
            # lxc-execute's first process inside is a fork of the monitor, with the same argv.
            continue
        monitor = _monitor(ctx, process, title, children)
        if monitor is not None:
            monitors[process.pid] = monitor
    return list(monitors.values())


@dataclass(frozen=True, slots=True)
class _Title:
    """What the argv of a monitor says of its container."""

    path: str
    name: str
    command: tuple[str, ...] = ()
    rcfile: str = ""


def _parse_argv(process: Process) -> _Title | None:
    """Parse the argv of a monitor; None when it is not one's."""
    if not process.argv:
        return None
    if process.argv[0].startswith(_TITLE):
        # A path may hold blanks, a name does not: lxc-create refuses it.
        path, _, name = process.argv[0].removeprefix(_TITLE).rstrip().rpartition(" ")
        return _Title(path, name) if path.startswith("/") else None
    # Where the binary cannot be read the argv is used; _monitor() then checks the cgroup.
    if (binary_name(process) or posixpath.basename(process.argv[0])) not in _STARTERS:
        return None
    line = parse_command_line(process.argv, "n:P:f:c:L:p:s:o:l:u:g:", _LONG_OPTIONS, stop=False)
    rest = list(line.rest)
    name = line.get("-n", "--name") or (rest.pop(0) if rest else "")
    path = line.get("-P", "--lxcpath") or ""
    rcfile = line.get("-f", "--rcfile") or ""
    return _Title(path, name, tuple(rest), rcfile) if name else None


def _monitor(
    ctx: Context, process: Process, title: _Title, children: Mapping[int, Sequence[int]]
) -> Monitor | None:
    init = first_inside(process, ctx, children)
    if init is None:
        return None
    path, name = title.path, title.name
    if binary_name(process) not in _PROGRAMS and not _named_cgroup(init, process, name):
        return None
    if not path:
        path = _path_by_socket(ctx, process, name)
    executes = binary_name(process) == "lxc-execute" or binary_name(init) in _INIT_OF_EXECUTE
    return Monitor(
        process=process,
        lxcpath=posixpath.normpath(path) if path else "",
        name=name,
        init=init,
        executes=executes,
        command=title.command,
        rcfile=title.rcfile if title.rcfile.startswith("/") else "",
    )


def _path_by_socket(ctx: Context, process: Process, name: str) -> str:
    """Return the lxcpath of a monitor that was given none; "" where it cannot be found.

    Its command socket is called ``@LXCPATH/NAME/command``: src/lxc/commands_utils.c.
    """
    try:
        text = ctx.host.proc.read_text(f"{process.pid}/net/unix", _SOCKETS_LIMIT)
    except HostReadError:
        return ""
    paths = set(re.findall(rf" @(/.*)/{re.escape(name)}/command$", text, re.MULTILINE))
    return paths.pop() if len(paths) == 1 else ""


def payload_cgroup(init: Process, monitor: Process, name: str, configured: str = "") -> str | None:
    """Return the cgroup of a running container, None where it shares one with its monitor.

    ``configured`` is its ``lxc.cgroup.dir.container``, on which limits are set: an inner directory
    below it may hold the processes, and it is ``/lxc/101`` then and not ``/lxc/101/ns``. An init
    that is systemd moves itself to an init.scope further below.
    """
    named = _named_cgroup(init, monitor, name, configured)
    if named:
        return named
    path = next(cgroup_paths(init), "/").removesuffix("/init.scope")
    shared = any(contains(path, other) for other in cgroup_paths(monitor))
    return None if shared or path in ("", "/") else path


def _named_cgroup(init: Process, monitor: Process, name: str, configured: str = "") -> str:
    """Return the shallowest cgroup of that name that does not contain the monitor; "" for none.

    The path of a nested container has the name of the one around it, too.
    """
    of_monitor = tuple(cgroup_paths(monitor))

    def is_its(path: str) -> bool:
        by_config = configured != "" and any(
            one == configured or one.endswith(f"/{configured}")
            for one in (path, _without_number(path))
        )
        return (by_config or _is_named(path, name)) and not any(
            contains(path, other) for other in of_monitor
        )

    return find_cgroup(init, is_its) or ""


def _is_named(path: str, name: str) -> bool:
    # /lxc/NAME of LXC 1 to 3.0, /lxc.payload/NAME of 3.1 to 3.2, /lxc.payload.NAME since 4.0; a
    # number follows when that cgroup exists already: src/lxc/cgroups/cgfsng.c.
    parent, part = posixpath.split(path)
    parts = (part, _without_number(part))
    if f"lxc.payload.{name}" in parts:
        return True
    return posixpath.basename(parent) in ("lxc", "lxc.payload") and name in parts


def _without_number(path: str) -> str:
    # No regular expression: Python keeps some hundred of them, of names long gone.
    stem, dash, number = path.rpartition("-")
    return stem if dash and number.isdecimal() else path
