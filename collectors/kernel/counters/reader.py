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

from collectors.hostfs import HostReadError
from collectors.kernel.counters.calls import HOLDS_GIL, RELEASES_GIL
from collectors.kernel.counters.container import ContainerCounters
from collectors.kernel.counters.devices import Devices
from collectors.kernel.counters.sources import sources

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
"""Seconds. One container takes a tenth of it, unless something comes in between."""

_LOOK_AGAIN = 60.0
"""Seconds after which the host's huge pages and I/O schedulers are looked at again."""

_WAITS = 3
"""If this thread has given up the CPU so often by itself, it has waited for the interpreter."""


def _voluntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


class CounterReader:
    """Reads what the kernel counts of the containers that it was told of; for one thread.

    ``groups`` are names of the groups of metrics that are on: what nobody wants is not read.
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
        """Most descriptors that may be kept: half of what the process may have."""
        self._keep = MOST_KEPT
        self._unread: list[ContainerCounters] = []
        self._sources: dict[tuple[frozenset[str], bool], tuple[Source, ...]] = {}
        """The files of all containers in the same hierarchies, by those and a quota."""
        self._bfq = False
        self._hugepages: tuple[str, ...] = ()
        self._look_again = float("-inf")

    @property
    def kept(self) -> int:
        """How many descriptors are kept now."""
        return sum(container.kept for container in self._containers.values())

    def update(self, targets: Iterable[Target]) -> None:
        """Return which containers there are; ``read`` answers in this order.

        A target that is the same object as before costs nothing.
        """
        self._look_at_host()
        before, self._containers = self._containers, {}
        for target in targets:
            known = before.pop(target.id, None)
            if known is None or known.target is not target:
                known = self._made_for(target, known)
            self._containers[target.id] = known
        for gone in before.values():
            gone.keep(0)
        keep = min(MOST_KEPT, self.descriptor_limit // max(1, len(self._containers)))
        if keep < self._keep:
            for container in self._containers.values():
                container.keep(keep)
        self._keep = keep
        self._unread = [c for c in self._containers.values() if not c.was_read]

    def _made_for(self, target: Target, known: ContainerCounters | None) -> ContainerCounters:
        """Return the reader of one container: the known one if it serves, else a new one."""
        mounted = frozenset(target.cgroups.keys() & self._layout.hierarchies.keys())
        chosen = self._sources.get((mounted, target.quota))
        if chosen is None:
            chosen = self._sources[mounted, target.quota] = sources(
                mounted,
                self._groups,
                quota=target.quota,
                bfq=self._bfq,
                hugepages=self._hugepages,
            )
        if known is not None:
            if known.serves(target, chosen):
                known.target = target
                return known
            known.keep(0)
        where = self._layout.hierarchies
        paths = {name: where[name] + target.cgroups[name].rstrip("/") for name in mounted}
        return ContainerCounters(self._host, target, chosen, paths, self._groups)

    def _look_at_host(self) -> None:
        """See now and then what of the host decides which files are read."""
        now = self._clock()
        if now < self._look_again:
            return
        self._look_again = now + _LOOK_AGAIN
        found = self._has_bfq(), self._used_hugepages()
        if found != (self._bfq, self._hugepages):
            self._bfq, self._hugepages = found
            self._sources.clear()
            # Each target is looked at again, with the files that are right now.
            for container in self._containers.values():
                container.target = None

    def warm(self, count: int) -> bool:
        """Read some containers that were never read; says whether there are more of them.

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
        found = []
        for container in self._containers.values():
            started = clock()
            found.append(container.read(calls, self._devices, self._keep))
            if clock() - started > _SLOW and calls is self._releasing:
                before, waits = waits, self._waits()
                if waits - before >= _WAITS:
                    calls = self._holding
        return found

    def close(self) -> None:
        """Let go of every descriptor."""
        self.update(())

    def _has_bfq(self) -> bool:
        """Return whether a block device is scheduled by BFQ, which keeps v1's counts of its own."""
        if "blkio" not in self._layout.hierarchies:
            return False
        try:
            names = self._host.sys.listdir("block")
        except HostReadError:
            return False
        return any("[bfq]" in self._text(f"block/{name}/queue/scheduler") for name in names)

    def _used_hugepages(self) -> tuple[str, ...]:
        """Return the sizes of huge pages of which the host has any, as cgroup files write them."""
        try:
            names = self._host.sys.listdir("kernel/mm/hugepages")
        except HostReadError:
            return ()
        found = []
        for name in sorted(names):
            size = name.removeprefix("hugepages-").removesuffix("kB")
            where = f"kernel/mm/hugepages/{name}"
            counts = ("nr_hugepages", "nr_overcommit_hugepages")
            if size.isdecimal() and any(
                self._text(f"{where}/{c}") not in ("", "0") for c in counts
            ):
                found.append(_page_size(int(size)))
        return tuple(found)

    def _text(self, path: str) -> str:
        try:
            return self._host.sys.read_text(path, 4096).strip()
        except HostReadError:
            return ""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, and give it; setrlimit(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("cannot raise the limit of open files above %d: %s", soft, error)
            return soft
    return hard


def _page_size(kilobytes: int) -> str:
    """Write a size of huge pages as the kernel names files: 2MB, 1GB, 64KB (hugetlb_cgroup.c)."""
    if kilobytes >= 1 << 20:
        return f"{kilobytes >> 20}GB"
    return f"{kilobytes >> 10}MB" if kilobytes >= 1 << 10 else f"{kilobytes}KB"
