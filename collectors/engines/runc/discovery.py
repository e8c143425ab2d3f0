"""Where the OCI runtimes of a host keep their state: one directory for each container.

The usual places, every user's, and those that processes name: a runtime with ``--root``, and the
monitors that call one again when the container ends, conmon and containerd's shims.
"""

from __future__ import annotations

import posixpath
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.files import read_object
from collectors.engines.shared.processes import binary_name
from collectors.engines.shared.views import on_host, shortest
from collectors.formats.command_line import option_value, option_values
from collectors.formats.documents import JsonObject
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.contract import Context
    from collectors.facts import Process, ProcessId
    from collectors.hostfs import Dir

RUNTIMES = ("runc", "crun", "youki", "sysbox-runc")
"""Runtimes with a directory of this name under /run, or a user's /run/user/<uid>."""

_BY_NAMESPACE = ("/run/containerd/runc", "/run/docker/runtime-runc")
"""State directories that have one more level, containerd's namespaces."""

_MOST_LEARNED = 100
"""State directories of one owner that are remembered: any user can name any directory."""


@dataclass(frozen=True, slots=True)
class StateRoot:
    """A directory of a runtime that holds one directory for each container."""

    path: str
    owner: int = 0
    """The user who must own it: only root may name a directory of another user."""


class RootFinder:
    """Finds state directories; remembers those that a process named while they are there.

    The containers in them stay, and the runtime that made them does not.
    """

    def __init__(self) -> None:
        self._shims: dict[ProcessId, str] = {}
        self._learned: dict[StateRoot, None] = {}

    def learn(self, root: StateRoot) -> None:
        """Remember a state directory."""
        self._learned.pop(root, None)
        self._learned[root] = None
        owners = [other for other in [*self._learned] if other.owner == root.owner]
        if len(owners) > _MOST_LEARNED:
            self.forget(owners[0])

    def forget(self, root: StateRoot) -> None:
        """Forget a state directory that is not there."""
        self._learned.pop(root, None)

    def find(self, ctx: Context) -> list[StateRoot]:
        """Return the state directories: the usual ones, users', named ones, remembered ones."""
        roots = [StateRoot(f"/run/{runtime}") for runtime in RUNTIMES]
        roots += _users_roots(ctx)
        parents = [*_BY_NAMESPACE]
        shims: dict[ProcessId, str] = {}
        for process in ctx.processes:
            name = binary_name(process)
            if name in RUNTIMES:
                root = option_value(process.argv, "--root")
                if root and process.uid is not None and on_host(ctx, process):
                    path = shortest(posixpath.join(_cwd(ctx, process), root))
                    self.learn(StateRoot(path, process.uid))
            elif process.uid == 0 and name == "conmon" and on_host(ctx, process):
                roots += _conmon_roots(process)
            elif process.uid == 0 and name.startswith("containerd-shim") and on_host(ctx, process):
                shims[process.id] = self._shims.get(process.id) or _shim_root(ctx, process)
        self._shims = shims
        parents += shims.values()
        for parent in dict.fromkeys(filter(None, parents)):
            try:
                namespaces = ctx.host.root.listdir(parent)
            except HostReadError:
                continue
            roots += [StateRoot(f"{parent}/{namespace}") for namespace in namespaces]
        return list(dict.fromkeys([*roots, *self._learned]))


@contextmanager
def opened(ctx: Context, root: StateRoot) -> Iterator[Dir | None]:
    """Open a state directory, confined; None where it is not there or not its owner's."""
    try:
        directory = ctx.host.root.open_dir(root.path, confined=True)
    except HostReadError:
        yield None
        return
    with directory:
        yield directory if root.owner in (0, _owner(directory)) else None


def _conmon_roots(monitor: Process) -> list[StateRoot]:
    """Return what CRI-O passes on to its runtime: ``--runtime-arg --root=/run/runc``."""
    return [
        StateRoot(shortest(argument.removeprefix("--root=")))
        for argument in option_values(monitor.argv, "--runtime-arg")
        if argument.startswith("--root=/")
    ]


def _cwd(ctx: Context, process: Process) -> str:
    try:
        return ctx.host.proc.readlink(f"{process.pid}/cwd")
    except HostReadError:
        return "/"


def _owner(directory: Dir) -> int | None:
    try:
        return directory.stat().st_uid
    except HostReadError:
        return None


def _shim_root(ctx: Context, shim: Process) -> str:
    """Read where a shim's runtime keeps its state: ``options.json`` in its bundle, its cwd."""
    try:
        with ctx.host.proc.open_dir(f"{shim.pid}/cwd", confined=True) as bundle:
            document = read_object(bundle, "options.json") or JsonObject()
    except HostReadError:
        return ""
    root = document.text("root")
    return shortest(root) if root.startswith("/") else ""


def _users_roots(ctx: Context) -> list[StateRoot]:
    try:
        users = ctx.host.root.listdir("/run/user")
    except HostReadError:
        return []
    ctx.watch("/run/user")
    if "0" in users:
        ctx.watch("/run/user/0")
    return [
        StateRoot(f"/run/user/{user}/{runtime}", int(user))
        for user in users
        if user.isdigit()
        for runtime in RUNTIMES
    ]
