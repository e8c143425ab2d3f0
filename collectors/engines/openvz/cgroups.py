"""The cgroups of a container since 7: its limits, its load, whether it is frozen.

A container is machine.slice/<CTID> in the usual hierarchies, /<CTID> in the first releases of 7,
and always /<CTID> in OpenVZ's own hierarchies ``ve`` and ``beancounter``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.openvz.units import is_ctid
from collectors.facts import OpenvzFacts
from collectors.formats.numbers import parse_decimal
from collectors.hostfs import HostReadError
from collectors.kernel.beancounters import amount
from collectors.kernel.cgroups import UNIFIED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.facts import Process
    from collectors.hostfs import HostFS

_MOUNT_POINT = "fs/cgroup"
_SLICES = ("/machine.slice", "")
_OWN = ("ve", "beancounter", "name=beancounter")
_FILE_LIMIT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupView:
    """What the cgroups of one container show."""

    path: str = ""
    """Its cgroup in the host's view; empty where none was found."""
    frozen: bool | None = None
    running: bool | None = None
    """``ve.state``: a cgroup may outlive its container."""
    facts: OpenvzFacts


class ContainerCgroups:
    """Finds and reads the cgroups of containers on one node."""

    def __init__(self, host: HostFS, hierarchies: Mapping[str, str]) -> None:
        self._sys = host.sys
        self._hierarchies = hierarchies

    def ctids(self) -> list[str]:
        """Return the CTIDs that have a cgroup in OpenVZ's own hierarchy."""
        try:
            names = self._sys.subdirectories(self._directory("ve"))
        except HostReadError:
            return []
        return [name for name in names if is_ctid(name)]

    def view(self, ctid: str) -> CgroupView:
        """Read the cgroups of a container; what is not there is None."""
        path = self._path(ctid)
        cpu = f"{self._directory('cpu', 'cpu,cpuacct')}{path}"
        own = f"{self._directory('beancounter')}/{ctid}/beancounter"
        frozen = self._text(f"{self._directory('freezer')}{path}/freezer.state") if path else ""
        state = self._text(f"{self._directory('ve')}/{ctid}/ve.state")
        rate = self._number(f"{cpu}/cpu.rate") if path else None
        shares = self._number(f"{cpu}/cpu.shares") if path else None
        facts = OpenvzFacts(
            ctid=ctid,
            load=_load(self._text(f"{cpu}/cpu.proc.loadavg")) if path else None,
            cpu_limit_ratio=rate / 1024 if rate else None,
            cpu_units=round(shares * 1000 / 1024) if shares else None,
            cpus=(self._number(f"{cpu}/cpu.nr_cpus") or None) if path else None,
            io_limit_bytes_per_second=self._number(f"{own}.iolimit.speed") or None,
            io_limit_operations_per_second=self._number(f"{own}.iopslimit.speed") or None,
        )
        return CgroupView(
            path=path,
            frozen=None if not frozen else frozen == "FROZEN",
            running=None if not state else state == "RUNNING",
            facts=facts,
        )

    def _path(self, ctid: str) -> str:
        for controller, names in (("cpu", ("cpu,cpuacct",)), ("memory", ()), (UNIFIED, ())):
            top = self._directory(controller, *names)
            for above in _SLICES:
                if top and self._sys.exists(f"{top}{above}/{ctid}"):
                    return f"{above}/{ctid}"
        return ""

    def _directory(self, controller: str, *names: str) -> str:
        """Return where a hierarchy is mounted, below sysfs; else where it usually is."""
        mounted = self._hierarchies.get(controller)
        if mounted is not None:
            return mounted
        for name in names:
            if self._sys.exists(f"{_MOUNT_POINT}/{name}"):
                return f"{_MOUNT_POINT}/{name}"
        return f"{_MOUNT_POINT}/{controller}" if controller else ""

    def _text(self, path: str) -> str:
        try:
            return self._sys.read_text(path, _FILE_LIMIT).strip()
        except HostReadError:
            return ""

    def _number(self, path: str) -> int | None:
        return amount(parse_decimal(self._text(path), digits=19))


def parent_cgroup(processes: Iterable[Process], version: int) -> str | None:
    """Return the cgroup in which this node puts its containers, "" for the root; None: not known.

    That of a running container; with none running, 7 and later use machine.slice.
    """
    for process in processes:
        for controller, path in process.cgroups.items():
            above, separator, _ = f"{path}/".partition(f"/{process.envid}/")
            if separator and controller not in _OWN:
                return above
    return "/machine.slice" if version >= 7 else None


def _load(text: str) -> tuple[float, float, float] | None:
    """Parse cpu.proc.loadavg, of the format of /proc/loadavg."""
    try:
        one, five, fifteen = (float(word) for word in text.split()[:3])
    except ValueError:
        return None
    return one, five, fifteen
