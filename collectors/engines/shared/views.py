"""What an engine's process sees: the host's files or a container's, and how to open them.

Another user's namespaces and root cannot be read without privileges. What can be read decides; a
process of which nothing can be is taken to run on the host, as its files could not be opened
through it anyway.
"""

from __future__ import annotations

import posixpath
from contextlib import nullcontext
from typing import TYPE_CHECKING

from collectors.engines.shared.cgroup_paths import cgroup_paths
from collectors.hostfs import Gone, HostReadError, or_none
from collectors.kernel.cgroups import SYSTEMD
from collectors.kernel.processes import read_mounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from collectors.contract import Context
    from collectors.facts import FileId, Process
    from collectors.hostfs import Dir, HostFS


def in_host_mounts(ctx: Context, process: Process) -> bool:
    """Return whether a process is in the host's mount namespace, so that all paths mean the same.

    Where the namespace cannot be read, the root directory decides.
    """
    host, own = ctx.facts.namespaces.mnt, process.namespaces.mnt
    if host is None or own is None:
        return process.root in (None, ctx.facts.root)
    return own == host


def on_host(ctx: Context, process: Process) -> bool:
    """Return whether an engine runs on the host itself and not in a container.

    Rootless engines and services with private mounts have a mount namespace of their own above the
    host's root, which makes no container.
    """
    return in_host_mounts(ctx, process) or process.root in (None, ctx.facts.root)


def instance_prefix(ctx: Context, process: Process) -> str:
    """Return what precedes the instance of an engine in a container: ``<cgroup>:``; else "".

    The cgroup is that of the container, not of the service in it: its first process's. It stays
    the same when the container is restarted. A container that has none is named by its mount
    namespace, ``mnt:[<number>]:``.
    """
    if on_host(ctx, process):
        return ""
    paths = (path.removesuffix("/init.scope") for path in cgroup_paths(_outermost(ctx, process)))
    cgroup = next((path for path in paths if path.strip("/")), "")
    return f"{cgroup or f'mnt:[{process.namespaces.mnt}]'}:"


def _outermost(ctx: Context, process: Process) -> Process:
    """Return the topmost ancestor in the same container: same pid namespace, same root."""
    parent = ctx.processes.get(process.ppid)
    seen = {process.pid}
    while (
        parent is not None
        and parent.pid not in seen
        and parent.namespaces.pid == process.namespaces.pid
        and parent.root == process.root
    ):
        seen.add(parent.pid)
        process, parent = parent, ctx.processes.get(parent.ppid)
    return process


def open_root(ctx: Context, process: Process | None) -> AbstractContextManager[Dir]:
    """Open the root directory as a process sees it; the host's own for None.

    Raises HostReadError, also for a container with a FUSE mount: see ``root_opener``.
    """
    return root_opener(ctx, process)()


def root_opener(ctx: Context, process: Process | None) -> Callable[[], AbstractContextManager[Dir]]:
    """Return a function that opens the root directory of a process, now or later.

    What is not the host's view is confined, as an untrusted party has written what is in it. A
    container with a FUSE mount is Gone: a file served by a process in it may block its reader for
    ever. The host's own lxcfs is let through, by its device number: a name says nothing.
    """
    host = ctx.host
    if process is None or in_host_mounts(ctx, process):
        return lambda: nullcontext(host.root)
    pid = process.pid
    if on_host(ctx, process):
        # Its mounts are the host's but for a few: rootless engines', or a service's private ones.
        return lambda: host.container_root(pid)
    return lambda: _container_root(host, pid)


def _container_root(host: HostFS, pid: int) -> Dir:
    mounts = [m for m in read_mounts(host, pid) if m.fstype.startswith("fuse")]
    if mounts and not {m.device for m in mounts} <= _lxcfs_of_root(host):
        raise Gone(f"/proc/{pid}/root", "not opened because of a FUSE mount")
    return host.container_root(pid)


def _lxcfs_of_root(host: HostFS) -> set[FileId]:
    """Return the lxcfs that root has mounted on the host itself; its server is trusted."""
    return {
        mount.device
        for mount in or_none(read_mounts, host, 1) or ()
        if mount.fstype == "fuse.lxcfs" and "user_id=0" in mount.options.split(",")
    }


def cgroup_prefix(ctx: Context, engine: Process | None) -> str:
    """Return the host's path of what an engine sees as the top of the cgroup tree; "" for the top.

    An engine inside a container has that one's cgroup mounted as the whole, or it is in a cgroup
    namespace of its own: mountinfo shows which, as the reader sees it.
    """
    if engine is None or on_host(ctx, engine):
        return ""
    try:
        mounts = read_mounts(ctx.host, engine.pid)
    except HostReadError:
        return ""
    tops = [m for m in mounts if m.fstype in ("cgroup", "cgroup2")]
    tops.sort(key=lambda m: (SYSTEMD not in m.options.split(","), m.fstype != "cgroup2"))
    top = tops[0].root if tops else "/"
    return "" if top == "/" or "/.." in top else top


def shortest(path: str) -> str:
    """Return the one name of a path that has two: /var/run is a link to /run."""
    path = posixpath.normpath(path)
    return path.removeprefix("/var") if path.startswith("/var/run/") else path
