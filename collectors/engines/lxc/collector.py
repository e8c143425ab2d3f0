"""LXC: running containers by their monitor processes, the others by their configuration files.

``instance`` is the lxcpath (``/var/lib/lxc``; after the cgroup of the container that LXC itself
runs in, if any), ``engine_id`` is the container's name: LXC has no other id. ``created``
is the birth time of the container's directory (where the filesystem keeps none, its last change):
LXC itself writes no date.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.lxc.config import LxcConfig, boots_by_config, expected_cgroup
from collectors.engines.lxc.containers import Containers, read_containers
from collectors.engines.lxc.discovery import Lxcpath, find_lxcpaths
from collectors.engines.shared.files import remember
from collectors.engines.shared.first_process import boots
from collectors.engines.shared.liblxc import Monitor, payload_cgroup
from collectors.engines.shared.processes import running_state, started_at
from collectors.engines.shared.turns import Turns
from collectors.facts import Sighting, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collectors.contract import Context


_MOST_PATHS = 50
"""Lxcpaths of one owner that are remembered and read: a user can start containers in any number."""

_MOST_USERS = 256
"""Users whose lxcpaths are remembered."""


class LxcCollector:
    """Sees the containers of liblxc's own tools and of programs that use the library.

    It remembers in which lxcpaths containers ran, to see those of users also when they are
    stopped: these lxcpaths are listed nowhere, and home directories are not searched.
    """

    name = "lxc"

    def __init__(self) -> None:
        self._seen_paths: dict[int, dict[str, None]] = {}
        """Lxcpaths of the host by their user."""
        self._turns: Turns[Sighting] = Turns()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers there are, running or not.

        What users and containers own shares a time budget.
        """
        sightings: list[Sighting] = []
        strangers: dict[str, list[Lxcpath]] = {}
        remembered = {path: user for user, paths in self._seen_paths.items() for path in [*paths]}
        for lxcpath in find_lxcpaths(ctx, remembered):
            if lxcpath.monitors and lxcpath.instance == lxcpath.path:
                paths = self._seen_paths.get(lxcpath.user, {})
                remember(paths, lxcpath.path, None, most=_MOST_PATHS)
                remember(self._seen_paths, lxcpath.user, paths, most=_MOST_USERS)
            if lxcpath.owner:
                strangers.setdefault(lxcpath.owner, []).append(lxcpath)
            else:
                sightings += filter(None, self._read(ctx, lxcpath))
        readers = {
            owner: partial(self._read_all, ctx, lxcpaths) for owner, lxcpaths in strangers.items()
        }
        return sightings + self._turns.read(readers, ctx.wake, first=ctx.first)

    def _read_all(self, ctx: Context, lxcpaths: Sequence[Lxcpath]) -> Iterator[Sighting | None]:
        for lxcpath in lxcpaths[:_MOST_PATHS]:
            yield from self._read(ctx, lxcpath)

    def _read(self, ctx: Context, lxcpath: Lxcpath) -> Iterator[Sighting | None]:
        containers = Containers()
        for _ in read_containers(ctx, lxcpath, containers):
            yield None
        if lxcpath.seen_by is None:
            if containers.is_there:
                ctx.watch(lxcpath.path)
            elif not lxcpath.monitors:
                self._seen_paths.get(lxcpath.user, {}).pop(lxcpath.path, None)
        yield from _sightings(ctx, lxcpath, containers)

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
