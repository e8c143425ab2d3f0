"""Which containerds there are on a host, and where each keeps its files.

A containerd is found by its process (command line and configuration), and by its shims, which
outlive it: a shim's working directory is its bundle, and that links to the persistent directory.
"""

from __future__ import annotations

import posixpath
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.processes import binary_name, claimed_name
from collectors.engines.shared.views import instance_prefix, open_root, shortest
from collectors.formats.command_line import option_value
from collectors.hostfs import Dir, HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.contract import Context
    from collectors.facts import Process

TASKS = ("io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux")
"""Directories of bundles below a state directory: of shims now, and before containerd 2."""

_STATE = "/run/containerd"
_ROOT = "/var/lib/containerd"
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

    @property
    def name(self) -> str:
        """Return what its instances begin with: the state directory, after its container."""
        return f"{self.prefix}{self.state}"


def find_installations(ctx: Context) -> list[Installation]:
    """Find every containerd of which there may be containers, each once."""
    installations: dict[str, Installation] = {}
    default = Installation(state=_STATE, root=_ROOT)
    for installation in (default, *_of_daemons(ctx), *_of_shims(ctx)):
        other = installations.get(installation.name)
        if other is None or (not other.root and installation.root):
            installations[installation.name] = installation
    return list(installations.values())


def _of_daemons(ctx: Context) -> Iterator[Installation]:
    for process in ctx.processes:
        if claimed_name(process) != "containerd":
            continue
        path = option_value(process.argv, "--config", "-c") or _CONFIGURATION
        try:
            with open_root(ctx, process) as root:
                config = _configuration(root, _absolute(ctx, process, path))
        except HostReadError:
            continue  # it has ended
        yield Installation(
            state=_path(option_value(process.argv, "--state"))
            or _path(config.get("state"))
            or _STATE,
            root=_path(option_value(process.argv, "--root")) or _path(config.get("root")) or _ROOT,
            engine=process,
            prefix=instance_prefix(ctx, process),
        )


def _of_shims(ctx: Context) -> Iterator[Installation]:
    seen = set()
    for process in ctx.processes:
        if not binary_name(process).startswith("containerd-shim"):
            continue
        prefix = instance_prefix(ctx, process)
        try:
            bundle = ctx.host.proc.readlink(f"{process.pid}/cwd")
        except HostReadError:
            continue
        # <state>/<plugin>/<namespace>/<id>
        tasks = posixpath.dirname(posixpath.dirname(bundle))
        state, plugin = posixpath.split(tasks)
        if plugin not in TASKS or (prefix, state) in seen:
            continue
        seen.add((prefix, state))
        yield Installation(
            state=shortest(state), root=_root_of_shim(ctx, process), engine=process, prefix=prefix
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
