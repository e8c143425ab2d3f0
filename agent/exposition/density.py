"""Density: what the containers of a host are promised and what they use, by engine and style."""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from agent.exposition.samples import Sample, is_alive
from collectors.kernel.counters import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agent.exposition.rows import Row
    from agent.model import Container
    from collectors.kernel.counters import Counters

Kind = tuple[str, str]
"""Engine and style."""

_OUTSIDE: Kind = ("", "none")
_WINDOW = 5.0
"""Shortest time in seconds over which CPU use is averaged: two scrapers share one window."""
_HOST_ID = "/"


def host_samples(containers: Iterable[Container]) -> Iterator[Sample]:
    """Return what follows from the inventory alone: how many containers, and their limits."""
    present = [container for container in containers if not container.gone]
    counts = Counter((c.engine, c.verdict.style, c.state) for c in present if c.role != "infra")
    for (engine, style, state), count in counts.items():
        labels = (("engine", engine), ("style", style), ("state", state))
        yield Sample("tallyman_host_containers", count, labels)
    # What a nested container may use is part of what its parent may use.
    outer = [container for container in present if not container.parent_id]
    disk: dict[Kind, float] = defaultdict(float)
    for c in outer:
        if c.openvz is not None and c.openvz.disk_hard_bytes is not None:
            disk[_kind(c)] += c.openvz.disk_hard_bytes
    yield from _by_kind("tallyman_host_limit_disk_bytes", disk)
    alive = [container for container in outer if is_alive(container)]
    yield from _promised("memory", "tallyman_host_limit_bytes", alive, _memory_limit)
    yield from _promised("cpu", "tallyman_host_limit_cores", alive, _core_limit)


def _promised(
    resource: str,
    name: str,
    containers: Iterable[Container],
    limit_of: Callable[[Container], float | None],
) -> Iterator[Sample]:
    sums: dict[Kind, Fraction] = defaultdict(Fraction)
    unlimited: Counter[Kind] = Counter()
    limited = []
    for c in containers:
        if limit_of(c) is not None:
            limited.append(c)
        elif resource in c.limits.seen:
            unlimited[_kind(c)] += 1
    for c, share in _shares(resource, limited, limit_of):
        sums[_kind(c)] += share
    yield from _by_kind(name, {kind: float(value) for kind, value in sums.items()})
    for (engine, style), count in unlimited.items():
        labels = (("resource", resource), ("engine", engine), ("style", style))
        yield Sample("tallyman_host_unlimited_containers", count, labels)


def _shares(
    resource: str, containers: Sequence[Container], limit_of: Callable[[Container], float | None]
) -> Iterator[tuple[Container, Fraction]]:
    """Return how much each container is promised of its limit.

    Of a limit that a cgroup above several containers sets, each gets a share in proportion to its
    own limit, so that together they are promised no more than it. Fractions add up exactly.
    """
    shares = [Fraction(limit_of(c) or 0) for c in containers]
    members: dict[tuple[str, float], list[int]] = defaultdict(list)
    for index, c in enumerate(containers):
        above = (h for h in c.limits.higher if h.resource == resource)
        for limit in {(h.cgroup, h.value) for h in above}:
            members[limit].append(index)
    for cgroup, value in sorted(members, key=_depth, reverse=True):
        inside = members[cgroup, value]
        total = sum(shares[index] for index in inside)
        if total > value:
            for index in inside:
                shares[index] *= Fraction(value) / total
    return zip(containers, shares, strict=True)


def _depth(limit: tuple[str, float]) -> tuple[int, float]:
    """Return how deep in the tree a limit is; one above all that is visible is the highest."""
    cgroup, value = limit
    return (len(cgroup.rstrip("/").split("/")) if cgroup else 0, -value)


class _CpuTime(NamedTuple):
    """CPU seconds used so far, and when they were read, on the clock of their source."""

    seconds: float
    at: float


