"""The scout: looks at the host again and again, and sends what changed up a pipe.

It does all that is slow, heavy, privileged or could be blocked by a stranger, and listens on
nothing. One clock has three hands: a full reconciliation now and then, a glance for new processes
more often, and a look at once (and again soon after, as a cgroup comes before its process) when a
cgroup or an engine says something.

At rest it must cost next to nothing, so each of them stops as soon as it can. A glance reads two
numbers that move when any task of the host starts or ends. If they moved, the processes that came
and went are weighed: those by which a container may have come, gone or become another make a new
picture at once. The others (a shell on the host, one more worker) wait until a picture, which
takes the longer the more containers there are, is a small part of the time since the last one.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import select
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.clock import Clock
from agent.inventory.inventory import Inventory, Picture
from agent.model import CollectorHealth, Container
from agent.scout.changes import Known, lag
from agent.scout.judge import Judge
from agent.scout.outbox import Outbox
from agent.scout.runner import Runner
from agent.scout.watcher import CgroupWatcher
from collectors.contract import Context
from collectors.engines.openvz.kernel import read_own_beancounters
from collectors.facts import ALIVE, HostFacts, ProcessId, ProcessTable, Sighting
from collectors.hostfs import HostFS
from collectors.kernel.filesystem import read_host_filesystems
from collectors.kernel.host import read_host_facts
from collectors.kernel.process_events import ProcessEvents
from collectors.kernel.process_moves import ProcessMoves
from collectors.kernel.processes import ProcessReader, read_pulse
from collectors.registry import COLLECTORS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from agent.config import Config
    from agent.scout.progress import Progress

log = logging.getLogger(__name__)

_LOOK_AGAIN = (0.05, 0.2, 0.8)
"""Seconds after an event at which to look: the first process is the runtime's own init."""

_FULL_SHARE = 0.001
"""Part of one CPU that full reconciliations may take: a large host is reconciled less often."""

_IDLE_SHARE = 0.0005
"""The same for what is done when processes came and went, but none of consequence: to ask the
engines, and to make a picture."""

_EVENT_SHARE = 0.1
"""The same for looks at events while containers come and go all the time."""

_ASK_SECONDS = 30.0
"""The engines are asked so often though no process came or went."""

_FIRST_SECONDS = 5.0
_COLLECTOR_SECONDS = 10.0
ONLY_SECONDS = 20.0
"""How long a look waits for the engines. The first one waits less, as others will follow and a
scrape waits for it; a single one waits longer, as none will."""

_HUNG_SECONDS = 60.0
"""After so long a collector will not come back: its thread ends only with the whole scout."""


