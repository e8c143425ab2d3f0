"""A container's limits: the least that its own cgroup and those above it set.

They seldom change, so they are read seldom.
cgroup v1: Documentation/admin-guide/cgroup-v1/{memory,pids,cpusets}.rst and
scheduler/sched-bwc.rst; v2: Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from collectors.facts import HigherLimit, Limits
from collectors.hostfs import or_none
from collectors.kernel.cgroups import UNIFIED
from collectors.kernel.cpu_weight import shares_of_weight
from collectors.kernel.host import parse_cpu_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from collectors.facts import CgroupLayout, HostFacts
    from collectors.hostfs import Dir, HostFS

Texts = dict[str, str | None]
"""The content of files by path; None is a file that cannot be read."""

CONTROLLERS = ("memory", "cpu", "pids", "cpuset", UNIFIED)
"""Keys of the hierarchies in which limits are set."""

LIMIT_FILES = frozenset(
    {
        *("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes"),
        *("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"),
        *("memory.max", "memory.high", "memory.low", "memory.swap.max"),
        *("cpu.max", "cpu.weight", "cpu.weight.nice", "pids.max", "cpuset.cpus"),
    }
)
"""Names of the files to which a limit is written."""

_OF_CRUN = "container"
"""crun's cgroup below the scope that systemd made for it, on v2: the one that crun itself limits.

What systemd wrote to the scope may be less strict: of swap, crun tells it the sum of memory and
swap. The annotation run.oci.systemd.subgroup sets another name (crun(1), libcrun's
cgroup-systemd.c).
"""

_UNLIMITED = 1 << 62
"""v1 prints no limit as the largest multiple of a page below 2^63."""

_MEMORY_LIMIT = "hierarchical_memory_limit"
_SWAP_LIMIT = "hierarchical_memsw_limit"


class _Level(NamedTuple):
    """What one cgroup on the way up allows of a resource."""

    cgroup: str
    own: bool
    """It is the container's own cgroup."""
    value: float
    """In the unit of the resource; ``_UNLIMITED`` or more where there is no limit."""
    quota: tuple[int, int] = (0, 0)
    """Of CPU time: quota and period in microseconds."""


def read_limits(
    host: HostFS,
    facts: HostFacts,
    cgroups: Mapping[str, str],
    within: Mapping[str, str] | None = None,
    shared: Texts | None = None,
) -> Limits:
    """Read the limits of the container to which ``cgroups`` (path by controller) belong.

    What is not there, or may not be read, is not in ``Limits.seen``, unless this kernel cannot
    limit it at all. ``within`` are the cgroups of its first process: where it has none of its own,
    it is in one with others, which may be limited.
    ``shared`` keeps the files of the cgroups above, which containers have in common; it is filled.
    """
    paths = limited_cgroups(cgroups, within or {})
    files = _Files(host.sys, facts.cgroups, paths, cgroups, {} if shared is None else shared)
    memory, swap = _memory(files)
    quotas = _quotas(files)
    cpusets = _cpusets(files, facts.cpus)
    pids = list(files.levels("pids", "pids.max")) or list(files.levels(UNIFIED, "pids.max"))
    quota = _least(quotas)
    shares = _number(files.own_text("cpu", "cpu.shares") or "")
    weight = _number(files.own_text(UNIFIED, "cpu.weight") or "")
    return Limits(
        memory_bytes=_value(memory),
        memory_swap_bytes=_value(swap),
        memory_reservation_bytes=_reservation(files),
        cpu_quota_us=quota.quota[0] if quota is not None else None,
        cpu_period_us=quota.quota[1] if quota is not None else None,
        cpus=_value(cpusets),
        cpu_shares=shares if weight is None else shares_of_weight(weight),
        cpu_weight=weight,
        pids=_value(pids),
        own_quota=any(level.own and level.value < _UNLIMITED for level in quotas),
        higher=(
            *_higher("memory", memory),
            *_higher("swap", swap),
            *_higher("cpu", [*quotas, *cpusets]),
            *_higher("pids", pids),
        ),
        seen=frozenset(
            name
            for name, levels in (
                ("memory", memory),
                ("swap", swap),
                ("cpu", quotas),
                ("pids", pids),
            )
            if levels or name in facts.cgroups.absent
        ),
    )


