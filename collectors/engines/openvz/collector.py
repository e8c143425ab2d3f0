"""The OpenVZ collector: every container of a node, whether or not vzlist answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.contract import CollectorError, PartlySeen
from collectors.engines.openvz.cgroups import CgroupView, ContainerCgroups, parent_cgroup
from collectors.engines.openvz.config import Configuration, ConfigurationReader
from collectors.engines.openvz.discovery import expand, is_node
from collectors.engines.openvz.inits import container_of, find_inits, starts_a_system
from collectors.engines.openvz.kernel import (
    Kernel,
    Quota,
    Share,
    VeInfo,
    cpu_times,
    read_cpus,
    read_kernel,
    running_now,
)
from collectors.engines.openvz.merge import RUNNING, Views, counters_of, merge, status_of
from collectors.engines.openvz.storage import Storage
from collectors.engines.openvz.units import STATUSES
from collectors.engines.openvz.vzlist.program import Program
from collectors.engines.openvz.vzlist.sources import FileSource, ProgramSource, Source
from collectors.facts import ALIVE, Beancounter, OpenvzFacts, Process, Sighting, State

if TYPE_CHECKING:
    from collectors.contract import Context, Options
    from collectors.engines.openvz.vzlist.background import Answer

NO_CGROUPS = 6
"""The version whose containers have no cgroups with files of their own."""

_TICKS = os.sysconf("SC_CLK_TCK")
_NUMBERS = 14.0
"""Seconds for which numbers are good: Prometheus asks every 15 s."""
_LOOK_AGAIN = 60.0
"""Seconds after which what cgroups and configuration say is read again."""

_MOUNTED = (State.RUNNING, State.PAUSED, State.MOUNTED)
_JITTER = 2.0
"""Seconds by which a start time may differ that is worked out from an uptime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """Everything that one pass has read of the node."""

    ctx: Context
    on_node: bool
    kernel: Kernel
    configuration: Configuration
    storage: Storage
    inits: Mapping[str, Process]
    inhabited: frozenset[str]
    """Containers in which the process table has seen a process."""
    cgroups: Mapping[str, CgroupView]
    parent: str | None
    """Cgroup in which this node puts its containers."""
    answer: Answer | None


