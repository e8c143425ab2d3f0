"""The monitor processes of liblxc: who runs a container, where it lies, and its first process.

A monitor calls itself ``[lxc monitor] LXCPATH NAME`` once it went to the background, and keeps the
command line that it was started with in the foreground (``lxc-start -F``, as Proxmox does). The
argv alone can be anybody's, so the binary must be one of LXC's, or the process that it keeps must
sit in a cgroup that only liblxc names so, as with programs that use the library.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.supervised import (
    first_inside,
    hierarchies,
    is_inside,
    parse_command_line,
    prefixes,
    program,
)
from collectors.hostfs import HostReadError
from collectors.kernel.cgroups import contains

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from collectors.contract import Context
    from collectors.engines.lxc.config import LxcConfig
    from collectors.facts import Process

_TITLE = "[lxc monitor] "
_STARTERS = frozenset({"lxc-start", "lxc-execute"})
DAEMONS = {"incusd": "incus", "lxd": "lxd"}
"""Engines that are daemons over liblxc, by their program; their monitors are forks of it."""

_PROGRAMS = _STARTERS | {"lxc-autostart", "lxc-copy"} | DAEMONS.keys()
_INIT_OF_EXECUTE = frozenset({"lxc-execute", "init.lxc", "init.lxc.static", "lxc-init"})
"""What lxc-execute puts in as first process: it starts the program and reaps."""

_LONG_OPTIONS = frozenset(
    {"name", "lxcpath", "rcfile", "console", "console-log", "pidfile", "define", "logfile"}
    | {"logpriority", "share-net", "share-ipc", "share-uts", "share-pid", "uid", "gid", "config"}
)
_SOCKETS_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """A monitor process and the container that it keeps."""

    process: Process
    lxcpath: str
    """As the monitor sees it; empty when it is the default of whoever started it."""
    name: str
    init: Process
    executes: bool
    """It was started by lxc-execute: one program, no system."""
    command: tuple[str, ...] = ()
    """Program named on the command line instead of the configuration's."""
    rcfile: str = ""

    @property
    def engine(self) -> str:
        """Name the engine whose monitor it is."""
        return DAEMONS.get(program(self.process), "lxc")


def find_monitors(ctx: Context) -> list[Monitor]:
    """Find the monitors among all processes of the host, also those in containers.

    One that has no container yet, or not any more, is left out.
    """
    children = ctx.processes.children()
    found: dict[int, Monitor] = {}
    for process in sorted(ctx.processes, key=lambda p: p.id.start_ticks):
        said = _read_argv(process)
        if said is None or (
            process.ppid in found and is_inside(process, found[process.ppid].process)
        ):
            # lxc-execute's first process inside is a copy of the monitor, name and all.
            continue
        monitor = _monitor(ctx, process, said, children)
        if monitor is not None:
            found[process.pid] = monitor
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Said:
    path: str
    name: str
    command: tuple[str, ...] = ()
    rcfile: str = ""


def _read_argv(process: Process) -> _Said | None:
    """Read what a process says of itself; None when it says nothing of being a monitor."""
    if not process.argv:
        return None
    if process.argv[0].startswith(_TITLE):
        # A path may hold blanks, a name does not: lxc-create refuses it.
        path, _, name = process.argv[0].removeprefix(_TITLE).rstrip().rpartition(" ")
        return _Said(path, name) if path.startswith("/") else None
    # Without permission to see the binary the argv has to do, and the cgroup to bear it out.
    if (program(process) or posixpath.basename(process.argv[0])) not in _STARTERS:
        return None
    line = parse_command_line(process.argv, "n:P:f:c:L:p:s:o:l:u:g:", _LONG_OPTIONS, stop=False)
    rest = list(line.rest)
    name = line.get("-n", "--name") or (rest.pop(0) if rest else "")
    path = line.get("-P", "--lxcpath") or ""
    rcfile = line.get("-f", "--rcfile") or ""
    return _Said(path, name, tuple(rest), rcfile) if name else None


def _monitor(
    ctx: Context, process: Process, said: _Said, children: Mapping[int, Sequence[int]]
) -> Monitor | None:
    init = first_inside(process, ctx, children)
    if init is None:
        return None
    path, name = said.path, said.name
    if program(process) not in _PROGRAMS and not _named_cgroup(init, process, name):
        return None
    if not path:
        path = _path_by_socket(ctx, process, name)
    executes = program(process) == "lxc-execute" or program(init) in _INIT_OF_EXECUTE
    return Monitor(
        process=process,
        lxcpath=posixpath.normpath(path) if path else "",
        name=name,
        init=init,
        executes=executes,
        command=said.command,
        rcfile=said.rcfile if said.rcfile.startswith("/") else "",
    )


def _path_by_socket(ctx: Context, process: Process, name: str) -> str:
    """Find the lxcpath of a monitor that runs in its user's default one.

    Its command socket is called ``@LXCPATH/NAME/command``: src/lxc/commands_utils.c.
    """
    try:
        text = ctx.host.proc.read_text(f"{process.pid}/net/unix", _SOCKETS_LIMIT)
    except HostReadError:
        return ""
    found = set(re.findall(rf" @(/.*)/{re.escape(name)}/command$", text, re.MULTILINE))
    return found.pop() if len(found) == 1 else ""


def payload_cgroup(
    init: Process, outside: Process | None, name: str, config: LxcConfig | None
) -> str | None:
    """Return the cgroup of a running container, None where it shares one with its monitor.

    Limits are set on ``lxc.cgroup.dir.container``, and an inner directory below it holds the
    processes: ``/lxc/101`` and not ``/lxc/101/ns``. An inner init moves on to its own init.scope.
    """
    named = _named_cgroup(init, outside, name, config)
    if named:
        return named
    path = next(hierarchies(init), "/").removesuffix("/init.scope")
    shared = outside is not None and any(contains(path, o) for o in hierarchies(outside))
    return None if shared or path in ("", "/") else path


def expected_cgroup(name: str, config: LxcConfig) -> str:
    """Return the cgroup that a container of root's will have when it runs (LXC 4 and newer)."""
    if config.container_cgroup:
        return f"/{config.container_cgroup}"
    parent = f"/{config.cgroup_dir}" if config.cgroup_dir else ""
    return f"{parent}/lxc.payload.{name}"


def _named_cgroup(
    init: Process, outside: Process | None, name: str, config: LxcConfig | None = None
) -> str:
    """Find the shallowest cgroup of that name in which the monitor itself is not.

    A container's own name may stand in the path of one that is nested in it.
    """
    elsewhere: Iterable[str] = tuple(hierarchies(outside)) if outside is not None else ()
    configured = config.container_cgroup if config else ""
    for path in hierarchies(init):
        for prefix, part in prefixes(path):
            by_config = configured and re.fullmatch(
                rf"(.*/)?{re.escape(configured)}(-\d+)?", prefix
            )
            if (by_config or _is_named(part, posixpath.dirname(prefix), name)) and not any(
                contains(prefix, other) for other in elsewhere
            ):
                return prefix
    return ""


def _is_named(part: str, parent: str, name: str) -> bool:
    # /lxc/NAME of LXC 1 to 3.0, /lxc.payload/NAME of 3.1 to 3.2, /lxc.payload.NAME since 4.0; a
    # number follows when the name was taken: src/lxc/cgroups/cgfsng.c.
    if re.fullmatch(rf"lxc\.payload\.{re.escape(name)}(-\d+)?", part):
        return True
    above = posixpath.basename(parent)
    return above in ("lxc", "lxc.payload") and bool(
        re.fullmatch(rf"{re.escape(name)}(-\d+)?", part)
    )
