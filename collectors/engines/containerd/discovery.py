"""Which containerds there are on a host, and where each keeps its files.

A containerd is found by its process (command line and configuration), and by its shims, which
outlive it: a shim's working directory is its bundle, and that links to the persistent directory.
One that does not run is found where it usually is: alone, or as a part of a Kubernetes.
"""

from __future__ import annotations

import posixpath
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.engines.shared.processes import binary_name, claimed_name
from collectors.engines.shared.turns import owner_of
from collectors.engines.shared.views import instance_prefix, on_host, open_root, shortest
from collectors.formats.command_line import option_value
from collectors.hostfs import Dir, HostReadError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from collectors.contract import Context
    from collectors.facts import Process

TASKS = ("io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux")
"""Directories of bundles below a state directory: of shims now, and before containerd 2."""

_STATE = "/run/containerd"
_ROOT = "/var/lib/containerd"
_MICROK8S = "/var/snap/microk8s/common"
_USUAL = {
    _ROOT: _STATE,
    "/var/lib/rancher/k3s/agent/containerd": "/run/k3s/containerd",
    "/var/lib/rancher/rke2/agent/containerd": "/run/k3s/containerd",  # as it is k3s inside
    "/var/lib/k0s/containerd": "/run/k0s/containerd",
    f"{_MICROK8S}/var/lib/containerd": f"{_MICROK8S}/run/containerd",
}
"""State directory by persistent directory, as containerd and each Kubernetes has them."""

_K3S = "k3s"
"""One binary for everything, which is called containerd where it is that."""

_CONFIGURATION = "/etc/containerd/config.toml"
_CONFIGURATION_LIMIT = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One containerd, running or not."""

    state: str
    """What is gone after a reboot: bundles with their pid files."""
    root: str = ""
    """What stays: the metadata database, images."""
    engine: Process | None = None
    """containerd or one of its shims, in whose view the paths are; None: they are the host's."""
    prefix: str = ""
    """What names the container that it runs in; empty on the host itself."""

    user: int = 0
    """The user on the host whose it is, who must own its directories."""
    is_running: bool = False
    """Its containerd runs, and not only shims."""

    @property
    def name(self) -> str:
        """Return what its instances begin with: the state directory, after container and user."""
        user = f"{self.user}:" if self.user else ""
        return f"{self.prefix}{user}{self.state}"


def engine_processes(ctx: Context) -> dict[str, list[Process]]:
    """Return the processes that may be a containerd or one of its shims by their owner.

    The owner is as ``owner_of`` says.
    """
    found: dict[str, list[Process]] = {}
    for process in ctx.processes:
        if _is_containerd(process) or _is_shim(process):
            found.setdefault(owner_of(ctx, process), []).append(process)
    return found


def find_installations(ctx: Context, processes: Collection[Process]) -> list[Installation]:
    """Return each installation that is root's own: of its processes, and the usual ones.

    What a process says holds: another persistent directory goes with the usual state directory.
    """
    installations: dict[str, Installation] = {}
    pids = {process.pid for process in processes}
    running = set()
    for installation in (*installations_of(ctx, processes), *_usual(ctx)):
        other = installations.get(installation.name)
        if other is None or (not other.root and installation.root):
            installations[installation.name] = installation
        engine = installation.engine
        # A shim starts ``containerd publish``, also when its containerd is dead.
        if engine is not None and not _is_shim(engine) and engine.ppid not in pids:
            running.add(installation.name)
    return [replace(found, is_running=name in running) for name, found in installations.items()]


def _usual(ctx: Context) -> Iterator[Installation]:
    for root, state in _USUAL.items():
        if ctx.host.root.exists(root):
            yield Installation(state=state, root=root)
    # Where it has just begun, or its persistent directory cannot be seen.
    yield Installation(state=_STATE, root=_ROOT)


def installations_of(ctx: Context, processes: Iterable[Process]) -> Iterator[Installation]:
    """Return the installations of processes of one owner, those of containerds first.

    A stranger's files may block the caller.
    """
    shims = []
    for process in processes:
        if _is_shim(process):
            shims.append(process)
        else:
            installation = _of_daemon(ctx, process)
            if installation is not None:
                yield installation
    seen: set[tuple[str, str]] = set()
    for process in shims:
        installation = _of_shim(ctx, process, seen)
        if installation is not None:
            yield installation


def _is_containerd(process: Process) -> bool:
    name = claimed_name(process)
    return name == "containerd" or (
        name == _K3S and posixpath.basename(next(iter(process.argv), "")) == "containerd"
    )


def _is_shim(process: Process) -> bool:
    return binary_name(process).startswith("containerd-shim")


def _user(ctx: Context, process: Process) -> int:
    return (process.uid or 0) if on_host(ctx, process) else 0


def _of_daemon(ctx: Context, process: Process) -> Installation | None:
    path = option_value(process.argv, "--config", "-c") or _CONFIGURATION
    try:
        with open_root(ctx, process) as root:
            config = _configuration(root, _absolute(ctx, process, path))
    except HostReadError:
        return None  # it has ended
    return Installation(
        state=_path(option_value(process.argv, "--state")) or _path(config.get("state")) or _STATE,
        root=_path(option_value(process.argv, "--root")) or _path(config.get("root")) or _ROOT,
        engine=process,
        prefix=instance_prefix(ctx, process),
        user=_user(ctx, process),
    )


def _of_shim(ctx: Context, process: Process, seen: set[tuple[str, str]]) -> Installation | None:
    prefix = instance_prefix(ctx, process)
    try:
        bundle = ctx.host.proc.readlink(f"{process.pid}/cwd")
    except HostReadError:
        return None
    # <state>/<plugin>/<namespace>/<id>
    tasks = posixpath.dirname(posixpath.dirname(bundle))
    state, plugin = posixpath.split(tasks)
    if plugin not in TASKS or (prefix, state) in seen:
        return None
    seen.add((prefix, state))
    return Installation(
        state=shortest(state),
        root=_root_of_shim(ctx, process),
        engine=process,
        prefix=prefix,
        user=_user(ctx, process),
    )


def _root_of_shim(ctx: Context, shim: Process) -> str:
    """Follow a bundle's ``work`` link into the persistent directory of its containerd."""
    try:
        work = ctx.host.proc.readlink(f"{shim.pid}/cwd/work")
    except HostReadError:
        return ""
    for plugin in TASKS:
        root, separator, _ = work.partition(f"/{plugin}/")
        if separator:
            return _path(root)
    return ""


def _configuration(root: Dir, path: str) -> dict[str, object]:
    """Read a configuration file, containerd-config.toml(5)."""
    if not path:
        return {}
    try:
        return tomllib.loads(root.read_text(path, _CONFIGURATION_LIMIT))
    except (HostReadError, tomllib.TOMLDecodeError, RecursionError):
        return {}


def _absolute(ctx: Context, process: Process, path: str) -> str:
    if path.startswith("/"):
        return path
    try:
        return posixpath.join(ctx.host.proc.readlink(f"{process.pid}/cwd"), path)
    except HostReadError:
        return ""


def _path(value: object) -> str:
    return shortest(value) if isinstance(value, str) and value.startswith("/") else ""
