"""The OpenVZ collector: every container of a node, whether or not vzlist answers."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.contract import CollectorError, PartlySeen
from collectors.engines.openvz.discovery import has_kernel, is_node
from collectors.engines.openvz.inits import container_of, starts_a_system
from collectors.engines.openvz.kernel import running_now
from collectors.engines.openvz.merge import (
    RUNNING,
    Views,
    counters_of,
    doubtful,
    merge,
    status_of,
)
from collectors.engines.openvz.node import NO_CGROUPS, Node, NodeReader
from collectors.engines.openvz.units import STATUSES
from collectors.engines.openvz.vzlist.sources import Source, choice_of, make_source
from collectors.facts import ALIVE, Beancounter, Sighting, State

if TYPE_CHECKING:
    from collectors.contract import Context

log = logging.getLogger(__name__)

_NUMBERS_GOOD_FOR = 14.0
"""Seconds for which numbers are kept: Prometheus asks every 15 s."""

_MOUNTED = (State.RUNNING, State.PAUSED, State.MOUNTED)
_JITTER = 2.0
"""Seconds by which a start time that is computed from an uptime may differ."""


class OpenvzCollector:
    """Sees the containers of OpenVZ 6 and of OpenVZ and Virtuozzo 7 and 9.

    vzlist has the most facts but may be missing, late or hung, so it runs in the background and its
    last good answer is joined with the present state of the kernel and the configuration.
    """

    name = "openvz"

    def __init__(self) -> None:
        self._reader = NodeReader()
        self._source: Source | None = None
        self._source_choice: tuple[object, ...] = ()
        self._asked_about: object = None
        self._fingerprint: tuple[object, ...] = ()
        self._read_at = 0.0
        self._sightings: list[Sighting] = []
        self._counted: dict[str, tuple[float, tuple[Beancounter, ...]]] = {}
        self._started: dict[str, float] = {}
        self._doubted: dict[str, str] = {}

    @property
    def problem(self) -> str:
        """Why vzlist has no new answer, in one line; empty when it has, or there is none."""
        return self._source.problem if self._source is not None else ""

    def collect(self, ctx: Context) -> list[Sighting]:
        """Return which containers there are, with all that is known of them.

        Raises ``CollectorError`` when there is a node, or vzlist is configured, and nothing at all
        is known; ``PartlySeen`` when vzlist's last run has failed.
        """
        on_node = is_node(ctx.host)
        source = self._choose_source(ctx, inside=not on_node and has_kernel(ctx.host))
        if source is None and not on_node:
            self._counted, self._started = {}, {}
            return []
        if not self._is_unchanged(ctx, source):
            # A failure is not kept: without a fingerprint the next pass reads again.
            fingerprint, self._fingerprint, self._sightings = self._fingerprint, (), []
            self._sightings = self._read(ctx, source, on_node=on_node)
            self._fingerprint = fingerprint
        if source is not None and source.problem and self._sightings:
            raise PartlySeen(source.problem, tuple(self._sightings))
        return self._sightings

    def close(self) -> None:
        """Kill a vzlist that is running."""
        if self._source is not None:
            self._source.close()

    def _choose_source(self, ctx: Context, *, inside: bool) -> Source | None:
        """Return the source of vzlist's answer; None where there is no vzlist."""
        choice = choice_of(ctx.options)
        if choice != self._source_choice:
            self.close()
            self._source, self._source_choice = None, choice
        if self._source is None:
            self._source = make_source(ctx.options, inside=inside)
        return self._source

    def _is_unchanged(self, ctx: Context, source: Source | None) -> bool:
        """Return whether nothing has changed since the last pass but numbers, which are kept then.

        A pass without a change so costs next to nothing.
        """
        inside = [p for p in ctx.processes if container_of(p) is not None]
        running = running_now(ctx.host).union(p.envid for p in inside if p.envid)
        containers = (running, self._reader.configuration_changed(ctx.host))
        if source is not None:
            count = max(len(running), self._reader.configured)
            if source.refresh(ctx, containers=count, hurry=containers != self._asked_about):
                self._asked_about = containers
        answer = source.answer if source is not None else None
        fingerprint = (
            *containers,
            frozenset(p.id for p in inside if p.inner_pid == 1),
            answer.as_of if answer is not None else None,
        )
        is_recent = ctx.now - self._read_at < _NUMBERS_GOOD_FOR
        if not ctx.full and fingerprint == self._fingerprint and is_recent:
            return True
        self._fingerprint, self._read_at = fingerprint, ctx.now
        return False

    def _read(self, ctx: Context, source: Source | None, *, on_node: bool) -> list[Sighting]:
        answer = source.answer if source is not None else None
        node = self._reader.read(ctx, answer, on_node=on_node)
        if answer is None and not node.inhabited and node.kernel.running is None:
            if on_node or ctx.options.vzlist_file or ctx.options.vzlist_command:
                raise CollectorError(
                    self.problem or "/proc/vz/veinfo cannot be read and vzlist is late"
                )
            return []
        doubted_before, self._doubted = self._doubted, {}
        sightings = [s for c in sorted(node.ctids()) if (s := self._sighting(node, c)) is not None]
        present = {sighting.engine_id for sighting in sightings}
        self._counted = {c: kept for c, kept in self._counted.items() if c in present}
        self._started = {c: kept for c, kept in self._started.items() if c in present}
        if new := [n for n in self._doubted if n not in doubted_before]:
            where = ", ".join(f"{name} of {self._doubted[name]}" for name in new)
            log.warning("vzlist prints numbers that cannot be, which are not used: %s", where)
        return sightings

    def _sighting(self, node: Node, ctid: str) -> Sighting | None:
        """Join what is known of one container; None when there is no such container any more."""
        configured, listed = node.configuration.containers.get(ctid), node.listed(ctid)
        view, init = node.cgroups.get(ctid), node.inits.get(ctid)
        alive = node.is_alive(ctid)
        started = self._start_of(node, ctid) if alive is not False else None
        views = Views(
            ctid=ctid,
            now=node.ctx.now,
            listed=listed,
            listed_at=node.answer.as_of if node.answer is not None else 0.0,
            kernel=node.kernel_facts(ctid, started) if alive else None,
            configured=configured.facts if configured is not None else None,
            alive=alive,
            frozen=view.frozen if view is not None else None,
        )
        at_rest = node.storage.status(configured) if configured and not alive else None
        if not alive and at_rest is None and _is_gone(views):
            return None
        for name in (*(listed.absurd if listed is not None else ()), *doubtful(views)):
            self._doubted.setdefault(name, ctid)
        status = status_of(views, at_rest)
        counters = self._counters(views, status)
        is_6 = node.on_node and node.kernel.version == NO_CGROUPS
        facts = replace(
            merge(views, status, counters),
            without_cgroup=is_6 and not node.ctx.facts.cgroups.hierarchies,
        )
        state = State.RUNNING if alive and status == "unknown" else STATUSES[status]
        if state not in ALIVE:
            started = None
            self._started.pop(ctid, None)
        private = (listed.private if listed else "") or (configured.private if configured else "")
        root = (listed.root if listed else "") or (configured.root if configured else "")
        hostname = (listed.hostname if listed else "") or (
            configured.hostname if configured else ""
        )
        name = (listed.name if listed else "") or node.configuration.name_of(ctid)
        return Sighting(
            collector=self.name,
            engine="openvz",
            engine_id=ctid,
            name=name or hostname or ctid,
            state=state,
            image=facts.ostemplate,
            init=init.id if init is not None else None,
            cgroup=node.cgroup(ctid),
            hostname=hostname,
            created=node.storage.created(private, configured),
            started=started,
            boots=True if init is not None and starts_a_system(init) else None,
            rootfs=root if state in _MOUNTED else "",
            openvz=facts,
        )

    def _counters(self, views: Views, status: str) -> tuple[Beancounter, ...]:
        """Return the beancounters of a container, and remember them where they were counted."""
        counters, counted_at = counters_of(views, status, self._counted.get(views.ctid))
        if counted_at is None:
            self._counted.pop(views.ctid, None)
        else:
            self._counted[views.ctid] = (counted_at, counters)
        return counters

    def _start_of(self, node: Node, ctid: str) -> float | None:
        """Return when a container was started; a time that is computed is kept steady."""
        started, before = node.start_of(ctid), self._started.get(ctid)
        if before is not None and (started is None or abs(started - before) < _JITTER):
            return before
        if started is not None:
            self._started[ctid] = started
        return started


def _is_gone(views: Views) -> bool:
    """Return whether a container is gone that neither the kernel nor the disk has."""
    if views.listed is None or views.listed.facts.status == "unknown":
        return True
    return views.alive is False and views.listed.facts.status in RUNNING and not views.fresh
