"""The host's cgroup hierarchies, and the cgroups of a process: cgroups(7)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.facts import CgroupLayout, CgroupMode
from collectors.hostfs import or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import Process
    from collectors.hostfs import HostFS

UNIFIED = ""
"""Key of the unified (v2) hierarchy, as /proc/<pid>/cgroup writes it: ``0::/path``."""

SYSTEMD = "name=systemd"
_MOUNT_POINT = "fs/cgroup"
_LIMITING = frozenset({"memory", "cpu", "pids"})


def read_layout(host: HostFS) -> CgroupLayout:
    """Find the hierarchies below <sysfs>/fs/cgroup; ``CgroupMode.NONE`` if there are none."""
    names = or_none(host.sys.listdir, _MOUNT_POINT) or ()
    if "cgroup.controllers" in names:
        return CgroupLayout(mode=CgroupMode.V2, hierarchies={UNIFIED: _MOUNT_POINT})
    hierarchies: dict[str, str] = {}
    for name in sorted(names):
        where = f"{_MOUNT_POINT}/{name}"
        if host.sys.exists(f"{where}/cgroup.controllers"):
            hierarchies[UNIFIED] = where
        elif host.sys.exists(f"{where}/cgroup.procs") or host.sys.exists(f"{where}/tasks"):
            # "cpu,cpuacct" is one hierarchy of two controllers.
            for controller in name.split(","):
                key = SYSTEMD if controller == "systemd" else controller
                hierarchies.setdefault(key, where)
    mode = CgroupMode.NONE
    if hierarchies:
        mode = CgroupMode.HYBRID if UNIFIED in hierarchies else CgroupMode.V1
    return CgroupLayout(
        mode=mode, hierarchies=hierarchies, absent=_absent(host) - hierarchies.keys()
    )


def _absent(host: HostFS) -> frozenset[str]:
    """Return which controllers that limit something /proc/cgroups does not list as enabled.

    pids came with Linux 4.3; ``cgroup_disable=memory`` is the default of some small machines.
    """
    lines = (or_none(host.proc.read_text, "cgroups", 65536) or "").splitlines()
    enabled = {w[0] for line in lines if len(w := line.split()) == 4 and w[3] == "1"}
    return _LIMITING - enabled if enabled else frozenset()


@lru_cache(maxsize=8192)
def parse_cgroup(data: bytes, *, only_unified: bool = False) -> Mapping[str, str]:
    """Parse /proc/<pid>/cgroup into path by controller; malformed lines are left out.

    ``only_unified`` is for a pure v2 host: systemd-nspawn makes a ``name=systemd`` hierarchy there
    for a guest that may want v1, and all other processes are at its root, wherever they really
    are. Processes of one cgroup share the result.
    """
    paths: dict[str, str] = {}
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        _, first, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if not first or not second or not path.startswith("/"):
            continue
        path = path.removesuffix(" (deleted)")
        for controller in controllers.split(","):
            if controller == UNIFIED or not only_unified:
                paths[controller] = path
    return paths


def forget_cgroups(most: int) -> None:
    """Forget what ``parse_cgroup`` has kept, if that is far more than there can be of now."""
    if parse_cgroup.cache_info().currsize > 2 * most + 100:
        parse_cgroup.cache_clear()


def contains(ancestor: str, path: str) -> bool:
    """Return whether ``path`` is the cgroup ``ancestor`` or one below it."""
    return path == ancestor or path.startswith(ancestor.rstrip("/") + "/")


FREEZE_FILES = frozenset({"freezer.state", "cgroup.freeze"})
"""Names of the files by which a cgroup is frozen and thawed, on v1 and on v2."""


def is_frozen(host: HostFS, layout: CgroupLayout, process: Process) -> bool:
    """Return whether a container is paused: its first process is in a frozen cgroup, cgroups(7)."""
    for controller, name, sign in (
        ("freezer", "freezer.state", "FROZEN"),
        (UNIFIED, "cgroup.events", "frozen 1"),
    ):
        hierarchy = layout.hierarchies.get(controller)
        path = process.cgroups.get(controller)
        if hierarchy is None or path is None:
            continue
        text = or_none(host.sys.read_text, f"{hierarchy}{path}/{name}", 4096) or ""
        if sign in text.splitlines():
            return True
    return False