class OpenvzCollector:
    """Sees the containers of OpenVZ 6 and of OpenVZ and Virtuozzo 7 and 9.

    vzlist knows the most but may be missing, late or hung, so it runs in the background and its
    last good answer is joined with what the kernel and the configuration say at this moment.
    """

    name = "openvz"

    def __init__(self) -> None:
        self._configurations = ConfigurationReader()
        self._source: Source | None = None
        self._source_of: tuple[object, ...] = ()
        self._asked_about: object = None
        self._views: Mapping[str, CgroupView] = {}
        self._viewed_at = self._looked_at = 0.0
        self._moment: tuple[object, ...] = ()
        self._expected = 0
        self._found: list[Sighting] = []
        self._counted: dict[str, tuple[float, tuple[Beancounter, ...]]] = {}
        self._started: dict[str, float] = {}

    @property
    def problem(self) -> str:
        """Why vzlist has no new answer, in one line; empty when it has, or there is none."""
        return self._source.problem if self._source is not None else ""

    def collect(self, ctx: Context) -> list[Sighting]:
        """Return which containers there are, with all that is known of them.

        Raises ``CollectorError`` when there is a node, or an answer of vzlist was promised, and
        nothing at all is known; ``PartlySeen`` when vzlist's last run has failed.
        """
        on_node = is_node(ctx.host)
        source = self._choose_source(ctx.options, inside=not on_node and ctx.host.proc.exists("vz"))
        if source is None and not on_node:
            self._counted, self._started = {}, {}
            return []
        if not self._is_quiet(ctx, source):
            # Only what was found is good for a while, no failure.
            moment, self._moment, self._found = self._moment, (), []
            self._found = self._find(ctx, source, on_node=on_node)
            self._moment = moment
        if source is not None and source.problem and self._found:
            raise PartlySeen(source.problem, tuple(self._found))
        return self._found

    def _find(self, ctx: Context, source: Source | None, *, on_node: bool) -> list[Sighting]:
        look = self._look(ctx, source, on_node=on_node)
        if look.answer is None and not look.inhabited and look.kernel.running is None:
            problem = source.problem if source is not None else ""
            if on_node or ctx.options.vzlist_file or ctx.options.vzlist_command:
                raise CollectorError(problem or "/proc/vz/veinfo cannot be read and vzlist is late")
            return []
        sightings = [self._sighting(look, ctid) for ctid in sorted(self._ctids(look))]
        found = [sighting for sighting in sightings if sighting is not None]
        present = {sighting.engine_id for sighting in found}
        self._counted = {c: kept for c, kept in self._counted.items() if c in present}
        self._started = {c: kept for c, kept in self._started.items() if c in present}
        return found

    def close(self) -> None:
        """Kill a vzlist that is running."""
        if self._source is not None:
            self._source.close()

    def _choose_source(self, options: Options, *, inside: bool) -> Source | None:
        """Choose where vzlist's answer comes from; None where there is no vzlist.

        Inside a container vzlist shows nothing, whoever has installed it there.
        """
        environment = options.environment or os.environ
        choice = (options.vzlist_file, options.vzlist_command, environment.get("PATH", ""))
        if choice != self._source_of:
            self.close()
            self._source, self._source_of = None, choice
        if self._source is None:
            if options.vzlist_file:
                self._source = FileSource(options.vzlist_file)
            elif options.vzlist_command:
                self._source = ProgramSource(Program(options.vzlist_command, environment))
            elif not inside:
                program = Program(("vzlist",), environment)
                self._source = ProgramSource(program) if program.path() is not None else None
        return self._source

    def _is_quiet(self, ctx: Context, source: Source | None) -> bool:
        """Return whether all that has changed since the last look is what moves all the time.

        Then its numbers stand for a while: a pass that finds nothing new costs nobody anything.
        """
        inside = [p for p in ctx.processes if container_of(p) is not None]
        running = running_now(ctx.host).union(p.envid for p in inside if p.envid)
        news = (running, self._configurations.changed(ctx.host))
        if source is not None:
            expected = max(len(running), self._expected)
            if source.refresh(ctx, containers=expected, hurry=news != self._asked_about):
                self._asked_about = news
        answer = source.answer if source is not None else None
        moment = (
            *news,
            frozenset(p.id for p in inside if p.inner_pid == 1),
            answer.as_of if answer is not None else None,
        )
        if not ctx.full and moment == self._moment and ctx.now - self._looked_at < _NUMBERS:
            return True
        self._moment, self._looked_at = moment, ctx.now
        return False

    def _look(self, ctx: Context, source: Source | None, *, on_node: bool) -> _Pass:
        kernel = read_kernel(ctx.host) if on_node else Kernel()
        thorough = ctx.full or ctx.now - self._viewed_at >= _LOOK_AGAIN
        configuration = self._configurations.read(ctx.host, full=thorough)
        self._expected = len(configuration.containers)
        inhabited = frozenset(filter(None, map(container_of, ctx.processes)))
        groups = ContainerCgroups(ctx.host, ctx.facts.cgroups.hierarchies)
        running = inhabited.union(kernel.running or ())
        answer = source.answer if source is not None else None
        cgroups = {}
        if on_node and kernel.version != NO_CGROUPS:
            # A light pass looks at new ones only, but now and then: a pause sends no event. What
            # vzlist has found out since is not held against an older look.
            if thorough or (answer is not None and self._viewed_at <= answer.as_of):
                self._views, thorough = {}, True
            known = self._views
            cgroups = {c: known.get(c) or groups.view(c) for c in running.union(groups.known())}
        self._views = cgroups
        if thorough:
            self._viewed_at = ctx.now
        inits = find_inits(ctx.processes)
        return _Pass(
            ctx=ctx,
            on_node=on_node,
            kernel=kernel,
            configuration=configuration,
            storage=Storage(ctx.host, configuration.paths),
            inits=inits,
            inhabited=inhabited,
            cgroups=cgroups,
            parent=parent_cgroup(inits.values(), kernel.version),
            answer=answer,
        )

    def _ctids(self, look: _Pass) -> set[str]:
        """Return every container that anybody knows.

        The configuration alone counts only on a node and while vzlist has not spoken since: files
        of containers that are long gone lie about on many hosts.
        """
        running = {c for c, view in look.cgroups.items() if view.running}
        found = look.inhabited.union(look.kernel.running or (), running)
        answer, configuration = look.answer, look.configuration
        if answer is not None:
            removed_since = (configuration.changed or 0.0) > answer.as_of
            found |= {
                c for c in answer.containers if not (removed_since and configuration.lacks(c))
            }
        if look.on_node:
            since = answer.as_of if answer is not None else 0.0
            found |= {c for c, known in configuration.containers.items() if known.changed >= since}
        return set(found)

    def _sighting(self, look: _Pass, ctid: str) -> Sighting | None:
        """Join what is known of one container; None when there is no such container any more."""
        ctx, configured = look.ctx, look.configuration.containers.get(ctid)
        listed = look.answer.containers.get(ctid) if look.answer is not None else None
        view, init = look.cgroups.get(ctid), look.inits.get(ctid)
        alive = _is_alive(look, ctid)
        started = self._start_of(look, ctid) if alive is not False else None
        views = Views(
            ctid=ctid,
            now=ctx.now,
            listed=listed,
            listed_at=look.answer.as_of if look.answer is not None else 0.0,
            kernel=_kernel_facts(look, ctid, started) if alive else None,
            configured=configured.facts if configured is not None else None,
            alive=alive,
            frozen=view.frozen if view is not None else None,
        )
        at_rest = look.storage.status(configured) if configured and not alive else None
        if not alive and at_rest is None and _is_gone(views):
            return None
        status = status_of(views, at_rest)
        counters, counted_at = counters_of(views, status, self._counted.get(ctid))
        if counted_at is None:
            self._counted.pop(ctid, None)
        else:
            self._counted[ctid] = (counted_at, counters)
        is_6 = look.on_node and look.kernel.version == NO_CGROUPS
        facts = replace(
            merge(views, status, counters),
            without_cgroup=is_6 and not ctx.facts.cgroups.hierarchies,
        )
        state = State.RUNNING if alive and status == "unknown" else STATUSES[status]
        if state not in ALIVE:
            started = None
            self._started.pop(ctid, None)
        private = listed.private if listed else ""
        private = private or (configured.private if configured else "")
        root = (listed.root if listed else "") or (configured.root if configured else "")
        hostname = (listed.hostname if listed else "") or (
            configured.hostname if configured else ""
        )
        linked = look.configuration.name_of(ctid)
        return Sighting(
            collector=self.name,
            engine="openvz",
            engine_id=ctid,
            name=(listed.name if listed else "") or linked or hostname or ctid,
            state=state,
            image=facts.ostemplate,
            init=init.id if init is not None else None,
            cgroup=_cgroup(look, ctid),
            hostname=hostname,
            created=look.storage.created(private, configured),
            started=started,
            boots=True if init is not None and starts_a_system(init) else None,
            rootfs=root if state in _MOUNTED else "",
            openvz=facts,
        )

    def _start_of(self, look: _Pass, ctid: str) -> float | None:
        """Say when a container was started; what is worked out from an uptime is kept steady."""
        ctx, init = look.ctx, look.inits.get(ctid)
        listed = look.answer.containers.get(ctid) if look.answer is not None else None
        stat = look.kernel.stats.get(ctid)
        found = None
        if init is not None and ctx.facts.boot_time:
            found = ctx.facts.boot_time + init.id.start_ticks / _TICKS
        elif stat is not None and stat.uptime and look.kernel.version >= 7:
            found = ctx.now - stat.uptime / 1e9
        elif look.answer is not None and listed is not None and listed.facts.uptime_seconds:
            found = look.answer.as_of - listed.facts.uptime_seconds
        before = self._started.get(ctid)
        if before is not None and (found is None or abs(found - before) < _JITTER):
            return before
        if found is not None:
            self._started[ctid] = found
        return found


