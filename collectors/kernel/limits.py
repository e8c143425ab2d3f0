"""A container's limits, from its cgroups. They seldom change, so they are read seldom.

cgroup v1: Documentation/admin-guide/cgroup-v1/{memory,pids}.rst and
scheduler/sched-bwc.rst; v2: Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.facts import CgroupLayout, Limits
from collectors.hostfs import or_none
from collectors.kernel.cgroups import UNIFIED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.hostfs import Dir, HostFS

_UNLIMITED = 1 << 62
"""v1 prints no limit as the largest multiple of a page below 2^63."""


def read_limits(host: HostFS, layout: CgroupLayout, cgroups: Mapping[str, str]) -> Limits:
    """Read the limits of the container to which ``cgroups`` (path by controller) belong.

    What is not there, or may not be read, is not in ``Limits.seen``.
    """
    files = _Files(host.sys, layout, cgroups)
    quota, period = _cpu_quota(files)
    memory = files.limit("memory", "memory.limit_in_bytes", "memory.max", sees="memory")
    swap = files.limit("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", sees="swap")
    reservation = files.limit("memory", "memory.soft_limit_in_bytes", "memory.min")
    pids = files.limit("pids", "pids.max", "pids.max", sees="pids")
    return Limits(
        memory_bytes=memory,
        memory_swap_bytes=swap,
        # memory.min is 0 where nothing is reserved.
        memory_reservation_bytes=reservation or None,
        cpu_quota_us=quota,
        cpu_period_us=period,
        cpu_shares=_cpu_shares(files),
        pids=pids,
        seen=frozenset(files.seen),
    )


def shares_of_weight(weight: int) -> int:
    """Convert v2's cpu.weight (1 to 10,000) into v1's shares as cAdvisor and Kubernetes do."""
    return 2 + ((weight - 1) * 262142) // 9999


@dataclass(frozen=True, slots=True)
class _Files:
    """The limit files of one container, wherever their hierarchy is mounted."""

    sys: Dir
    layout: CgroupLayout
    cgroups: Mapping[str, str]
    seen: set[str] = field(default_factory=set)

    def text(self, controller: str, file: str) -> str | None:
        """Read a file of a controller's own hierarchy; None where there is none."""
        where = self.layout.hierarchies.get(controller)
        path = self.cgroups.get(controller)
        if where is None or path is None:
            return None
        data = or_none(self.sys.read, f"{where}{path.rstrip('/')}/{file}", 65536)
        return data.decode("ascii", "replace").strip() if data is not None else None

    def limit(self, controller: str, v1_file: str, v2_file: str, *, sees: str = "") -> int | None:
        """Read a limit from the controller's hierarchy or the unified one; None: there is none."""
        text = self.text(controller, v1_file) or self.text(UNIFIED, v2_file)
        if text is None:
            return None
        if text != "max" and not text.isdecimal():
            return None
        if sees:
            self.seen.add(sees)
        if text == "max" or int(text) >= _UNLIMITED:
            return None
        return int(text)


def _cpu_quota(files: _Files) -> tuple[int | None, int | None]:
    """Return quota and period in microseconds, both None where there is no quota."""
    quota = files.text("cpu", "cpu.cfs_quota_us")
    period = files.text("cpu", "cpu.cfs_period_us")
    if quota is None or period is None:
        words = (files.text(UNIFIED, "cpu.max") or "").split()
        if len(words) != 2:
            return None, None
        quota, period = words
    if not period.isdecimal():
        return None, None
    files.seen.add("cpu")
    # -1 on v1 and "max" on v2 are no limit.
    return (int(quota), int(period)) if quota.isdecimal() else (None, None)


def _cpu_shares(files: _Files) -> int | None:
    shares = files.text("cpu", "cpu.shares")
    if shares is not None:
        return int(shares) if shares.isdecimal() else None
    weight = files.text(UNIFIED, "cpu.weight")
    return shares_of_weight(int(weight)) if weight is not None and weight.isdecimal() else None
