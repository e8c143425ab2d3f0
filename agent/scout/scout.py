"""The scout: looks at the host again and again, and sends what changed up a pipe.

It does all that is slow, heavy or privileged, or that an untrusted process could block, and listens
on nothing. schedule.py decides when it does what; at rest it must cost next to nothing.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.clock import Clock
from agent.inventory.inventory import Inventory, InventoryPass
from agent.inventory.newcomers import Asked
from agent.model import CollectorHealth, Container
from agent.scout.changes import KnownProcesses, event_lag
from agent.scout.evidence import EvidenceReader
from agent.scout.judge import Judge
from agent.scout.outbox import Outbox
from agent.scout.runner import Runner
from agent.scout.schedule import Schedule, Task
from agent.scout.verdicts import Verdicts
from agent.scout.watcher import CgroupWatcher
from collectors.contract import Context
from collectors.facts import ALIVE, HostFacts, ProcessId, ProcessTable, Sighting
from collectors.hostfs import HostFS
from collectors.kernel.beancounters import read_own_beancounters
from collectors.kernel.disk_walk import DiskWalk
from collectors.kernel.filesystem import read_host_filesystems
from collectors.kernel.host import read_host_facts, read_uptime
from collectors.kernel.process_events import ProcessEvents
from collectors.kernel.process_execs import ProcessExecs
from collectors.kernel.process_moves import ProcessMoves
from collectors.kernel.processes import ProcessReader, read_pulse
from collectors.registry import COLLECTORS
from collectors.syscalls import trim_malloc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from agent.config import Config
    from agent.scout.progress import Progress

log = logging.getLogger(__name__)

_FIRST_SECONDS = 5.0
_COLLECTOR_SECONDS = 10.0
ONLY_SECONDS = 20.0
"""How long a pass waits for the engines. The first one waits less, as others follow and a scrape
waits for it; a one-shot run waits longer, as none does."""

_SETTLING_SECONDS = 3.0
"""For how long a one-shot run waits for engines to name new containers."""

_HUNG_SECONDS = 60.0
"""After so long a collector will not return: its thread ends only with the whole scout."""


class Scout:
    """One scout: ``run_pass`` for a one-shot run, ``run`` until serve ends."""

    def __init__(
        self, config: Config, quarantine: frozenset[str], progress: Progress, out: IO[bytes]
    ) -> None:
        self._config = config
        self._progress = progress
        self._clock = Clock()
        self._outbox = Outbox(out)
        self.host = HostFS(config.path.procfs, config.path.sysfs, config.path.rootfs)
        self.facts: HostFacts = read_host_facts(self.host)
        skip_processes, skip_containers, self._skip_collectors = _quarantined(quarantine)
        self._processes_host = self.host.with_tally()

        def touch(process: ProcessId) -> None:
            progress.begin(f"process {process.pid} {process.start_ticks}")

        self._reader = ProcessReader(self._processes_host, skip=skip_processes, touch=touch)
        self._moves = ProcessMoves(self._processes_host, touch)
        self._execs = ProcessExecs(self._processes_host, self._reader.mark)
        self._table = ProcessTable(by_pid={})
        self._evidence = EvidenceReader(self.host, skip=skip_containers, begin=progress.begin)
        budget = config.inventory.walk
        self._walk = DiskWalk(self.host.with_tally(), budget) if budget else None
        self._judge = Judge(
            self._evidence,
            Verdicts(config.overrides()),
            self._walk,
            show_arguments=config.web.show_arguments,
        )
        self._inventory = Inventory(
            retention=config.containers.retention,
            retained=config.containers.max_retained,
            cap=config.containers.max,
            wanted=config.containers.admits,
        )
        wanted = (n for n in COLLECTORS if config.enabled(n) and n not in self._skip_collectors)
        self._runner = Runner([COLLECTORS[name]() for name in wanted], self.host)
        self._options = config.options()
        self._watcher = CgroupWatcher(self.host, self.facts.cgroups)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._last_pass: InventoryPass | None = None
        self._known_processes = KnownProcesses()
        self._sightings: list[Sighting] = []
        self._schedule = Schedule(
            full_interval=config.inventory.full_interval,
            poll_interval=config.inventory.poll_interval,
        )
        self._pulse: object = None  # of the kernel, as of the last pass
        self._asked: Asked | None = None
        self._process_events: ProcessEvents | None = None
        self._kernel_seconds = 0.0
        self._judge_seconds = 0.0

    def wake(self) -> None:
        """Ask for a pass soon; from any thread."""
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:
            return  # the pipe is full of requests

    def run(self, parent: int) -> None:
        """Do what is due until ``parent``, a descriptor, is at its end or a collector hangs."""
        self._watcher.open()
        self._evidence.limits.open()
        if self._config.inventory.process_events:
            self._process_events = ProcessEvents(self.host, self.wake)
            self._process_events.start()
        poller = select.poll()
        poller.register(parent, select.POLLIN | select.POLLHUP)
        poller.register(self._wake_read, select.POLLIN)
        self._do(Task.FULL_PASS, time.monotonic())
        if self._watcher.fd is not None:
            self._watch_cgroups()
            poller.register(self._watcher.fd, select.POLLIN)
        self._wake_for_limits(poller)
        while not (hung := self._runner.hung(_HUNG_SECONDS)):
            if self._evidence.limits.take_freeze():
                self._schedule.frozen(time.monotonic())
            seconds = self._schedule.sleep(time.monotonic())
            ready = {fd for fd, _ in poller.poll(seconds * 1000)}
            if parent in ready:
                return
            if self._has_event(ready):
                self._schedule.event(time.monotonic())
            now = time.monotonic()
            self._drain_limits(poller, ready, now)
            task = self._schedule.task(now)
            if task is not None:
                self._do(task, now)
                self._wake_for_limits(poller)
        self._outbox.stuck(f"collector {hung}")

    def _do(self, task: Task, now: float) -> None:
        cpu = time.process_time()
        if task is Task.CHECK:
            self.check_for_changes()
        elif task is Task.EVENT_PASS:
            self.run_pass(task)
        else:
            first = self._last_pass is None
            self.run_pass(task, patience=_FIRST_SECONDS if first else _COLLECTOR_SECONDS)
            _release_memory()
        cost = time.process_time() - cpu
        self._schedule.done(task, started=now, ended=time.monotonic(), cost=cost)

    def run_once(self) -> None:
        """Look at the host and send it all: once, or until the new containers are settled."""
        self.run_pass(Task.FULL_PASS, patience=ONLY_SECONDS)
        until = time.monotonic() + _SETTLING_SECONDS
        while (seconds := self._settles_in()) is not None and time.monotonic() < until:
            time.sleep(seconds)
            self.run_pass(Task.EVENT_PASS, patience=ONLY_SECONDS)
        self._outbox.ended()

    def _settles_in(self) -> float | None:
        return self._last_pass.settles_in if self._last_pass is not None else None

    def run_pass(self, task: Task, *, patience: float = _COLLECTOR_SECONDS) -> None:
        """Look at the host and send what changed.

        ``patience`` is for how many seconds to wait for the engines.
        """
        self._follow_clock_step()
        now = time.time()
        if task is Task.FULL_PASS:
            self.facts = replace(
                self.facts,
                filesystems=read_host_filesystems(self.host),
                beancounters=read_own_beancounters(self.host),
            )
        self._pulse = read_pulse(self._processes_host)
        table = self._read_processes(full=task is Task.FULL_PASS)
        if self._schedule.asks_engines(task, time.monotonic()):
            self._ask_engines(table, now, full=task is Task.FULL_PASS, patience=patience)
        is_missing = any(
            s.state in ALIVE and s.init and s.init.pid not in table.by_pid for s in self._sightings
        )
        takes_inventory = self._schedule.takes_inventory(task, time.monotonic())
        has_ended = takes_inventory and self._forget_ended(table)
        is_old = takes_inventory and read_pulse(self._processes_host) != self._pulse
        if is_missing or has_ended or is_old:
            # What has ended since is unknown to its engine, and what has started may be known.
            self._pulse = read_pulse(self._processes_host)
            table = self._read_processes(full=False)
            if self._forget_replaced(table):
                table = self._read_processes(full=False)
        if now > self._inventory.expires:
            self._schedule.containers_changed()
        if self._schedule.takes_inventory(task, time.monotonic()):
            self._take_inventory(table, now)
            return
        if self._watcher.outdated:
            self._watch_cgroups()
        if self._last_pass is not None and self._judge.is_due(now):
            judged = self._judge.judge_due(self._last_pass, self._outbox.sent, self.facts, now)
            self._progress.idle()
            self._inventory.judged(judged)
            self._send(judged, now)
        else:
            self._send(self._outbox.sent, now)

    def check_for_changes(self) -> None:
        """Run a pass if anything may have changed since the last one; read little to know that."""
        now = time.monotonic()
        moved = self._moves.moved(self._table, self.facts, now)
        changed = self._forget_changed(now)
        self._reader.forget(moved)
        self._progress.idle()
        self._follow_clock_step()
        if (
            moved
            or changed
            or self._pulse is None
            or read_pulse(self._processes_host) != self._pulse
            or self._reader.young
            or self._schedule.needs_pass(now)
            or self._judge.is_due(time.time())
            or time.time() > self._inventory.expires
        ):
            self.run_pass(Task.CHECK)
        else:
            self._send(self._outbox.sent, time.time())

    def _follow_clock_step(self) -> None:
        """If the wall clock was set, move all remembered times along with it.

        The kernel does the same with the time of boot, and so with each process's start.
        """
        step = self._clock.step()
        if step:
            log.warning("the clock was set by %+.1f s", step)
            if self.facts.boot_time:
                self.facts = replace(self.facts, boot_time=self.facts.boot_time + step)
            self._inventory.shift(step)
            self._judge.shift(step)
            self._schedule.containers_changed()

    def _forget_changed(self, now: float) -> bool:
        """Have the processes read anew that run another program; return whether there are any."""
        groups = self._last_pass.groups.values() if self._last_pass is not None else ()
        pids = (process.pid for group in groups for process in group.members)
        changed = self._execs.changed(self._table, pids, now)
        self._reader.forget(changed)
        return bool(changed)

    def _read_processes(self, *, full: bool) -> ProcessTable:
        started = time.monotonic()
        if not full:
            self._forget_changed(started)  # while events keep coming there are no checks
        self._table = table = self._reader.read(full=full)
        self._progress.idle()
        self._kernel_seconds = time.monotonic() - started
        if self._reader.appeared or self._reader.vanished:
            self._schedule.processes_changed()
        if any(
            self._known_processes.is_changed_program(p, self.facts) for p in self._reader.appeared
        ):
            self._schedule.program_changed()
        if any(
            self._known_processes.can_change_containers(p, self.facts)
            for p in self._reader.appeared
        ) or any(p.id in self._known_processes.inits for p in self._reader.vanished):
            self._schedule.containers_changed()
        return table

    def _forget_ended(self, table: ProcessTable) -> bool:
        """Have the processes read anew by which containers are known, if they have ended.

        Those are the first ones, and all that are new.
        """
        groups = self._last_pass.groups.values() if self._last_pass is not None else ()
        known = {process.id for group in groups for process in group.members}
        first = {group.leader.id for group in groups}
        outside = (None, self.facts.namespaces.mnt)
        ended = self._reader.ended(
            process.pid
            for process in table
            if process.namespaces.mnt not in outside
            and (process.id in first or process.id not in known)
        )
        self._reader.forget(ended)
        return self._forget_replaced(table) or bool(ended)

    def _forget_replaced(self, table: ProcessTable) -> bool:
        """Have those read anew that have ended, and whose mounts a new process shares.

        The kernel has given the number of their namespace to another container.
        """
        new = {process.id for process in self._reader.appeared}
        mounts = {process.namespaces.mnt for process in self._reader.appeared}
        mounts -= {None, self.facts.namespaces.mnt}
        ended = self._reader.ended(
            process.pid
            for process in table
            if process.namespaces.mnt in mounts and process.id not in new
        )
        self._reader.forget(ended)
        return bool(ended)

    def _ask_engines(self, table: ProcessTable, now: float, *, full: bool, patience: float) -> None:
        cpu = time.process_time()
        uptime = read_uptime(self.host)
        self._asked = Asked(processes=table, uptime=uptime) if uptime is not None else None
        self._runner.run(
            lambda host: Context(
                host=host,
                facts=self.facts,
                processes=table,
                options=self._options,
                now=now,
                first=self._last_pass is None,
                full=full,
                wake=self.wake,
                watch=self._watcher.watch_folder,
            ),
            patience,
        )
        self._schedule.engines_asked(time.monotonic(), time.process_time() - cpu)
        sightings = self._runner.sightings()
        if sightings != self._sightings:
            self._sightings = sightings
            self._schedule.containers_changed()

    def _take_inventory(self, table: ProcessTable, now: float) -> None:
        """Take the inventory anew, have every container judged, and send what changed."""
        started, cpu = time.monotonic(), time.process_time()
        self._watch_cgroups()
        inventory = self._inventory.update(
            self.facts,
            table,
            self._sightings,
            self._evidence.mounts,
            now=now,
            empty_cgroups=self._empty_cgroups(table),
            asked=self._asked,
        )
        first = self._last_pass is None
        judged = self._judge.judge_all(
            inventory, self.facts, now, self._send_part if first else lambda _: None
        )
        self._progress.idle()
        self._inventory.judged(judged)
        if not first:
            seconds = event_lag(self._known_processes, self._outbox.sent, judged)
            self._outbox.lag = self._outbox.lag if seconds is None else seconds
        if self._process_events is not None:
            self._process_events.know(table, (c.init.pid for c in judged.values() if c.init))
        self._last_pass = inventory
        self._known_processes = KnownProcesses.of(inventory, table)
        self._judge_seconds = time.monotonic() - started
        self._schedule.inventory_taken(time.monotonic(), time.process_time() - cpu)
        if inventory.settles_in is not None:
            self._reader.forget(inventory.withheld)
            self._schedule.containers_change_in(inventory.settles_in, time.monotonic())
        self._send(judged, now, inventory)

    def close(self) -> None:
        """Close the collectors."""
        self._runner.close()
        if self._walk is not None:
            self._walk.close()

    def _has_event(self, ready: set[int]) -> bool:
        """Return whether one of the descriptors that are ready reports a change."""
        woken = self._wake_read in ready
        if woken:
            os.read(self._wake_read, 4096)
        if self._watcher.fd in ready:
            self._watcher.drain()
            return woken or self._watcher.outdated
        return woken

    def _wake_for_limits(self, poller: select.poll) -> None:
        limits = self._evidence.limits.fd
        if limits is not None:
            poller.register(limits, select.POLLIN)

    def _drain_limits(self, poller: select.poll, ready: set[int], now: float) -> None:
        """Have a check run soon if limits were changed.

        Most writes to a cgroup change none, so after one of them the next ones wake nothing until
        some task has run.
        """
        limits = self._evidence.limits
        if limits.fd is None or limits.fd not in ready:
            return
        poller.unregister(limits.fd)
        if limits.drain():
            self._schedule.limits_changed(now)

    def _watch_cgroups(self) -> None:
        self._watcher.refresh(c.cgroup for c in self._outbox.sent.values() if c.cgroup)

    def _empty_cgroups(self, table: ProcessTable) -> list[str]:
        """Return the cgroups without a process, in themselves and below."""
        used = set()
        for process in table:
            path = process.cgroups.get("name=systemd") or process.cgroups.get("", "/")
            while path not in used and path not in ("", "/"):
                used.add(path)
                path = path.rpartition("/")[0]
        return [d for d in self._watcher.directories if d != "/" and d not in used]

    def _send_part(self, container: Container) -> None:
        self._outbox.part(container, self.facts)

    def _send(
        self, judged: Mapping[str, Container], now: float, inventory: InventoryPass | None = None
    ) -> None:
        health = self._health(judged, now)
        self._outbox.containers(
            judged, self.facts, health, now, inventory, details=self._judge.details
        )

    def _health(self, judged: Mapping[str, Container], now: float) -> tuple[CollectorHealth, ...]:
        processes, evidence = self._processes_host.tally, self._evidence.tally
        return (
            CollectorHealth(
                name="processes",
                success=True,
                duration_seconds=self._kernel_seconds,
                last_success=now,
                denied=processes.denied.total(),
                malformed=processes.malformed.total(),
                containers=sum(1 for c in judged.values() if c.init is not None),
            ),
            CollectorHealth(
                name="evidence",
                success=self._judge.failed == 0,
                duration_seconds=self._judge_seconds,
                last_success=now,
                denied=evidence.denied.total(),
                malformed=evidence.malformed.total(),
                containers=len(judged),
            ),
            *self._runner.health(),
            *(
                CollectorHealth(
                    name=name,
                    success=False,
                    duration_seconds=0.0,
                    last_success=None,
                    error="hung an earlier scout, and is skipped for a while",
                )
                for name in sorted(self._skip_collectors)
            ),
        )


def _release_memory() -> None:
    """Return the memory that a full pass needed to the kernel, malloc_trim(3), which is glibc's."""
    gc.collect()
    with suppress(OSError):  # not glibc
        trim_malloc()


def _quarantined(
    subjects: frozenset[str],
) -> tuple[frozenset[ProcessId], frozenset[str], frozenset[str]]:
    """Return the processes, containers and collectors among what hung earlier scouts."""
    processes = set()
    collectors = set()
    for subject in subjects:
        kind, *rest = subject.split(" ")
        if kind == "process":
            processes.add(ProcessId(*map(int, rest)))
        elif kind == "collector":
            collectors.update(rest)
    containers = frozenset(s for s in subjects if s.startswith("container "))
    return frozenset(processes), containers, frozenset(collectors)
