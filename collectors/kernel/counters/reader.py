"""Reads the counters of all containers at once, at little more than the kernel's own cost.

Files of cgroups stay open between scrapes and are read with pread. What would pin a container is
opened below its kept /proc/<pid> and closed in the same read: a kept ``net/dev`` would keep the
dead container's network namespace, and with it its veth on the host.
"""

from __future__ import annotations

import logging
import resource
import time
from typing import TYPE_CHECKING

from collectors.hostfs import or_none
from collectors.kernel.counters.calls import HOLDS_GIL, RELEASES_GIL
from collectors.kernel.counters.container import ContainerCounters
from collectors.kernel.counters.devices import Devices
from collectors.kernel.counters.sources import cpu_controller, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from collectors.facts import CgroupLayout
    from collectors.hostfs import HostFS
    from collectors.kernel.counters.calls import Calls
    from collectors.kernel.counters.model import Counters, Target
    from collectors.kernel.counters.sources import Source

log = logging.getLogger(__name__)

MOST_KEPT = 14
"""Descriptors kept of one container at most, that of its /proc/<pid> among them."""

_SLOW = 0.001
"""Seconds. Reading one container takes a tenth of that, unless the thread has to wait."""

_HOST_INTERVAL = 60.0
"""Seconds after which the host's huge pages and I/O schedulers are read again."""

_WAITS = 3
"""With so many voluntary context switches the thread has waited for the interpreter lock."""


def _voluntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