def limited_cgroups(cgroups: Mapping[str, str], within: Mapping[str, str]) -> dict[str, str]:
    """Return the lowest cgroup that limits all of a container in each hierarchy.

    It is its own, or one that the runtime made below; without either, the one that its first
    process is in. ``cgroups`` and ``within`` are those of ``read_limits``.
    """
    lowest = {**within, **cgroups}
    if UNIFIED in cgroups:
        inner = f"{cgroups[UNIFIED].rstrip('/')}/{_OF_CRUN}"
        if f"{within.get(UNIFIED, '')}/".startswith(f"{inner}/"):
            lowest[UNIFIED] = inner
    return lowest


def cgroups_above(path: str) -> Iterator[str]:
    """Return a cgroup and all above it, up to the root that is visible.

    The root of a cgroup namespace has limits, too; that of the host has none. A path with ``..`` is
    outside of the namespace.
    """
    if f"{path}/".startswith("/../"):
        return
    path = path.rstrip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield "/"


@dataclass(frozen=True, slots=True)
class _Files:
    """The limit files of one container and of the cgroups above it."""

    sys: Dir
    layout: CgroupLayout
    cgroups: Mapping[str, str]
    """Where the way up begins in each hierarchy, as ``limited_cgroups`` returns it."""
    own: Mapping[str, str]
    """The same where it is the container's alone."""
    shared: Texts

    def way_up(self, controller: str) -> Iterator[str]:
        """Return its cgroup in a hierarchy and those above it; nothing if it has none there."""
        path = self.cgroups.get(controller)
        if path is not None and controller in self.layout.hierarchies:
            yield from cgroups_above(path)

    def text(self, controller: str, cgroup: str, file: str) -> str | None:
        """Read a file of a cgroup; None where there is none."""
        where = self.layout.hierarchies[controller]
        path = f"{where}{cgroup.rstrip('/')}/{file}"
        if self.is_own(controller, cgroup):
            return self._read(path)
        if path not in self.shared:
            self.shared[path] = self._read(path)
        return self.shared[path]

    def own_text(self, controller: str, file: str) -> str | None:
        """Read a file of the container's own cgroup; None where there is none."""
        if controller not in self.own or controller not in self.layout.hierarchies:
            return None
        return self.text(controller, self.own[controller], file)

    def is_own(self, controller: str, cgroup: str) -> bool:
        """Return whether a cgroup is the container's own, or the runtime's below it."""
        return controller in self.own and cgroup in (
            self.own[controller],
            self.cgroups[controller],
        )

    def level(self, controller: str, cgroup: str, value: float) -> Iterator[_Level]:
        """Return what a cgroup allows; of those of others, only if it is a limit."""
        if value < _UNLIMITED or controller in self.own:
            yield _Level(cgroup, self.is_own(controller, cgroup), value)

    def levels(
        self, controller: str, file: str, parse: Callable[[str], float | None] | None = None
    ) -> Iterator[_Level]:
        """Read a limit of each cgroup on the way up, its own first; what has none is left out."""
        for cgroup in self.way_up(controller):
            value = (parse or _number)(self.text(controller, cgroup, file) or "")
            if value is not None:
                yield from self.level(controller, cgroup, value)

    def _read(self, path: str) -> str | None:
        data = or_none(self.sys.read, path, 65536)
        return data.decode("ascii", "replace").strip() if data is not None else None


def _number(text: str) -> int | None:
    """Parse a limit; None where there is none to be read."""
    if text == "max":
        return _UNLIMITED
    return int(text) if text.isdecimal() and text.isascii() else None


def _memory(files: _Files) -> tuple[list[_Level], list[_Level]]:
    """Read the limits of memory, and of swap."""
    memory = list(files.levels("memory", "memory.limit_in_bytes"))
    if memory:
        swap = list(files.levels("memory", "memory.memsw.limit_in_bytes"))
        stat = dict(
            line.split(" ", 1)
            for line in (
                files.text("memory", files.cgroups["memory"], "memory.stat") or ""
            ).splitlines()
            if line.startswith("hierarchical_")
        )
        return _in_force(memory, stat.get(_MEMORY_LIMIT)), _in_force(swap, stat.get(_SWAP_LIMIT))
    # From memory.high on its processes are slowed down and its memory is reclaimed, so that it
    # seldom gets any further.
    memory = [*files.levels(UNIFIED, "memory.max"), *files.levels(UNIFIED, "memory.high")]
    memory.sort(key=lambda level: -len(level.cgroup))
    return memory, list(files.levels(UNIFIED, "memory.swap.max"))


