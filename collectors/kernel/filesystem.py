"""How full the host's filesystems and those of containers are, statfs(2).

Only the scout may call this: statfs can block on a broken disk. Filesystems that an untrusted
process or a network serves (FUSE, NFS, …) are never asked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from collectors.facts import FilesystemUsage, Mount
from collectors.hostfs import HostReadError, or_none
from collectors.kernel.processes import parse_mountinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from collectors.facts import HostFacts
    from collectors.hostfs import HostFS

_LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "xfs", "zfs"})
"""Filesystems on disks of this machine that can be written to."""

_COUNTED_APART = frozenset({"zfs"})
"""Of which each mounted part (dataset) has numbers of its own."""

_IN_HOST_MOUNTS = ("1", "self")


def read_host_filesystems(host: HostFS) -> tuple[FilesystemUsage, ...]:
    """Return the host's local filesystems that are mounted, each once, by device."""
    usages: dict[str, FilesystemUsage] = {}
    for mount in read_host_mounts(host).values():
        # OpenVZ's ploop is a container's disk: a file on one of the others.
        is_file = mount.source.startswith("/dev/ploop")
        if mount.fstype in _LOCAL and mount.source not in usages and not is_file:
            usage = _usage_at(host.host_path(mount.target), mount)
            if usage is not None:
                usages[mount.source] = usage
    return tuple(usages.values())


def read_container_filesystem(
    host: HostFS,
    facts: HostFacts,
    pid: int,
    mounts: Sequence[Mount],
    of_host: Callable[[], Mapping[str, Mount]],
) -> FilesystemUsage | None:
    """Return how full the filesystem is in which a container's own files are.

    ``used_bytes`` is known where that filesystem, dataset or project quota is the container's
    alone; in a part of the host's filesystem only its size is known. ``mounts`` are those that
    the container's first process sees. ``of_host`` returns the host's, and is a function so that
    the caller can read them once for all containers, and only if needed.
    """
    root = next((mount for mount in reversed(mounts) if mount.target == "/"), None)
    if root is None:
        return None
    if root.fstype == "overlay":
        return _of_overlay(host, pid, root, of_host)
    if root.fstype not in _LOCAL:
        return None
    usage = _usage_of_root(host, pid, root)
    is_hosts = facts.root is not None and root.device.device == facts.root.device
    own = root.fstype in _COUNTED_APART or (root.root == "/" and not is_hosts)
    return usage if own or usage is None else _size_alone(usage)


def _of_overlay(
    host: HostFS, pid: int, root: Mount, of_host: Callable[[], Mapping[str, Mount]]
) -> FilesystemUsage | None:
    """Ask the filesystem of the upper directory; a project quota on it shows in its size."""
    upper = upper_directory(root)
    if not upper:
        return None
    holding = _mount_of(upper, of_host())
    if holding is None or holding.fstype not in _LOCAL:
        return None
    usage = _usage_of_root(host, pid, holding)
    # Above the container's own directory no quota applies.
    whole = _usage_at(host.host_path(os.path.dirname(os.path.dirname(upper))), holding)
    if usage is None or whole is None:
        return None
    return usage if usage.limit_bytes != whole.limit_bytes else _size_alone(usage)


def upper_directory(root: Mount) -> str:
    """Return the upper directory of an overlay, in the host's view; "" for other filesystems."""
    if root.fstype != "overlay":
        return ""
    for option in root.options.split(","):
        key, _, path = option.partition("=")
        if key == "upperdir" and path.startswith("/") and ".." not in path.split("/"):
            return path
    return ""


def read_host_mounts(host: HostFS) -> dict[str, Mount]:
    """Return the host's mounts by target; empty where they cannot be read."""
    for process in _IN_HOST_MOUNTS:
        data = or_none(host.proc.read, f"{process}/mountinfo", 8 << 20)
        if data is not None:
            # Of two on one target, the last one hides the one before it.
            return {mount.target: mount for mount in parse_mountinfo(data)}
    return {}


def _mount_of(path: str, mounts: Mapping[str, Mount]) -> Mount | None:
    """Return the mount that a path is in: the deepest one."""
    while path not in mounts:
        if path in ("/", ""):
            return None
        path = os.path.dirname(path)
    return mounts[path]


def _usage_of_root(host: HostFS, pid: int, mount: Mount) -> FilesystemUsage | None:
    try:
        with host.proc.open_dir(f"{pid}/root/") as root:
            return _usage(os.fstatvfs(root.fd), mount)
    except (HostReadError, OSError):
        return None


def _usage_at(path: str, mount: Mount) -> FilesystemUsage | None:
    try:
        return _usage(os.statvfs(path), mount)
    except OSError:
        return None


def _usage(status: os.statvfs_result, mount: Mount) -> FilesystemUsage | None:
    if not status.f_blocks:
        return None
    return FilesystemUsage(
        device=mount.source,
        used_bytes=(status.f_blocks - status.f_bfree) * status.f_frsize,
        limit_bytes=status.f_blocks * status.f_frsize,
        # btrfs creates inodes as it needs them, and reports 0.
        inodes=status.f_files or None,
        inodes_used=status.f_files - status.f_ffree if status.f_files else None,
    )


def _size_alone(usage: FilesystemUsage) -> FilesystemUsage:
    return FilesystemUsage(device=usage.device, limit_bytes=usage.limit_bytes)