class CounterReader:
    """Reads the counters of the containers that ``update`` was given; for use by one thread.

    ``groups`` are the groups of metrics that are on: files of the others are not read.
    """

    def __init__(
        self,
        host: HostFS,
        layout: CgroupLayout,
        groups: Collection[str],
        *,
        ways: tuple[Calls, Calls] = (RELEASES_GIL, HOLDS_GIL),
        clock: Callable[[], float] = time.monotonic,
        waits: Callable[[], int] = _voluntary_switches,
    ) -> None:
        self._releasing, self._holding = ways
        self._clock = clock
        self._waits = waits
        self._host = host
        self._layout = layout
        self._groups = frozenset(groups)
        self._devices = Devices(host.sys)
        self._containers: dict[str, ContainerCounters] = {}
        self.descriptor_limit = raise_descriptor_limit() // 2
        """Most descriptors that may be kept: half of those that the process may have."""
        self._keep = MOST_KEPT
        self._unread: list[ContainerCounters] = []
        self._sources: dict[tuple[frozenset[str], bool, str | None], tuple[Source, ...]] = {}
        """The files of containers by their hierarchies, whether they have a CPU quota, and the
        hierarchy of their CPU time."""
        self._bfq = False
        self._hugepages: tuple[str, ...] = ()
        self._next_check = float("-inf")

    @property
    def kept(self) -> int:
        """How many descriptors are kept now."""
        return sum(container.kept for container in self._containers.values())

    def update(self, targets: Iterable[Target]) -> None:
        """Set the containers to read; ``read`` returns their counters in this order.

        A target that is the same object as before costs nothing.
        """
        self._check_host()
        before, self._containers = self._containers, {}
        for target in targets:
            container = before.pop(target.id, None)
            if container is None or container.target is not target:
                container = self._container_for(target, container)
            self._containers[target.id] = container
        for gone in before.values():
            gone.keep(0)
        keep = min(MOST_KEPT, self.descriptor_limit // max(1, len(self._containers)))
        if keep < self._keep:
            for container in self._containers.values():
                container.keep(keep)
        self._keep = keep
        self._unread = [c for c in self._containers.values() if not c.was_read]

    def _container_for(
        self, target: Target, current: ContainerCounters | None
    ) -> ContainerCounters:
        """Return the reader of one container: the current one if it serves, else a new one."""
        where = self._layout.hierarchies
        mounted = frozenset(target.cgroups.keys() & where.keys())
        paths = {name: where[name] + target.cgroups[name].rstrip("/") for name in mounted}
        cpu = cpu_controller(mounted)
        if current is not None and current.cpu is not None and current.init == target.init:
            # Another hierarchy counts a little less or more: a counter must not fall.
            name, path = current.cpu
            if name in mounted or self._host.sys.exists(path):
                cpu = name
                paths.setdefault(name, path)
        key = mounted, target.quota, cpu
        chosen = self._sources.get(key)
        if chosen is None:
            chosen = self._sources[key] = sources(
                mounted,
                self._groups,
                quota=target.quota,
                bfq=self._bfq,
                hugepages=self._hugepages,
                cpu=cpu,
            )
        if current is not None:
            if current.serves(target, chosen):
                current.target = target
                return current
            current.keep(0)
        return ContainerCounters(self._host, target, chosen, paths, self._groups)

    def _check_host(self) -> None:
        """Read, now and then, what of the host decides which files of containers are read."""
        now = self._clock()
        if now < self._next_check:
            return
        self._next_check = now + _HOST_INTERVAL
        bfq, hugepages = self._has_bfq(), self._used_hugepages()
        if (bfq, hugepages) != (self._bfq, self._hugepages):
            self._bfq, self._hugepages = bfq, hugepages
            self._sources.clear()
            # The files of each target are chosen again.
            for container in self._containers.values():
                container.target = None

    def warm(self, count: int) -> bool:
        """Read some containers that were never read; return whether there are more of them.

        The first reading opens a container's files and costs ten times a later one, so a thousand
        new containers are better not left to the next scrape.
        """
        for container in self._unread[:count]:
            container.read(self._releasing, self._devices, self._keep)
        self._unread = self._unread[count:]
        return bool(self._unread)

    def read(self) -> list[Counters | None]:
        """Read all containers; None is one that is not there (any more)."""
        calls, clock = self._releasing, self._clock
        waits = self._waits()
        readings = []
        for container in self._containers.values():
            started = clock()
            readings.append(container.read(calls, self._devices, self._keep))
            if clock() - started > _SLOW and calls is self._releasing:
                before, waits = waits, self._waits()
                if waits - before >= _WAITS:
                    calls = self._holding
        return readings

    def close(self) -> None:
        """Close all descriptors."""
        self.update(())

    def _has_bfq(self) -> bool:
        """Return whether a block device is scheduled by BFQ, which keeps v1's counts of its own."""
        if "blkio" not in self._layout.hierarchies:
            return False
        names = or_none(self._host.sys.listdir, "block") or ()
        return any("[bfq]" in self._text(f"block/{name}/queue/scheduler") for name in names)

    def _used_hugepages(self) -> tuple[str, ...]:
        """Return the sizes of huge pages of which the host has any, as cgroup files write them."""
        names = or_none(self._host.sys.listdir, "kernel/mm/hugepages") or ()
        sizes = []
        for name in sorted(names):
            size = name.removeprefix("hugepages-").removesuffix("kB")
            where = f"kernel/mm/hugepages/{name}"
            counts = ("nr_hugepages", "nr_overcommit_hugepages")
            if size.isdecimal() and any(
                self._text(f"{where}/{c}") not in ("", "0") for c in counts
            ):
                sizes.append(_page_size(int(size)))
        return tuple(sizes)

    def _text(self, path: str) -> str:
        return (or_none(self._host.sys.read_text, path, 4096) or "").strip()


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it; setrlimit(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("cannot raise the limit of open files above %d: %s", soft, error)
            return soft
    return hard


def _page_size(kilobytes: int) -> str:
    """Return a size of huge pages as in names of files: 2MB, 1GB, 64KB (hugetlb_cgroup.c)."""
    if kilobytes >= 1 << 20:
        return f"{kilobytes >> 20}GB"
    return f"{kilobytes >> 10}MB" if kilobytes >= 1 << 10 else f"{kilobytes}KB"