class Usage:
    """What is used now. CPU use is a difference, so the previous reading is remembered."""

    def __init__(self) -> None:
        self._before: dict[str, _CpuTime] = {}
        self._before_at = 0.0
        self._rates: dict[str, float] = {}
        """CPUs kept busy by each container, and by the host under the id ``/``."""
        self._cores: dict[Kind, float] = {}

    def samples(
        self, counted: Sequence[tuple[Row, Counters]], host: Counters | None, now: float
    ) -> Iterator[Sample]:
        """Return what each kind of container uses, and what runs in none; ``now`` is monotonic."""
        memory: dict[Kind, float] = defaultdict(float)
        for row, counters in counted:
            value = _memory(row.container, counters)
            if value is not None and not row.container.parent_id:
                memory[_kind(row.container)] += value
        total = host.scalars[Scalar.MEMORY_WORKING_SET] if host is not None else None
        if total is not None:
            memory[_OUTSIDE] = max(0, int(total) - sum(memory.values()))
        yield from _by_kind("tallyman_host_memory_bytes", memory)
        if now - self._before_at >= _WINDOW:
            self._measure(counted, host, now)
        yield from _by_kind("tallyman_host_cores", self._cores)

    def _measure(
        self, counted: Sequence[tuple[Row, Counters]], host: Counters | None, now: float
    ) -> None:
        used: dict[str, _CpuTime] = {}
        kinds: dict[str, Kind] = {}
        for row, counters in counted:
            read = _cpu_time(row.container, counters, now)
            if read is not None and not row.container.parent_id:
                used[row.container.id] = read
                kinds[row.container.id] = _kind(row.container)
        if host is not None and (value := host.scalars[Scalar.CPU_USAGE]) is not None:
            used[_HOST_ID] = _CpuTime(float(value), now)
        rates = {}
        for key, read in used.items():
            rate = self._rate(key, read)
            if rate is not None:
                rates[key] = rate
        cores: dict[Kind, float] = defaultdict(float)
        for key, kind in kinds.items():
            if key in rates:
                cores[kind] += rates[key]
        if _HOST_ID in rates:
            cores[_OUTSIDE] = max(0.0, rates[_HOST_ID] - sum(cores.values()))
        self._before, self._before_at = used, now
        self._rates, self._cores = rates, dict(cores)

    def _rate(self, key: str, read: _CpuTime) -> float | None:
        """Return the CPUs that were busy between two readings; None before there are two."""
        before = self._before.get(key)
        if before is None or read.at < before.at:  # the clock was set back
            return None
        if read.at == before.at:
            return self._rates.get(key)  # the same reading again
        # A container that was restarted counts from zero again.
        since = read.seconds - before.seconds
        return (since if since >= 0 else read.seconds) / (read.at - before.at)


def _kind(container: Container) -> Kind:
    return container.engine, container.verdict.style


def _memory(c: Container, counters: Counters) -> int | None:
    """Return the memory that a container holds; on OpenVZ 6, without cgroups, by beancounters."""
    value = counters.scalars[Scalar.MEMORY_WORKING_SET]
    if value is not None:
        return int(value)
    beancounters = c.openvz.beancounters if c.openvz is not None else ()
    return next((b.held for b in beancounters if b.resource == "physpages"), None)


def _cpu_time(c: Container, counters: Counters, now: float) -> _CpuTime | None:
    read = counters.scalars[Scalar.CPU_USAGE]
    if read is not None:
        return _CpuTime(float(read), now)
    # OpenVZ 6 has no cgroup for it; the scout's reading is some seconds old.
    facts = c.openvz
    if facts is None or facts.cpu_seconds is None or facts.cpu_as_of is None:
        return None
    return _CpuTime(facts.cpu_seconds, facts.cpu_as_of)


def _memory_limit(c: Container) -> int | None:
    return c.limits.memory_bytes


def _core_limit(c: Container) -> float | None:
    return c.limits.cores


def _by_kind(name: str, sums: Mapping[Kind, float]) -> Iterator[Sample]:
    for (engine, style), value in sums.items():
        yield Sample(name, value, (("engine", engine), ("style", style)))