def _in_force(levels: list[_Level], hierarchical: str | None) -> list[_Level]:
    """Return the limits that hold, by v1's own word on the least of them.

    Where memory.use_hierarchy is 0, what is set above does not hold. Other limits may be set above
    all that can be seen.
    """
    least = _number(hierarchical or "")
    if least is None or not levels:
        return levels
    holding = [level for level in levels if level.own or level.value >= least]
    if least < min(level.value for level in holding):
        holding.append(_Level("", own=False, value=least))
    return holding


def _reservation(files: _Files) -> int | None:
    """Return what ``--memory-reservation`` sets; memory.min is a guarantee, and no engine sets it.

    memory.low is 0 where nothing is reserved.
    """
    text = files.own_text("memory", "memory.soft_limit_in_bytes")
    value = _number(text or files.own_text(UNIFIED, "memory.low") or "")
    return value if value and value < _UNLIMITED else None


def _quotas(files: _Files) -> list[_Level]:
    """Read the CPU quotas, as CPUs."""
    return [*_v1_quotas(files)] or [*_v2_quotas(files)]


def _v1_quotas(files: _Files) -> Iterator[_Level]:
    for cgroup in files.way_up("cpu"):
        quota = files.text("cpu", cgroup, "cpu.cfs_quota_us")
        if quota is not None:
            period = files.text("cpu", cgroup, "cpu.cfs_period_us")
            yield from _quota(files, "cpu", cgroup, quota, period or "")


def _v2_quotas(files: _Files) -> Iterator[_Level]:
    for cgroup in files.way_up(UNIFIED):
        quota, _, period = (files.text(UNIFIED, cgroup, "cpu.max") or "").partition(" ")
        yield from _quota(files, UNIFIED, cgroup, quota, period)


def _quota(
    files: _Files, controller: str, cgroup: str, quota: str, period: str
) -> Iterator[_Level]:
    """Return a level, unless the file was malformed."""
    microseconds = _number(period)
    if microseconds is None or not 0 < microseconds < _UNLIMITED:
        return
    if quota in ("-1", "max"):
        yield from files.level(controller, cgroup, _UNLIMITED)
    elif quota.isdecimal() and quota.isascii():
        own = files.is_own(controller, cgroup)
        yield _Level(cgroup, own, int(quota) / microseconds, (int(quota), microseconds))


def _cpusets(files: _Files, cpus: int) -> list[_Level]:
    """Return the cpusets that have fewer CPUs than the host, as their number.

    A cpuset can only have CPUs of the one above it, and what is left of it is the effective one.
    """
    for controller, effective in (
        ("cpuset", "cpuset.effective_cpus"),
        (UNIFIED, "cpuset.cpus.effective"),
    ):
        levels = [
            level
            for level in files.levels(controller, "cpuset.cpus", parse_cpu_list)
            if 0 < level.value < cpus
        ]
        if levels:
            left = parse_cpu_list(files.own_text(controller, effective) or "")
            if 0 < left < min(level.value for level in levels):
                levels.insert(0, _Level(files.cgroups[controller], own=True, value=left))
            return levels
    return []


def _least(levels: Sequence[_Level]) -> _Level | None:
    """Return the level that sets the limit; None where none does."""
    limits = [level for level in levels if level.value < _UNLIMITED]
    return min(limits, key=lambda level: level.value, default=None)


def _value(levels: Sequence[_Level]) -> int | None:
    level = _least(levels)
    return int(level.value) if level is not None else None


def _higher(resource: str, levels: Sequence[_Level]) -> Iterator[HigherLimit]:
    """Return the limits that are not the container's own; the nearest of the least ones binds."""
    least = _least(levels)
    for level in levels:
        if not level.own and level.value < _UNLIMITED:
            yield HigherLimit(
                resource=resource,
                cgroup=level.cgroup,
                value=level.value,
                binds=level is least,
            )
