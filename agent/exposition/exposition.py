"""The page of metrics: keeps what is rendered already, reads the counters, puts them together."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.exposition.agent import inventory_samples, machine_samples, process_samples
from agent.exposition.density import Usage, host_samples
from agent.exposition.options import Options
from agent.exposition.page import Page
from agent.exposition.rows import Row
from agent.exposition.samples import Sample
from agent.model import Snapshot
from collectors.facts import HostFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from collectors.hostfs import HostFS
    from collectors.kernel.counters.model import Counters


@dataclass(frozen=True, slots=True)
class _Inventory:
    """What was rendered of one snapshot; replaced as a whole."""

    snapshot: Snapshot
    rows: tuple[Row, ...]
    fixed: tuple[Sample, ...]
    """Of the host and the agent, as long as the snapshot stands."""


class Exposition:
    """Makes the pages. ``update`` may be called by any thread, ``render`` by several at once.

    Those that ask while a reading is under way share it: a page is one picture of the host, and
    costs one reading however many ask.
    """

    def __init__(
        self,
        host: HostFS,
        options: Options | None = None,
        *,
        processes: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._options = options or Options()
        self._processes = processes
        self._clock = clock
        self._proc = host.proc
        self._inventory = _Inventory(Snapshot(host=HostFacts(), containers={}), (), ())
        self._updating = threading.Lock()
        self._reading = threading.Lock()
        self._last: tuple[float, Page] | None = None
        self._usage = Usage()
        self._scrapes = 0

    def update(self, snapshot: Snapshot) -> None:
        """Take in what the scout has sent. A container that is the same object is kept as it is."""
        with self._updating:
            before = {row.container.id: row for row in self._inventory.rows}
            rows = []
            for container in snapshot.containers.values():
                row = before.get(container.id)
                if row is None or row.container is not container:
                    row = Row(container, self._options)
                rows.append(row)
            fixed = list(machine_samples(snapshot.host))
            if snapshot.complete:
                fixed += host_samples(snapshot.containers.values())
            self._inventory = _Inventory(snapshot, tuple(rows), tuple(fixed))

    def render(self, *, openmetrics: bool = False) -> Iterator[bytes]:
        """Read the counters, or share the reading under way, and give the page in pieces."""
        asked = time.monotonic()
        with self._reading:
            if self._last is None or self._last[0] < asked:
                page = self._read()
                self._last = (time.monotonic(), page)
            else:
                page = self._last[1]
        return page.pieces(openmetrics=openmetrics)

    def _read(self) -> Page:
        inventory = self._inventory
        now = self._clock()
        self._scrapes += 1
        counted: list[tuple[Row, Counters]] = []
        seen: dict[bytes, float] = {}
        for row in inventory.rows:
            if row.alive:
                row.last_seen = now
            if now - row.last_seen <= self._options.retention:
                seen[row.base] = row.last_seen
        others = [
            *(s for s in inventory.fixed if self._options.shows(s.name)),
            *self._of_this_page(inventory, counted, None, now),
        ]
        return Page(self._options, inventory.rows, counted, seen, others)

    def _of_this_page(
        self,
        inventory: _Inventory,
        counted: Sequence[tuple[Row, Counters]],
        host: Counters | None,
        now: float,
    ) -> Iterator[Sample]:
        found = [*inventory_samples(inventory.snapshot, now)]
        if inventory.snapshot.complete:
            found += self._usage.samples(counted, host, time.monotonic())
        found += process_samples(self._proc, self._processes(), inventory.snapshot.host.boot_time)
        found.append(Sample("tallyman_scrapes_total", self._scrapes))
        return (sample for sample in found if self._options.shows(sample.name))
