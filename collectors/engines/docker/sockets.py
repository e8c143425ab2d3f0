"""Unix sockets and the processes that listen on them.

A socket without a daemon must not be connected to: systemd holds docker.socket (and every user's
podman.socket) and starts the daemon on the first connection. proc_net(5), systemd.socket(5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.shared.processes import binary_name
from collectors.engines.shared.views import shortest
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.contract import Context
    from collectors.facts import Process

_LISTENING = 0x10000  # __SO_ACCEPTCON, include/linux/net.h
_TABLE_LIMIT = 16 << 20
_ACTIVATORS = frozenset({"systemd", "init", "inetd", "xinetd"})


def listening_paths(ctx: Context, process: Process) -> list[str]:
    """Return the unix sockets on which a process listens. Raises HostReadError."""
    with ctx.host.process(process.pid) as own:
        held = set(_held_sockets(ctx, process))
        table = own.read("net/unix", _TABLE_LIMIT)
    return [shortest(path) for inode, path in parse_listening(table) if inode in held]


def is_listening(ctx: Context, path: str) -> bool:
    """Return whether anybody listens on a unix socket, be it systemd."""
    return bool(_inodes_of(ctx, path))


def server_of(ctx: Context, path: str) -> Process | None:
    """Find the process that answers on a unix socket; None where only systemd waits there."""
    inodes = _inodes_of(ctx, path)
    if not inodes:
        return None
    for process in ctx.processes:
        if process.pid == 1 or binary_name(process) in _ACTIVATORS:
            continue
        try:
            if not inodes.isdisjoint(_held_sockets(ctx, process)):
                return process
        except HostReadError:
            continue  # ended, or another user's
    return None


def _inodes_of(ctx: Context, path: str) -> set[str]:
    return {
        inode
        for table in _tables(ctx)
        for inode, bound in parse_listening(table)
        if shortest(bound) == path
    }


def parse_listening(table: bytes) -> Iterator[tuple[str, str]]:
    """Return inode and path of the listening sockets in /proc/<pid>/net/unix, proc_net(5)."""
    for line in table.decode("utf-8", "replace").split("\n")[1:]:
        # Num RefCount Protocol Flags Type St Inode Path
        fields = line.split(None, 7)
        if len(fields) < 8:
            continue
        try:
            flags = int(fields[3], 16)
        except ValueError:
            continue
        if flags & _LISTENING and fields[7].startswith("/"):
            yield fields[6], fields[7]


def _tables(ctx: Context) -> Iterator[bytes]:
    """Read the table of every network namespace: a daemon may have been given one of its own."""
    one_of_each = {p.namespaces.net: p for p in ctx.processes}
    for process in one_of_each.values():
        try:
            yield ctx.host.proc.read(f"{process.pid}/net/unix", _TABLE_LIMIT)
        except HostReadError:
            continue


def _held_sockets(ctx: Context, process: Process) -> Iterator[str]:
    with ctx.host.process(process.pid) as own:
        for fd in own.listdir("fd"):
            try:
                link = own.readlink(f"fd/{fd}")
            except HostReadError:
                continue  # closed meanwhile
            if link.startswith("socket:["):
                yield link[8:-1]
