"""LXC: running containers by their monitor processes, the others by their configuration files.

``instance`` is the lxcpath (``/var/lib/lxc``; with the mount namespace behind it when that LXC
itself runs in a container), ``engine_id`` is the container's name, which LXC knows no other id
than. ``created`` is the birth time of the container's directory (where the filesystem keeps none,
its last change): LXC itself writes no date.
"""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from collectors.engines.lxc.config import LxcConfig, boots, expected_cgroup, read_config
from collectors.engines.shared.birth import made_at
from collectors.engines.shared.liblxc import Monitor, find_monitors, payload_cgroup
from collectors.engines.shared.supervised import (
    boots_system,
    files_of,
    instance_of,
    started_at,
)
from collectors.facts import Sighting, State
from collectors.hostfs import LIST_LIMIT, HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.contract import Context
    from collectors.facts import Process
    from collectors.hostfs import Dir

DEFAULT_PATH = "/var/lib/lxc"
_SYSTEM_CONFIG = "etc/lxc/lxc.conf"
_MOST_OF_A_USER = 500
"""Containers read from an lxcpath that is not root's: who owns it can make any number of them."""


@dataclass(slots=True)
class _Place:
    """An lxcpath with all that is known of the containers in it."""

    path: str
    instance: str
    through: Process | None = None
    """The monitor by whose root the path is to be read; None: it is a path of the host."""
    by_root: bool = True
    monitors: dict[str, Monitor] = field(default_factory=dict)
    configs: dict[str, LxcConfig] = field(default_factory=dict)
    created: dict[str, float | None] = field(default_factory=dict)


class LxcCollector:
    """Sees the containers of liblxc's own tools and of programs that use the library.

    It remembers in which lxcpaths containers ran, so that those of users are still known when they
    are stopped: nothing else says where they are without looking into every home.
    """

    name = "lxc"

    def __init__(self) -> None:
        self._seen_paths: dict[str, None] = {}

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers there are, running or not."""
        places = self._places(ctx)
        for place in places:
            _read_place(ctx, place)
            if place.through is None:
                ctx.watch(place.path)
        found: list[Sighting] = []
        for place in places:
            found += [_running(ctx, place, monitor) for monitor in place.monitors.values()]
            stopped = [n for n in place.configs if n not in place.monitors]
            found += [_stopped(place, name, place.configs[name]) for name in stopped]
        return found

    def close(self) -> None:
        """Nothing is kept open."""

    def _places(self, ctx: Context) -> list[_Place]:
        """Find the lxcpaths: configured, told, of running monitors, and remembered."""
        default = _configured_path(ctx.host.root)
        paths = dict.fromkeys([default, DEFAULT_PATH, *ctx.options.lxc_paths, *self._seen_paths])
        places = {p: _Place(p, p) for p in paths}
        for monitor in find_monitors(ctx):
            if monitor.engine != "lxc":
                continue
            path = monitor.lxcpath or default
            instance = instance_of(path, monitor.process, ctx.facts)
            on_host = instance == path
            through = None if on_host else monitor.process
            place = places.setdefault(instance, _Place(path, instance, through))
            place.monitors.setdefault(monitor.name, monitor)
            if on_host:
                self._seen_paths[path] = None
        return list(places.values())


def _configured_path(root: Dir) -> str:
    try:
        text = root.read_text(_SYSTEM_CONFIG, 65536)
    except HostReadError:
        return DEFAULT_PATH
    found = re.search(r"^\s*lxc\.lxcpath\s*=\s*(/\S+)\s*$", text, re.MULTILINE)
    return posixpath.normpath(found[1]) if found else DEFAULT_PATH


def _read_place(ctx: Context, place: _Place) -> None:
    """Read the configurations in an lxcpath, and those that its containers were started with."""
    with suppress(HostReadError), files_of(ctx, place.through) as root:
        _read_directory(root, place)
    for name, monitor in place.monitors.items():
        if name not in place.configs and monitor.rcfile:
            with suppress(HostReadError), files_of(ctx, place.through) as root:
                config = read_config(root, monitor.rcfile.lstrip("/"))
                if config is not None:
                    place.configs[name] = config


def _read_directory(root: Dir, place: _Place) -> None:
    path = place.path.lstrip("/")
    place.by_root = root.stat(path).st_uid == 0
    # Whoever owns the directory may have put links in it that lead elsewhere.
    confined = root.confined or not place.by_root
    most = LIST_LIMIT if place.by_root else _MOST_OF_A_USER
    with root.open_dir(path, confined=confined) as directory:
        for name in sorted(directory.listdir(limit=most)):
            config = read_config(directory, f"{name}/config")
            if config is not None:
                place.configs[name] = config
                place.created[name] = made_at(directory, name)


def _running(ctx: Context, place: _Place, monitor: Monitor) -> Sighting:
    config = place.configs.get(monitor.name)
    init = monitor.init
    told = monitor.command
    if config is not None and not told:
        told = config.execute_command if monitor.executes else config.init_command
    known = _known(place, monitor.name, config)
    return replace(
        known,
        state=running_state(ctx, init),
        init=init.id,
        started=started_at(ctx.facts, init.id),
        cgroup=payload_cgroup(
            init,
            monitor.process,
            monitor.name,
            config.container_cgroup if config else "",
        ),
        boots=False if monitor.executes else boots_system(told) if told else known.boots,
        command=told,
    )


def _stopped(place: _Place, name: str, config: LxcConfig) -> Sighting:
    application = config.execute_command and not config.init_command
    by_root = place.by_root and place.through is None and not config.relative_cgroup
    known = _known(place, name, config)
    return replace(
        known,
        state=State.EXITED,
        # A user's containers lie below the cgroup that its session happens to have.
        cgroup=expected_cgroup(name, config) if by_root else None,
        boots=False if application else known.boots,
        command=config.execute_command if application else config.init_command,
    )


def _known(place: _Place, name: str, config: LxcConfig | None) -> Sighting:
    """Say what does not depend on whether it runs."""
    if config is None:
        return Sighting(
            collector="lxc", engine="lxc", instance=place.instance, engine_id=name, name=name
        )
    return Sighting(
        collector="lxc",
        engine="lxc",
        instance=place.instance,
        engine_id=name,
        name=config.hostname if config.of_proxmox and config.hostname else name,
        image=config.template,
        hostname=config.hostname,
        created=place.created.get(name),
        boots=boots(config),
        network_mode=config.network,
        auto_remove=config.ephemeral,
        rootfs=config.rootfs,
        mounts=config.mounts,
    )
