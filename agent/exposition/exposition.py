"""The page of metrics: keeps what is rendered, reads the counters, puts both together."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.clock import Clock
from agent.exposition.agent import inventory_samples, machine_samples, process_samples
from agent.exposition.density import Usage, host_samples
from agent.exposition.interfaces import LeftOutInterfaces
from agent.exposition.options import Options
from agent.exposition.page import Page
from agent.exposition.rows import Row
from agent.exposition.samples import Sample
from agent.exposition.series_limit import SeriesLimit
from agent.exposition.single_flight import SingleFlight
from agent.model import Container, Snapshot
from collectors.facts import HostFacts
from collectors.kernel.counters import CounterReader, Counters, HostCounters, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from collectors.facts import CgroupLayout
    from collectors.hostfs import HostFS


_WARM_UP_BATCH = 20
"""New containers that are read at once, before a scrape may come in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The counters of all containers at one moment, for those who watch them."""

    as_of: float
    """Seconds since the epoch."""
    at: float
    """The same moment on a clock that cannot be set."""
    cost: float
    """How many seconds of CPU time it took to read them."""
    host: Counters
    containers: Mapping[str, tuple[Container, Counters]]
    """By id, of those that run."""


class _Inventory:
    """What was rendered of one snapshot; replaced as a whole."""

    def __init__(self, snapshot: Snapshot, rows: Sequence[Row], options: Options) -> None:
        self.snapshot = snapshot
        self.rows = rows
        self.options = options
        self.host_row = Row(Container(id="/", engine="none"), options)
        self.read_rows = [row for row in rows if row.target is not None]
        """Rows of containers whose counters are read at each scrape."""
        self._fixed: tuple[Sample, ...] | None = None

    def with_snapshot(self, snapshot: Snapshot) -> _Inventory:
        """Return the same for another snapshot of the same containers."""
        other = _Inventory(snapshot, self.rows, self.options)
        other.host_row = self.host_row
        if (snapshot.host, snapshot.complete) == (self.snapshot.host, self.snapshot.complete):
            other._fixed = self._fixed
        return other

    @property
    def fixed(self) -> tuple[Sample, ...]:
        """Samples of the host that stay the same as long as host and containers do."""
        if self._fixed is None:
            snapshot = self.snapshot
            samples = list(machine_samples(snapshot.host)) if snapshot.as_of else []
            if snapshot.complete:
                samples += host_samples(snapshot.containers.values())
            self._fixed = tuple(samples)
        return self._fixed


class Exposition:
    """Makes the pages. ``update`` may be called by any thread, ``render`` by several at once.

    Scrapes at the same time share one reading: a page shows the host at one moment, and costs one
    reading however many clients there are.
    """

    def __init__(
        self,
        host: HostFS,
        options: Options | None = None,
        *,
        processes: Callable[[], Mapping[str, int]] = dict,
        more: Callable[[], Iterable[Sample]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start with an empty inventory.

        ``processes`` returns the pids of the agent's own processes by name, ``more`` returns
        further samples about the agent.
        """
        self._host = host
        options = options or Options()
        self._more = more
        self._processes = processes
        self._clock = clock
        self._jump = Clock().step
        self._clock_lock = threading.Lock()
        self._inventory = _Inventory(Snapshot(host=HostFacts(), containers={}), (), options)
        self._groups = options.groups
        self._host_counters = HostCounters(host, self._groups)
        self._reader: CounterReader | None = None
        self._layout: CgroupLayout | None = None
        self._synced: list[Row] | None = None
        """The rows whose containers the reader was given last."""
        self._updating = threading.Lock()
        self._reading = threading.Lock()
        self._pages = SingleFlight(self._page)
        self._usage = Usage()
        self._series_limit = SeriesLimit()
        self._left_out_interfaces = LeftOutInterfaces()
        self._scrapes = 0
        self._seconds = {"read": 0.0, "encode": 0.0}
        self._warming = False

    def update(self, snapshot: Snapshot, options: Options | None = None) -> None:
        """Show another snapshot from now on; rows of containers that are the same object are kept.

        New ``options`` apply from the first page that shows this snapshot.
        """
        self._follow_clock()
        with self._updating:
            if snapshot.containers is self._inventory.snapshot.containers:
                self._inventory = self._inventory.with_snapshot(snapshot)
                return
            before = {row.container.id: row for row in self._inventory.rows}
            old = self._inventory.options
            options = options or old
            rows = []
            is_new = False
            for container in snapshot.containers.values():
                row = before.get(container.id)
                if row is None or row.container is not container or options is not old:
                    is_new |= row is None
                    row = Row(container, options, row)
                rows.append(row)
            self._inventory = _Inventory(snapshot, rows, options)
            if is_new and not self._warming:
                self._warming = True
                threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def render(self, *, openmetrics: bool = False) -> Iterator[bytes]:
        """Read the counters, or share the reading under way, and return the page in pieces."""
        return self._pages.get().pieces(openmetrics=openmetrics)

    def read_counters(self) -> Reading:
        """Read the counters, and nothing that is on the page beside them."""
        with self._reading:
            self._follow_clock()
            inventory = self._inventory
            as_of, at, spent = self._clock(), time.monotonic(), time.thread_time()
            readings = zip(inventory.read_rows, self._sync(inventory).read(), strict=True)
            containers = {
                row.container.id: (row.container, _with_all_oom_kills(row, counters))
                for row, counters in readings
                if counters is not None
            }
            host = self._host_counters.read()
            cost = time.thread_time() - spent
        return Reading(as_of=as_of, at=at, cost=cost, host=host, containers=containers)

    def _follow_clock(self) -> None:
        """Shift remembered times where the wall clock was set, as the scout does."""
        with self._clock_lock:
            jump = self._jump()
            if jump:
                for row in self._inventory.rows:
                    row.last_seen += jump

    def _warm_up(self) -> None:
        """Read new containers, a few at a time, so that the next scrape need not."""
        more = True
        while more:
            with self._reading:
                self._warming = False
                more = self._sync(self._inventory).warm(_WARM_UP_BATCH)

    def _page(self) -> Page:
        with self._reading:
            return self._read()

    def _read(self) -> Page:
        self._follow_clock()
        inventory = self._inventory
        now = self._clock()
        started = time.perf_counter()
        readings = zip(inventory.read_rows, self._sync(inventory).read(), strict=True)
        counted = [
            (row, _with_all_oom_kills(row, counters))
            for row, counters in readings
            if counters is not None
        ]
        host = self._host_counters.read()
        self._seconds["read"] += time.perf_counter() - started
        self._scrapes += 1
        read_rows = {id(row) for row, _ in counted}
        kept = {
            "container_last_seen": self._last_seen(inventory, read_rows, now),
            "container_oom_events_total": _oom_kills_of_ended(inventory.rows, read_rows),
        }
        options = inventory.options
        shown = self._series_limit.choose(
            (inventory.host_row, host),
            counted,
            inventory.rows,
            options.max_series,
            time.monotonic(),
        )
        others = [*inventory.fixed, *self._live_samples(inventory, counted, host, now)]
        others.append(Sample("tallyman_dropped_series", shown.dropped))
        interfaces = self._left_out_interfaces.count(counted, time.monotonic())
        others.append(Sample("tallyman_dropped_interfaces", interfaces))
        return Page(options, shown, kept, others, self._encoded)

    def _sync(self, inventory: _Inventory) -> CounterReader:
        """Return the reader, brought up to date with the containers of that inventory."""
        layout = inventory.snapshot.host.cgroups
        groups = inventory.options.groups
        if self._reader is None or layout != self._layout or groups != self._groups:
            if self._reader is not None:
                self._reader.close()
            self._layout, self._groups = layout, groups
            self._reader = CounterReader(self._host, layout, groups)
            self._host_counters = HostCounters(self._host, groups)
            self._synced = None
        if inventory.read_rows is not self._synced:
            self._reader.update(row.target for row in inventory.read_rows if row.target)
            self._synced = inventory.read_rows
        return self._reader

    def _encoded(self, seconds: float) -> None:
        self._seconds["encode"] += seconds

    def _last_seen(
        self, inventory: _Inventory, counted: set[int], now: float
    ) -> dict[bytes, float]:
        """Return when each container was last seen running: now, or when it stopped."""
        seen = {}
        for row in inventory.rows:
            # One whose counters are gone has died, even if the scout has not noticed yet.
            if row.runs and (row.target is None or id(row) in counted):
                row.last_seen = now
            # It may lie in the future: an engine's time from before the clock was set.
            if abs(now - row.last_seen) <= inventory.options.retention:
                seen[row.base] = row.last_seen
        return seen

    def _live_samples(
        self,
        inventory: _Inventory,
        counted: Sequence[tuple[Row, Counters]],
        host: Counters,
        now: float,
    ) -> Iterator[Sample]:
        yield from inventory_samples(inventory.snapshot, now)
        if inventory.snapshot.complete:
            yield from self._usage.samples(counted, host, time.monotonic())
        yield from process_samples(self._processes())
        yield from self._more()
        yield Sample("tallyman_scrapes_total", self._scrapes)
        for phase, seconds in self._seconds.items():
            yield Sample("tallyman_scrape_seconds_total", seconds, (("phase", phase),))
        if self._reader is not None:
            yield Sample("tallyman_kept_descriptors", self._reader.kept)
            yield Sample("tallyman_kept_descriptors_limit", self._reader.descriptor_limit)


def _with_all_oom_kills(row: Row, counters: Counters) -> Counters:
    """Return a reading with the OOM kills of the container's earlier lives added."""
    kernel = counters.scalars[Scalar.OOM_KILLS]
    kills = row.oom_kills.read(row.container.init, kernel)
    if kills == int(kernel or 0):
        return counters
    scalars = list(counters.scalars)
    scalars[Scalar.OOM_KILLS] = b"%d" % kills
    return Counters(tuple(scalars), counters.tables)


def _oom_kills_of_ended(rows: Iterable[Row], read_rows: set[int]) -> dict[bytes, float]:
    """Return the OOM kills of containers that have no counters now: the last one ended them."""
    return {
        row.base: row.oom_kills.total
        for row in rows
        if id(row) not in read_rows and row.oom_kills.total
    }
