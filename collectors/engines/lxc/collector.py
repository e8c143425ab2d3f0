"""LXC: running containers by their monitor processes, the others by their configuration files.

``instance`` is the lxcpath (``/var/lib/lxc``; after the cgroup of the container that LXC itself
runs in, if any), ``engine_id`` is the container's name: LXC has no other id. ``created``
is the birth time of the container's directory (where the filesystem keeps none, its last change):
LXC itself writes no date.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.engines.lxc.config import LxcConfig, boots_by_config, expected_cgroup
from collectors.engines.lxc.containers import Containers, read_containers
from collectors.engines.lxc.discovery import Lxcpath, find_lxcpaths
from collectors.engines.shared.files import remember
from collectors.engines.shared.first_process import boots
from collectors.engines.shared.liblxc import Monitor, payload_cgroup
from collectors.engines.shared.processes import running_state, started_at
from collectors.facts import Sighting, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.contract import Context


_MOST_PATHS = 100
"""Lxcpaths that are remembered: any user can run a container in any directory."""


class LxcCollector:
    """Sees the containers of liblxc's own tools and of programs that use the library.

    It remembers in which lxcpaths containers ran, to see those of users also when they are
    stopped: these lxcpaths are listed nowhere, and home directories are not searched.
    """

    name = "lxc"

    def __init__(self) -> None:
        self._seen_paths: dict[str, None] = {}

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers there are, running or not."""
        sightings: list[Sighting] = []
        for lxcpath in find_lxcpaths(ctx, self._seen_paths):
            if lxcpath.seen_by is None:
                ctx.watch(lxcpath.path)
                if lxcpath.monitors:
                    remember(self._seen_paths, lxcpath.path, None, most=_MOST_PATHS)
                elif not ctx.host.root.exists(lxcpath.path):
                    self._seen_paths.pop(lxcpath.path, None)
            sightings += _sightings(ctx, lxcpath, read_containers(ctx, lxcpath))
        return sightings

    def close(self) -> None:
        """Nothing is kept open."""


def _sightings(ctx: Context, lxcpath: Lxcpath, containers: Containers) -> Iterable[Sighting]:
    for name, monitor in lxcpath.monitors.items():
        config = containers.configs.get(name)
        yield _running(ctx, monitor, config, _base(lxcpath, containers, name))
    # LXC gives the containers of users a cgroup below the one that their session happens to have.
    of_host = containers.owned_by_root and lxcpath.seen_by is None
    for name, config in containers.configs.items():
        if name not in lxcpath.monitors:
            yield _stopped(config, _base(lxcpath, containers, name), of_host=of_host)


def _base(lxcpath: Lxcpath, containers: Containers, name: str) -> Sighting:
    """Return what does not depend on whether the container runs."""
    config = containers.configs.get(name)
    base = Sighting(
        collector="lxc", engine="lxc", instance=lxcpath.instance, engine_id=name, name=name
    )
    if config is None:
        return base
    return replace(
        base,
        name=config.hostname if config.of_proxmox and config.hostname else name,
        image=config.template,
        hostname=config.hostname,
        created=containers.created.get(name),
        boots=boots_by_config(config),
        network_mode=config.network,
        auto_remove=config.ephemeral,
        rootfs=config.rootfs,
        mounts=config.mounts,
    )


def _running(ctx: Context, monitor: Monitor, config: LxcConfig | None, base: Sighting) -> Sighting:
    init = monitor.init
    command = monitor.command
    if config is not None and not command:
        command = config.execute_command if monitor.executes else config.init_command
    configured_cgroup = config.container_cgroup if config else ""
    return replace(
        base,
        state=running_state(ctx, init),
        init=init.id,
        started=started_at(ctx, init),
        cgroup=payload_cgroup(init, monitor.process, monitor.name, configured_cgroup),
        boots=False if monitor.executes else boots(command, init) if command else base.boots,
        command=command,
    )


def _stopped(config: LxcConfig, base: Sighting, *, of_host: bool) -> Sighting:
    is_application = bool(config.execute_command and not config.init_command)
    has_known_cgroup = of_host and not config.relative_cgroup
    return replace(
        base,
        state=State.EXITED,
        cgroup=expected_cgroup(base.engine_id, config) if has_known_cgroup else None,
        boots=False if is_application else base.boots,
        command=config.execute_command if is_application else config.init_command,
    )
