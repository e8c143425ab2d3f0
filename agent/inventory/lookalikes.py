"""What looks like a container but is none, with the reason: services, sandboxes, empty cgroups."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from agent.inventory.cgroup_names import is_helper, path_engine
from agent.inventory.groups import cgroup_of, name_of, own_kinds
from agent.model import LookAlike
from collectors.kernel.cgroups import contains

if TYPE_CHECKING:
    from agent.inventory.groups import Group, Partition
    from collectors.facts import HostFacts, Mount, Process, ProcessTable

_MANAGERS = frozenset({"systemd", "init"})
_UNITS = (".service", ".scope", ".slice")
_OF_PROCESSES = frozenset({"service", "sandbox", "mounts", "chroot"})
"""Kinds of look-alikes that are processes, and not cgroups with processes in them."""


def _unit_of(path: str) -> str:
    """Return the systemd unit of a cgroup; a service may have more cgroups below it (Delegate=)."""
    units = (part for part in reversed(path.split("/")) if part.endswith(_UNITS))
    return next(units, "")


def unit_path(path: str) -> str:
    """Return the cgroup of the systemd unit that a cgroup is or is below; "" for none."""
    unit = _unit_of(path)
    return path[: path.rfind(f"/{unit}") + len(unit) + 1] if unit else ""


def service_look_alike(
    leader: Process, parent: Process | None, manager: Process | None, around_pid: int | None
) -> LookAlike | None:
    """Return the look-alike if this is a service of the manager around it, else None.

    With RootImage=, RootDirectory= or as a portable service it has a root and mounts of its own,
    systemd.exec(5). But the manager started it, in the unit's cgroup, in the manager's own pid
    namespace. A container has its engine as its parent, or a pid namespace of its own.
    """
    if parent is None or leader.namespaces.pid != around_pid:
        return None
    started_by_manager = (manager is not None and parent.pid == manager.pid) or name_of(
        parent
    ) == "systemd"
    if not started_by_manager or name_of(parent) not in _MANAGERS:
        return None
    unit = _unit_of(cgroup_of(leader))
    if not unit.endswith(".service"):
        return None
    return LookAlike(
        kind="service",
        name=unit,
        reason=f"the service manager (pid {parent.pid}) runs it as the unit {unit}",
        pid=leader.pid,
        cgroup=cgroup_of(leader),
    )


def empty_root_look_alike(
    host: HostFacts,
    leader: Process,
    processes: Sequence[Process],
    mounts: Sequence[Mount],
    engine: str,
) -> LookAlike | None:
    """Return the look-alike if all ``processes`` on a root of its own run the host's programs.

    A sandbox builds an empty root and binds the host's /usr into it, or leaves it empty with the
    program still running from outside (browsers, slirp4netns). A container's programs come from
    its own filesystem.
    """
    root = mount_of("/", mounts)
    if root is not None and root.fstype == "overlay" and _is_over(root, "/"):
        why = "an overlay over the host's own root filesystem"
    elif all(not _from_own_root(host, process, mounts) for process in processes):
        why = "its root directory is its own, but the programs in it are the host's"
    else:
        return None
    return LookAlike(
        kind="sandbox",
        name=name_of(leader),
        reason=why,
        pid=leader.pid,
        cgroup=cgroup_of(leader),
        engine=engine,
    )


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """Return the mount that a path is on: the longest target above it, mounted last."""
    best: Mount | None = None
    for mount in mounts:
        target = mount.target
        inside = target in ("/", path) or path.startswith(target + "/")
        if inside and (best is None or len(target) >= len(best.target)):
            best = mount
    return best


def _is_over(mount: Mount, directory: str) -> bool:
    for option in mount.options.split(","):
        key, _, value = option.partition("=")
        if key == "lowerdir" and value.split(":") == [directory]:
            return True
    return False


_PROGRAMS = re.compile(r"/(usr/)?(local/)?(s?bin|libexec|games)/")
"""Where a host has its programs, and no container's root filesystem is kept."""


def _from_own_root(host: HostFacts, process: Process, mounts: Sequence[Mount]) -> bool:
    """Return whether the binary of a process lies in the process's own root filesystem."""
    if process.exe is None:
        return True  # not readable: assume so
    if process.exe_outside or process.exe.startswith("/memfd:"):
        return False
    mount = mount_of(process.exe, mounts)
    if mount is None:
        return True  # the root is no mount point, so mountinfo has no line for it
    host_device = host.root.device if host.root is not None else None
    if mount.device.device == host_device:
        # A directory of the host's root filesystem: the host's own /usr, or else a container's
        # root that lies on that disk.
        on_host_disk = mount.root.rstrip("/") + process.exe[len(mount.target.rstrip("/")) :]
        return mount.root not in (mount.target, "/") and not _PROGRAMS.match(on_host_disk)
    on_host = process.exe_id is not None and process.exe_id.device == host_device
    return not (on_host and not process.exe.endswith(" (deleted)"))