class Scout:
    """One scout's life: ``once`` for a single look, ``run`` until nobody listens any more."""

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
        self._table = ProcessTable(by_pid={})
        self._judge = Judge(
            self.host, overrides=config.overrides(), skip=skip_containers, begin=progress.begin
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
        self._picture: Picture | None = None
        self._known = Known()
        self._sightings: list[Sighting] = []
        self._asked_at = self._asking_seconds = 0.0
        self._pulse: object = None
        self._urgent = self._stale = False
        self._stale_until = 0.0
        self._process_events: ProcessEvents | None = None
        self._directories_changed = False
        self._kernel_seconds = 0.0
        self._judge_seconds = 0.0

    def wake(self) -> None:
        """Ask for a look soon; from any thread."""
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:
            return  # asked often enough

    def look(
        self,
        *,
        full: bool,
        patience: float = _COLLECTOR_SECONDS,
        ask: bool = True,
    ) -> None:
        """Look at the host and send what changed. ``full`` reads everything anew.

        ``patience`` is for how many seconds to wait for the engines, which without ``ask`` are only
        asked when the processes give reason to.
        """
        self._heed_clock()
        now = time.time()
        if full:
            self.facts = replace(
                self.facts,
                filesystems=read_host_filesystems(self.host),
                beancounters=read_own_beancounters(self.host),
            )
        self._pulse = read_pulse(self._processes_host)
        table = self._read_processes(full=full)
        sightings = self._sightings
        if ask or self._urgent:
            sightings = self._ask(table, now, full=full, patience=patience)
        if any(s.state in ALIVE and s.init and s.init.pid not in table.by_pid for s in sightings):
            table = self._read_processes(full=False)
        self._urgent |= full or sightings != self._sightings
        self._urgent |= now > self._inventory.expires
        if self._urgent or (self._stale and time.monotonic() >= self._stale_until):
            self._sightings = sightings
            self._draw(table, sightings, now)
            return
        if self._directories_changed:
            self._watch_cgroups()
        if self._picture is not None and self._judge.due(now):
            judged = self._judge.again(self._picture, self._outbox.sent, self.facts, now)
            self._progress.idle()
            self._inventory.judged(judged)
            self._send(judged, now)
        else:
            self._send(self._outbox.sent, now)

    def glance(self) -> None:
        """Look if anything may have happened since the last look."""
        now = time.monotonic()
        elsewhere = self._moves.look(self._table, self.facts, now)
        self._reader.forget(elsewhere)
        self._progress.idle()
        moved = (
            self._heed_clock()
            or bool(elsewhere)
            or self._pulse is None
            or read_pulse(self._processes_host) != self._pulse
        )
        if (
            moved
            or self._reader.young
            or (self._stale and now >= self._stale_until)
            or now - self._asked_at >= _ASK_SECONDS
            or self._judge.due(time.time())
            or time.time() > self._inventory.expires
        ):
            pause = min(_ASK_SECONDS, self._asking_seconds / _IDLE_SHARE)
            self.look(full=False, ask=now - self._asked_at >= pause)
        else:
            self._send(self._outbox.sent, time.time())

    def _heed_clock(self) -> bool:
        """Where the clock was set, set all that is remembered by it as well; says whether it was.

        The kernel does the same with the time of the boot, and so of each process's start.
        """
        jump = self._clock.jump()
        if jump:
            log.warning("the clock was set by %+.1f s", jump)
            if self.facts.boot_time:
                self.facts = replace(self.facts, boot_time=self.facts.boot_time + jump)
            self._inventory.shift(jump)
            self._judge.shift(jump)
            self._urgent = True
        return bool(jump)

    def _draw(self, table: ProcessTable, sightings: list[Sighting], now: float) -> None:
        """Make a new picture, and send what is new in it."""
        started, spent = time.monotonic(), time.process_time()
        self._watch_cgroups()
        picture = self._inventory.update(
            self.facts,
            table,
            sightings,
            self._judge.mounts,
            now=now,
            empty_cgroups=self._empty_cgroups(table),
        )
        first = self._picture is None
        judged = self._judge.judge(
            picture, self.facts, now, self._send_part if first else lambda _: None
        )
        self._progress.idle()
        self._inventory.judged(judged)
        if not first:
            news = lag(self._known, self._outbox.sent, judged)
            self._outbox.lag = self._outbox.lag if news is None else news
        if self._process_events is not None:
            self._process_events.know(table, (c.init.pid for c in judged.values() if c.init))
        self._picture = picture
        self._known = Known.of(picture, table)
        self._urgent = self._stale = False
        self._judge_seconds = time.monotonic() - started
        spent = time.process_time() - spent
        self._stale_until = time.monotonic() + spent / _IDLE_SHARE
        self._send(judged, now, picture)

    def _ask(
        self, table: ProcessTable, now: float, *, full: bool, patience: float
    ) -> list[Sighting]:
        spent = time.process_time()
        self._runner.run(
            lambda host: Context(
                host=host,
                facts=self.facts,
                processes=table,
                options=self._options,
                now=now,
                full=full,
                wake=self.wake,
                watch=self._watcher.watch_folder,
            ),
            patience,
        )
        self._asked_at = time.monotonic()
        self._asking_seconds = time.process_time() - spent
        return self._runner.sightings()

    def run(self, parent: int) -> None:
        """Look until ``parent``, a descriptor, ends."""
        self._watcher.open()
        if self._config.inventory.process_events:
            self._process_events = ProcessEvents(self.host, self.wake)
            self._process_events.start()
        poller = select.poll()
        poller.register(parent, select.POLLIN | select.POLLHUP)
        poller.register(self._wake_read, select.POLLIN)
        next_full = 0.0
        next_light = float("inf")
        looks: list[float] = []
        watching = False
        while True:
            now, spent = time.monotonic(), time.process_time()
            if now >= next_full:
                self.look(
                    full=True,
                    patience=_COLLECTOR_SECONDS if self._picture else _FIRST_SECONDS,
                )
                _give_back()
                took = time.process_time() - spent
                next_full = now + max(self._config.inventory.full_interval, took / _FULL_SHARE)
                next_light = now + self._config.inventory.poll_interval
                if not watching and self._watcher.fd is not None:
                    self._watch_cgroups()
                    poller.register(self._watcher.fd, select.POLLIN)
                    watching = True
            elif looks and now >= looks[0]:
                looks = [t for t in looks if t > now]
                self.look(full=False)
                took = time.process_time() - spent
                next_light = time.monotonic() + self._config.inventory.poll_interval
                looks = [max(t, now + took / _EVENT_SHARE) for t in looks[-1:]] or looks
            elif now >= next_light:
                self.glance()
                next_light = time.monotonic() + self._config.inventory.poll_interval
            hung = self._runner.hung(_HUNG_SECONDS)
            if hung:
                self._outbox.stuck(f"collector {hung}")
                return
            due = min([next_full, next_light, *looks[:1]])
            ready = {fd for fd, _ in poller.poll(max(0.0, due - time.monotonic()) * 1000)}
            if parent in ready:
                return
            if self._heard(ready):
                looks = sorted({*looks, *(time.monotonic() + s for s in _LOOK_AGAIN)})

    def close(self) -> None:
        """Let the collectors go."""
        self._runner.close()

    def _heard(self, ready: set[int]) -> bool:
        heard = False
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
            heard = True
        if self._watcher.fd in ready:
            self._directories_changed = self._watcher.drain() or self._directories_changed
            heard = heard or self._directories_changed
        return heard

    def _watch_cgroups(self) -> None:
        self._directories_changed = False
        self._watcher.refresh(c.cgroup for c in self._outbox.sent.values() if c.cgroup)

    def _read_processes(self, *, full: bool) -> ProcessTable:
        started = time.monotonic()
        table = self._reader.read(full=full)
        self._table = table
        self._progress.idle()
        self._kernel_seconds = time.monotonic() - started
        self._stale |= bool(self._reader.appeared or self._reader.vanished)
        self._urgent |= any(self._known.is_news(p, self.facts) for p in self._reader.appeared)
        self._urgent |= any(p.id in self._known.first for p in self._reader.vanished)
        return table

    def _empty_cgroups(self, table: ProcessTable) -> list[str]:
        """Return the cgroups that hold no process, neither themselves nor below."""
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
        self, judged: Mapping[str, Container], now: float, picture: Picture | None = None
    ) -> None:
        self._outbox.containers(judged, self.facts, self._health(judged, now), now, picture)

    def _health(self, judged: Mapping[str, Container], now: float) -> tuple[CollectorHealth, ...]:
        processes, evidence = self._processes_host.tally, self._judge.tally
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
                    error="hung before, and is left alone for a while",
                )
                for name in sorted(self._skip_collectors)
            ),
        )


def _give_back() -> None:
    """Return the kernel back what a whole look took and nobody needs, malloc_trim(3); glibc's."""
    gc.collect()
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _quarantined(
    subjects: frozenset[str],
) -> tuple[frozenset[ProcessId], frozenset[str], frozenset[str]]:
    """Sort what hung earlier scouts into processes, containers and collectors."""
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
