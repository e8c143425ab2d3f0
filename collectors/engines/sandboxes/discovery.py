"""Which processes may be the first of a sandbox or small container, and which may have made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.contract import Context
    from collectors.facts import FileId, Process

_GENERATIONS = 16
"""Ancestors that are considered: some shells and wrappers may be in between."""


def find_candidates(ctx: Context) -> Iterable[Process]:
    """Return the first process of each mount namespace with a root directory of its own.

    Both must not be the host's.
    """
    first: dict[int, Process] = {}
    inside = [p for p in ctx.processes if _has_own_root(ctx, p)]
    namespaces_by_root: dict[FileId | None, set[int | None]] = {}
    for process in inside:
        namespaces_by_root.setdefault(process.root, set()).add(process.namespaces.mnt)
    for process in sorted(inside, key=lambda p: (p.id.start_ticks, p.inner_pid)):
        namespace = process.namespaces.mnt
        if namespace is None:
            continue
        before = first.setdefault(namespace, process)
        is_maker = before.inner_pid != 1 and len(namespaces_by_root[before.root]) > 1
        if process.root != before.root and is_maker:
            # The earlier one made these mounts while it was in another container, whose root it
            # still has, and waits for its child. The first process of a pid namespace is never
            # such a maker: it may share its root directory with a container beside it, and what
            # follows has changed its root.
            first[namespace] = process
    return first.values()


def ancestors(ctx: Context, process: Process) -> list[Process]:
    """Return the ancestors up to the first that is in other mounts: the maker is one of them.

    Between it and the process may be a shell that it started.
    """
    chain: list[Process] = []
    ancestor = ctx.processes.get(process.ppid)
    while ancestor is not None and len(chain) < _GENERATIONS:
        chain.append(ancestor)
        if ancestor.namespaces.mnt != process.namespaces.mnt:
            break
        ancestor = ctx.processes.get(ancestor.ppid)
    return chain


def _has_own_root(ctx: Context, process: Process) -> bool:
    """Return whether a process has neither the host's root nor the host's mounts."""
    host = ctx.facts
    return (
        process.root not in (None, host.root)
        and process.namespaces.mnt not in (None, host.namespaces.mnt)
        and process.state not in "ZX"
    )
