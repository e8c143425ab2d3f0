"""Which cgroup hierarchies there are, and which cgroup a process is in: cgroups(7)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.facts import CgroupLayout, CgroupMode
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import Process
    from collectors.hostfs import HostFS

UNIFIED = ""
"""Key of the unified (v2) hierarchy, as /proc/<pid>/cgroup writes it: ``0::/path``."""

SYSTEMD = "name=systemd"
_MOUNT_POINT = "fs/cgroup"


def read_layout(host: HostFS) -> CgroupLayout:
    """Find the hierarchies under <sysfs>/fs/cgroup; none is ``CgroupMode.NONE``."""
    try:
        names = host.sys.listdir(_MOUNT_POINT)
    except HostReadError:
        return CgroupLayout(mode=CgroupMode.NONE)
    if "cgroup.controllers" in names:
        return CgroupLayout(mode=CgroupMode.V2, hierarchies={UNIFIED: _MOUNT_POINT})
    found: dict[str, str] = {}
    for name in sorted(names):
        where = f"{_MOUNT_POINT}/{name}"
        if host.sys.exists(f"{where}/cgroup.controllers"):
            found[UNIFIED] = where
        elif host.sys.exists(f"{where}/cgroup.procs") or host.sys.exists(f"{where}/tasks"):
            # "cpu,cpuacct" is one hierarchy of two controllers.
            for controller in name.split(","):
                key = SYSTEMD if controller == "systemd" else controller
                found.setdefault(key, where)
    mode = CgroupMode.NONE
    if found:
        v1_only = UNIFIED not in found
        mode = CgroupMode.V1 if v1_only else CgroupMode.HYBRID
    return CgroupLayout(mode=mode, hierarchies=found)


@lru_cache(maxsize=8192)
def parse_cgroup(data: bytes, *, only_unified: bool = False) -> Mapping[str, str]:
    """Parse /proc/<pid>/cgroup into path by controller; lines that make no sense are left out.

    ``only_unified`` is for a pure v2 host: systemd-nspawn makes a ``name=systemd`` hierarchy there
    when a guest may want v1, and everybody else is at the top of it, wherever they really are.
    Processes of one cgroup share the answer.
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


def contains(ancestor: str, path: str) -> bool:
    """Return whether ``path`` is the cgroup ``ancestor`` or one below it."""
    return path == ancestor or path.startswith(ancestor.rstrip("/") + "/")


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
        try:
            text = host.sys.read_text(f"{hierarchy}{path}/{name}", 4096)
        except HostReadError:
            continue
        if sign in text.splitlines():
            return True
    return False
