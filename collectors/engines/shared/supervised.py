"""Containers whose engine stays on as their parent, and how to find the first process inside.

LXC, systemd-nspawn, libvirt and most sandboxes keep one process outside for each container. Its
binary is the kernel's word for who made the container; the first process inside is told by the
namespaces that it has and its parent has not.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from collectors.hostfs import Gone
from collectors.kernel.cgroups import SYSTEMD, UNIFIED
from collectors.kernel.processes import read_mounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.contract import Context
    from collectors.facts import HostFacts, Process, ProcessId
    from collectors.hostfs import Dir

_DEEPEST = 3
"""Generations below the engine's process in which the first one inside is looked for."""

_INIT_PROGRAMS = frozenset(
    {"init", "systemd", "runit", "runit-init", "openrc-init", "s6-svscan", "sysvinit", "upstart"}
)


def program(process: Process) -> str:
    """Name the binary that a process runs, also after its file was replaced; "" if unreadable."""
    return posixpath.basename((process.exe or "").removesuffix(" (deleted)"))


def is_inside(process: Process, outside: Process) -> bool:
    """Return whether a process has a mount or pid namespace that ``outside`` is not in."""
    mine, theirs = process.namespaces.mnt, outside.namespaces.mnt
    if mine is not None and theirs is not None:
        return mine != theirs
    # Without permission: /proc/<pid>/status is open to all, and NSpid grows by one a namespace.
    return has_own_pids(process, outside)


def has_own_pids(process: Process, outside: Process) -> bool:
    """Return whether a process is in a pid namespace below that of ``outside``."""
    return len(process.ns_pids) > len(outside.ns_pids)


def first_inside(
    outside: Process,
    ctx: Context,
    children: Mapping[int, Sequence[int]],
    *,
    own_pids: bool = False,
) -> Process | None:
    """Find the first process of the container that ``outside`` keeps; None while there is none.

    With ``own_pids`` it must have a pid namespace of its own: what the engine forks while it sets
    the container up may have the mount namespace only.
    """
    generation = [outside.pid]
    for _ in range(_DEEPEST):
        below = [
            process
            for pid in generation
            for child in children.get(pid, ())
            if (process := ctx.processes.get(child)) is not None and process.state not in "ZX"
        ]
        inside = [
            p for p in below if is_inside(p, outside) and (not own_pids or has_own_pids(p, outside))
        ]
        if inside:
            return min(
                inside,
                key=lambda p: (not has_own_pids(p, outside), p.inner_pid != 1, p.id.start_ticks),
            )
        generation = [p.pid for p in below]
    return None


def started_at(facts: HostFacts, process: ProcessId) -> float | None:
    """Return when a process started, in seconds since the epoch."""
    if not facts.boot_time:
        return None
    return facts.boot_time + process.start_ticks / os.sysconf("SC_CLK_TCK")


def sees_host_files(process: Process, facts: HostFacts) -> bool:
    """Return whether the paths in a process's arguments and exe are paths of the host."""
    return (
        process.root is None
        or process.root == facts.root
        or process.namespaces.mnt == facts.namespaces.mnt
    )


def instance_of(path: str, process: Process, facts: HostFacts) -> str:
    """Name the engine instance that works in ``path``.

    An engine inside a container has its path in the container's own view, so the mount namespace
    is added: two containers may each have a /var/lib/lxc.
    """
    if sees_host_files(process, facts):
        return path
    return f"{path}@mnt:[{process.namespaces.mnt}]"


@contextmanager
def files_of(ctx: Context, process: Process | None) -> Iterator[Dir]:
    """Open the root filesystem in which the paths of a process are looked up; None is the host.

    A container with a FUSE mount is not looked into: whoever is in it could serve a file that
    never comes, and one container is not worth the collector. lxcfs is the host's, below /proc.
    """
    if process is None or sees_host_files(process, ctx.facts):
        yield ctx.host.root
        return
    for mount in read_mounts(ctx.host, process.pid):
        if mount.fstype.startswith("fuse") and mount.fstype != "fuse.lxcfs":
            raise Gone(f"/proc/{process.pid}/root", "not looked into because of a FUSE mount")
    with ctx.host.container_root(process.pid) as root:
        yield root


def hierarchies(process: Process) -> Iterator[str]:
    """Return the cgroup paths of a process, systemd's hierarchy first: that one names things."""
    for controller in (SYSTEMD, UNIFIED):
        if controller in process.cgroups:
            yield process.cgroups[controller]
    for controller in sorted(process.cgroups):
        if controller not in (SYSTEMD, UNIFIED):
            yield process.cgroups[controller]


def prefixes(path: str) -> Iterator[tuple[str, str]]:
    """Return each cgroup on the way to ``path``, the shallowest first, with its last component."""
    parts = path.split("/")
    for index in range(1, len(parts)):
        yield "/".join(parts[: index + 1]), parts[index]


def boots_system(command: Sequence[str]) -> bool | None:
    """Return whether a command boots a system; None for an ``/init`` that may be anything."""
    head = command[0]
    if head == "/init":
        return None
    if posixpath.basename(head) == "busybox":
        return command[1:2] in (["init"], ("init",))
    return posixpath.basename(head) in _INIT_PROGRAMS


class CommandLine(NamedTuple):
    """A command line taken apart as getopt_long(3) does it."""

    options: list[tuple[str, str]]
    rest: list[str]

    def get(self, *names: str) -> str | None:
        """Return the last value of an option under any of its names; "" for one without a value."""
        return next((v for k, v in reversed(self.options) if k in names), None)

    def has(self, *names: str) -> bool:
        """Return whether an option is there under any of its names."""
        return self.get(*names) is not None


def parse_command_line(
    argv: Sequence[str], short: str, long: frozenset[str], *, stop: bool
) -> CommandLine:
    """Take an engine's command line apart.

    ``short`` is getopt's string, ``long`` the names of the long options that want a value. With
    ``stop`` the first word that is no option ends them. An unknown option takes no value: newer
    engines know more of them, and most are switches.
    """
    options: list[tuple[str, str]] = []
    rest: list[str] = []
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if word == "--":
            rest += words
            break
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            if not equals and name[2:] in long and words:
                value = words.pop(0)
            options.append((name, value))
        elif word.startswith("-") and word != "-":
            options += _short_options(word[1:], short, words)
        elif stop:
            rest += [word, *words]
            break
        else:
            rest.append(word)
    return CommandLine(options, rest)


def _short_options(letters: str, short: str, words: list[str]) -> Iterator[tuple[str, str]]:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter + ":" not in short:
            yield f"-{letter}", ""
            continue
        yield f"-{letter}", letters or (words.pop(0) if words else "")
        return
