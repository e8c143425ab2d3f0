"""Incus and LXD: their containers by liblxc's monitors, by their directories, and by their API.

``instance`` is the daemon's directory (``/var/lib/incus``; after the cgroup of the container that
the daemon itself runs in, if any), ``engine_id`` is the name that liblxc knows the container by,
``<project>_<name>`` outside of the default project. ``created`` is the daemon's date, else the
birth time of the container's directory. Virtual machines are not containers and are left out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from collectors.contract import LATER_PATIENCE, CollectorError
from collectors.engines.incus.api import list_instances
from collectors.engines.incus.discovery import Daemon, find_daemons
from collectors.engines.incus.disk import list_names, read_backup
from collectors.engines.incus.instance import Instance, from_api
from collectors.engines.shared.background import Background
from collectors.engines.shared.first_process import boots
from collectors.engines.shared.liblxc import DIRECTORIES, payload_cgroup
from collectors.engines.shared.processes import running_state, started_at
from collectors.engines.shared.turns import Turns
from collectors.facts import ImageFacts, Sighting, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from collectors.contract import Context
    from collectors.facts import Process

log = logging.getLogger(__name__)

_PATIENCE = 3.0
"""Seconds that the first pass waits for a daemon's answer."""

_ANSWER_SECONDS = 30.0
"""Seconds that a daemon may take for its answer; its files are read meanwhile."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a daemon told, by liblxc's name."""

    instances: Mapping[str, Instance] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    """The containers that could be seen without it when it was asked."""


class IncusCollector:
    """Sees the containers of Incus and LXD daemons, running or not.

    It remembers the directories in which containers ran, and the API's last answer.
    """

    name = "incus"

    def __init__(self) -> None:
        self._directories: dict[str, str] = dict(DIRECTORIES)
        self._answers: dict[str, _Answer] = {}
        self._linked: dict[str, frozenset[str]] = {}
        """The containers that have, or had, a link in a daemon's directory, and that it names."""
        self._asked: dict[str, Background[_Answer]] = {}
        self._turns: Turns[Sighting] = Turns()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers there are; the API adds what the disk does not show.

        Those of daemons in containers share a time budget.
        """
        daemons = find_daemons(ctx, self._directories)
        self._directories = dict(DIRECTORIES)
        sightings: list[Sighting] = []
        nested: dict[str, list[Daemon]] = {}
        for daemon in daemons:
            if daemon.prefix:
                nested.setdefault(daemon.prefix, []).append(daemon)
                continue
            links = list_names(ctx, daemon)
            seen = dict.fromkeys([*daemon.monitors, *links])
            # A link is made and removed with its container, of which no process need tell.
            ctx.watch(f"{daemon.directory}/containers", files=True)
            if seen or daemon.process is not None:
                self._directories[daemon.directory] = daemon.engine
            told = self._ask(ctx, daemon, frozenset(seen))
            answer = told.instances
            left_out = {name for name, i in answer.items() if i.kind != "container"}
            # A daemon that removes one names it for a while after its link is gone.
            linked = self._linked.get(daemon.directory, frozenset()).union(links)
            self._linked[daemon.directory] = linked & (seen.keys() | answer.keys())
            left_out |= linked - seen.keys()
            names = [name for name in seen | dict.fromkeys(answer) if name not in left_out]
            sightings += [_sighting(ctx, daemon, name, answer.get(name)) for name in names]
            if names or daemon.process is not None:
                ctx.daemons[daemon.engine, daemon.directory] = daemon.process is not None
        here = {daemon.directory for daemon in daemons}
        self._answers = {path: answer for path, answer in self._answers.items() if path in here}
        self._linked = {path: linked for path, linked in self._linked.items() if path in here}
        readers = {prefix: partial(_read_files, ctx, found) for prefix, found in nested.items()}
        return sightings + self._turns.read(readers, ctx.wake, first=ctx.first)

    def close(self) -> None:
        """Nothing is kept open."""

    def _ask(self, ctx: Context, daemon: Daemon, seen: frozenset[str]) -> _Answer:
        """Ask the API in a full pass, and when other containers are seen than the last time."""
        if daemon.process is None or not ctx.options.engine_sockets:
            self._answers.pop(daemon.directory, None)
            self._asked.pop(daemon.directory, None)
            return _Answer()
        last = self._answers.get(daemon.directory)
        asked = self._asked.setdefault(daemon.directory, Background())
        path = f"{daemon.directory}/unix.socket"
        if not asked.is_busy:
            if last is not None and not ctx.full and last.seen == seen:
                return last
            host_path = ctx.host.host_path(path)
            asked.begin("incus", partial(_list, host_path, seen), ctx.wake)
        was_slow = asked.is_slow
        if not asked.finish(_PATIENCE if ctx.first else LATER_PATIENCE):
            if not was_slow:
                log.warning("%s answers late; its files are read meanwhile", path)
            return last or _Answer()
        try:
            answer = asked.take()
        except CollectorError as error:
            # Counted; the directory and the processes still show which containers there are.
            ctx.host.root.malformed(path.lstrip("/"), str(error))
            return last or _Answer()
        self._answers[daemon.directory] = answer
        if answer.seen != seen:
            ctx.wake()  # it was asked in an earlier pass
        return answer


def _list(path: str, seen: frozenset[str]) -> _Answer:
    return _Answer(dict(map(from_api, list_instances(path, _ANSWER_SECONDS))), seen)


def _read_files(ctx: Context, daemons: Iterable[Daemon]) -> Iterator[Sighting]:
    """Return the containers of daemons in one container, by their files and monitors."""
    for daemon in daemons:
        for name in dict.fromkeys([*daemon.monitors, *list_names(ctx, daemon)]):
            yield _sighting(ctx, daemon, name, None)


def _sighting(ctx: Context, daemon: Daemon, name: str, instance: Instance | None) -> Sighting:
    made = None
    if instance is None:
        instance, made = read_backup(ctx, daemon, name)
    monitor = daemon.monitors.get(name)
    init = monitor.init if monitor else None
    state, cgroup = State.EXITED, f"/lxc.payload.{name}"
    if monitor is not None and init is not None:
        state = running_state(ctx, init)
        cgroup = payload_cgroup(init, monitor.process, name) or cgroup
    is_system = _boots(instance, init) if instance else None
    instance = instance or Instance()
    project, _, short = name.rpartition("_")
    labels = dict(instance.labels)
    if project:
        labels[f"{daemon.engine}.project"] = project
    image, fingerprint = instance.image, instance.fingerprint
    return Sighting(
        collector="incus",
        engine=daemon.engine,
        instance=daemon.instance,
        engine_id=name,
        name=short,
        state=state,
        image=image,
        init=init.id if init else None,
        cgroup=cgroup,
        hostname=short,
        created=instance.created or made,
        started=started_at(ctx, init) if init else None,
        labels=labels,
        boots=is_system,
        command=instance.command,
        image_facts=ImageFacts(reference=image, id=fingerprint) if fingerprint else None,
        auto_remove=instance.ephemeral,
        rootfs=f"{daemon.directory}/containers/{name}/rootfs",
    )


def _boots(instance: Instance, init: Process | None) -> bool | None:
    """Return whether an instance boots a system, by what was told and what it has become."""
    if instance.is_oci or not instance.command:
        return instance.boots
    return boots(instance.command, init)