def namespace_look_alikes(
    host: HostFacts, table: ProcessTable, parts: Partition
) -> list[LookAlike]:
    """Return what has other namespaces of its own but the host's mounts, each sandbox once.

    Browsers isolate their processes like this, and services with PrivateNetwork= or PrivateIPC=.
    A sandbox is shown by the process that is isolated most: its maker has entered fewer of the
    namespaces, and its further processes may have more of them, or may have changed their root.
    """
    kinds_of: dict[int, tuple[str, ...]] = {}
    for process in table:
        on_host = parts.home.get(process.pid) is None
        if on_host and process.namespaces.mnt == host.namespaces.mnt:
            kinds = own_kinds(host, process)
            if kinds:
                kinds_of[process.pid] = kinds
    sandboxes: dict[object, list[Process]] = {}
    by_namespaces: dict[object, object] = {}
    for process in sorted(table, key=lambda p: p.id.start_ticks):
        if process.pid not in kinds_of:
            continue
        unit = _unit_of(cgroup_of(process))
        key: object = unit if unit.endswith(".service") else _outermost(process, table, kinds_of)
        numbers = tuple(getattr(process.namespaces, kind) for kind in kinds_of[process.pid])
        if key == process.pid:  # its maker may have ended: those in one set are one sandbox
            key = by_namespaces.get(numbers, key)
        by_namespaces.setdefault(numbers, key)
        sandboxes.setdefault(key, []).append(process)
    return [_sandbox(host, found, kinds_of) for found in sandboxes.values()]


def _outermost(process: Process, table: ProcessTable, kinds_of: Mapping[int, object]) -> int:
    """Return the outermost of the ancestors without a gap that have namespaces of their own."""
    seen = {process.pid}
    while process.ppid in kinds_of and process.ppid not in seen:
        parent = table.get(process.ppid)
        if parent is None:
            break
        process = parent
        seen.add(process.pid)
    return process.pid


def _sandbox(
    host: HostFacts, processes: Sequence[Process], kinds_of: Mapping[int, tuple[str, ...]]
) -> LookAlike:
    """Return the look-alike for a sandbox's processes, which have the host's mounts."""
    shown = max(processes, key=lambda p: (len(kinds_of[p.pid]), -p.id.start_ticks))
    kinds = list(kinds_of[shown.pid])
    same_root = host.root is None or shown.root in (None, host.root)
    if not same_root:
        kinds.append("the root directory")
    unit = _unit_of(cgroup_of(shown))
    service = unit.endswith(".service")
    whose = "mounts and root are" if same_root else "the mounts are"
    return LookAlike(
        kind="service" if service else "sandbox",
        name=unit if service else name_of(shown),
        reason=f"of its own are only {', '.join(kinds)}; {whose} the host's",
        pid=shown.pid,
        cgroup=cgroup_of(shown),
    )


def each_once(look_alikes: Iterable[LookAlike]) -> tuple[LookAlike, ...]:
    """Return look-alikes without those that show a process or a service once more.

    A service may have processes in several mount namespaces, and one that has private mounts may
    have processes in the host's. Cgroups and sessions are shown besides the processes in them.
    """
    seen: set[object] = set()
    once = []
    for look_alike in look_alikes:
        if look_alike.kind in _OF_PROCESSES:
            keys: set[object] = {look_alike.pid}
            if look_alike.kind == "service":
                keys.add((look_alike.name, look_alike.cgroup))
            if keys & seen:
                continue
            seen |= keys
        once.append(look_alike)
    return tuple(once)


def session_look_alikes(table: ProcessTable, parts: Partition) -> list[LookAlike]:
    """Return the login sessions of the host, systemd-logind's ``session-<id>.scope``."""
    by_path: dict[str, LookAlike] = {}
    for process in sorted(table, key=lambda p: p.id.start_ticks):
        path = cgroup_of(process)
        base = posixpath.basename(path)
        if (
            path not in by_path
            and base.startswith("session-")
            and base.endswith(".scope")
            and parts.home.get(process.pid) is None
        ):
            by_path[path] = LookAlike(
                kind="session",
                name=base,
                reason="a login session of the host",
                pid=process.pid,
                cgroup=path,
            )
    return list(by_path.values())


def inner_look_alikes(parts: Partition, names: Mapping[Group, tuple[str, str]]) -> list[LookAlike]:
    """Return the cgroups inside containers; ``names`` are each container's name and cgroup."""
    by_path: dict[str, LookAlike] = {}
    for group in parts.groups:
        name, own = names[group]
        for process in group.members:
            path = cgroup_of(process)
            if own and path != own and path not in by_path and contains(own, path):
                by_path[path] = LookAlike(
                    kind="inner",
                    name=posixpath.basename(path),
                    reason=f"a cgroup inside the container {name}",
                    pid=process.pid,
                    cgroup=path,
                )
    return list(by_path.values())


def cgroup_look_alikes(
    table: ProcessTable, parts: Partition, empty: Iterable[str]
) -> list[LookAlike]:
    """Return the cgroups that are named like an engine's and hold no container.

    ``empty`` are the paths of cgroups without a process.
    """
    by_path: dict[str, LookAlike] = {}
    for path in empty:
        if path_engine(path) is not None:
            by_path[path] = LookAlike(
                kind="cgroup",
                name=posixpath.basename(path),
                reason="a cgroup named like an engine's, without a process",
                cgroup=path,
            )
    taken: dict[str, Group] = {cgroup_of(p): group for group in parts.groups for p in group.members}
    for process in table:
        if parts.home.get(process.pid) is not None:
            continue
        path = cgroup_of(process)
        base = posixpath.basename(path)
        if is_helper(base):
            by_path[path] = LookAlike(
                kind="engine",
                name=base,
                reason=f"an engine's own helper ({name_of(process)}), not what it runs",
                pid=process.pid,
                cgroup=path,
            )
        elif path_engine(path) is not None and path not in taken:
            by_path[path] = LookAlike(
                kind="cgroup",
                name=base,
                reason=f"a cgroup named like an engine's with a process of the host in it "
                f"({name_of(process)})",
                pid=process.pid,
                cgroup=path,
            )
    return list(by_path.values())