def _is_gone(views: Views) -> bool:
    """Return whether a container is no more that neither the kernel nor the disk knows."""
    if views.listed is None or views.listed.facts.status == "unknown":
        return True
    return views.alive is False and views.listed.facts.status in RUNNING and not views.fresh


def _is_alive(look: _Pass, ctid: str) -> bool | None:
    """Return whether the kernel has the container now; None where the agent may not know."""
    if ctid in look.inhabited or ctid in (look.kernel.running or ()):
        return True
    if look.kernel.running is not None:
        return False
    view = look.cgroups.get(ctid)
    return view.running if view is not None else None


def _kernel_facts(look: _Pass, ctid: str, started: float | None) -> OpenvzFacts:
    """Return what the kernel's files say of a container that runs."""
    kernel, view = look.kernel, look.cgroups.get(ctid)
    info = (kernel.running or {}).get(ctid, VeInfo(0, ()))
    share = kernel.shares.get(ctid, Share(None, None))
    quota = kernel.quotas.get(ctid, Quota(""))
    base = view.facts if view is not None else OpenvzFacts(ctid=ctid)
    uptime = max(look.ctx.now - started, 0.0) if started is not None else None
    init = look.inits.get(ctid)
    if init is not None and kernel.uptime is not None:
        # No clock that somebody sets.
        uptime = max(kernel.uptime - init.id.start_ticks / _TICKS, 0.0)
    stat = kernel.stats.get(ctid)
    times = cpu_times(stat, kernel.version, uptime) if stat is not None else None
    configured = look.configuration.containers.get(ctid)
    private = configured.private if configured else expand(look.configuration.paths.private, ctid)
    return OpenvzFacts(
        ctid=ctid,
        addresses=info.addresses,
        layout=look.storage.layout(private),
        beancounters=kernel.beancounters.get(ctid, ()),
        disk_used_bytes=quota.used_bytes,
        disk_soft_bytes=quota.soft_bytes,
        disk_hard_bytes=quota.hard_bytes,
        inodes_used=quota.inodes,
        inodes_soft=quota.inodes_soft,
        inodes_hard=quota.inodes_hard,
        load=base.load,
        uptime_seconds=uptime,
        cpu_limit_ratio=base.cpu_limit_ratio or share.limit_ratio,
        cpu_units=base.cpu_units or share.units,
        cpus=base.cpus or read_cpus(look.ctx.host, ctid),
        cpu_seconds=times.total if times else None,
        cpu_as_of=look.ctx.now if times else None,
        cpu_user_seconds=times.user if times else None,
        cpu_system_seconds=times.system if times else None,
        processes=info.processes or None,
        io_limit_bytes_per_second=base.io_limit_bytes_per_second,
        io_limit_operations_per_second=base.io_limit_operations_per_second,
    )


def _cgroup(look: _Pass, ctid: str) -> str | None:
    """Return the cgroup of a container, or the one that it will get when it is started."""
    view = look.cgroups.get(ctid)
    if view is not None and view.path:
        return view.path
    return f"{look.parent}/{ctid}" if look.parent is not None else None
