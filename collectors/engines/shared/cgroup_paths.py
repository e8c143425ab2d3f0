"""Where in the cgroup tree a container is, in the host's view: cgroups(7)."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from collectors.kernel.cgroups import SYSTEMD, UNIFIED, contains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from collectors.facts import Process


def cgroup_paths(process: Process) -> Iterator[str]:
    """Return the cgroup paths of a process, systemd's hierarchy first: that one names things."""
    for controller in (SYSTEMD, UNIFIED):
        if controller in process.cgroups:
            yield process.cgroups[controller]
    for controller in sorted(process.cgroups):
        if controller not in (SYSTEMD, UNIFIED):
            yield process.cgroups[controller]


def prefixes(path: str) -> Iterator[str]:
    """Return each cgroup on the way to ``path``, the shallowest first, without the top."""
    parts = path.split("/")
    return ("/".join(parts[: index + 1]) for index in range(1, len(parts)))


def find_cgroup(process: Process, is_wanted: Callable[[str], bool]) -> str | None:
    """Return the shallowest cgroup above or of a process that is wanted; None for none."""
    every = (prefix for path in cgroup_paths(process) for prefix in prefixes(path))
    return next(filter(is_wanted, every), None)


def is_named_after(part: str, engine_id: str) -> bool:
    """Return whether a cgroup is named after a container: its id, or ``<engine>-<id>.scope``."""
    stem = part.removesuffix(".scope")
    return stem == engine_id or stem.endswith("-" + engine_id)


def cgroup_of(process: Process, wanted: str | None, engine_id: str) -> str | None:
    """Return a running container's cgroup in the host's view; None where it has none of its own.

    ``wanted`` is the path that its engine asked for, which for an engine inside a container lies
    below that one's own. Without it the shallowest directory that is named after the id counts.
    """
    for path in cgroup_paths(process):
        if wanted is not None:
            start = path.find(wanted)
            cut = path[: start + len(wanted)]
            if start >= 0 and contains(cut, path):
                return cut
        for prefix in prefixes(path):
            if is_named_after(posixpath.basename(prefix), engine_id):
                return prefix
    return None


def user_manager(uid: int) -> str:
    """Return the cgroup below which a user's own systemd puts what his engines start."""
    return f"/user.slice/user-{uid}.slice/user@{uid}.service"
