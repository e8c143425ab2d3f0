"""Which cgroup is a container's own, and the id that it keeps.

A container gets its id when it is first known and keeps it until it is removed, over restarts and
when its engine answers only later. No two containers have the same. The id is

- the path of its cgroup in the host's view, in systemd's hierarchy where there is a hybrid;
- for a container never seen running, the path that its engine will give it;
- without a cgroup of its own, ``/<engine>[/<instance>]/<engine's id>``, where the instance is a
  user's number or a socket; never the name, which may change;
- without an engine either, ``/none/<pid>-<start time>`` of its first process.

The path is that of the container itself: ``machine-x.scope`` and not the ``payload`` in it,
``/lxc/101`` and not ``/lxc/101/ns``, a container's scope and not its pod's slice, and without the
``-1`` that LXC appends to a name still taken. The hierarchies of one process differ: an inner
systemd moves processes in one of them only, and cpuset is seldom deep.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from agent.inventory.cgroup_names import HIERARCHIES, INNER, cut, strip_inner
from collectors.catalogue import WRAPPERS
from collectors.kernel.cgroups import UNIFIED, contains

if TYPE_CHECKING:
    from agent.inventory.groups import Group, Partition
    from collectors.facts import Sighting


class Ownership:
    """Which containers have processes in which cgroups.

    On v1 the same path is in ten hierarchies: a set of bits says in which of them.
    """

    def __init__(self, parts: Partition, cgroups: Mapping[int, Mapping[str, str]]) -> None:
        self._bits: dict[str, int] = {}
        self._homes: dict[str, dict[Group | None, int]] = {}
        # An engine's monitor may be in the cgroup of the container that it started, as libvirt's
        # is: it counts as the container's.
        monitored = {
            g.leader.ppid: g
            for g in parts.groups
            if g.parent is None and g.sightings and g.sightings[0].engine not in WRAPPERS
        }
        for pid, paths in cgroups.items():
            home = parts.home.get(pid) or monitored.get(pid)
            for path, bits in self._by_path(paths).items():
                self._note(path, bits, home)

    def _by_path(self, paths: Mapping[str, str]) -> dict[str, int]:
        by_path: dict[str, int] = {}
        for controller, path in paths.items():
            bit = self._bits.get(controller)
            if bit is None:
                bit = self._bits[controller] = 1 << len(self._bits)
            by_path[path] = by_path.get(path, 0) | bit
        return by_path

    def _note(self, path: str, bits: int, home: Group | None) -> None:
        while True:
            homes = self._homes.setdefault(path, {})
            before = homes.get(home, 0)
            if before | bits == before or path in ("/", ""):
                return  # noted before, and so are those above it
            homes[home] = before | bits
            path = posixpath.dirname(path)

    def adopt(self, groups: Iterable[Group]) -> None:
        """Find the parent of containers whose processes are children of the host's.

        What an engine starts in a container with the host's pid namespace is adopted by the host's
        init, but its cgroups stay below those of that container.
        """
        by_path: dict[tuple[str, str], Group | None] = {}
        for group in groups:
            controller, path = _main_path(group)
            path = cut(path, group.sightings) or strip_inner(path)
            hosts = self._homes.get(path, {}).get(None, 0) & self._bits.get(controller, 0)
            if path == "/" or posixpath.basename(path) in INNER or hosts:
                continue
            place = (controller, path)
            other = by_path.get(place)
            if place not in by_path or (other and not other.sightings and group.sightings):
                by_path[place] = group
            elif not (other and other.sightings and not group.sightings):
                by_path[place] = None  # two equals in one cgroup: neither is the other's parent
        for group in groups:
            controller, path = _main_path(group)
            if group.sightings:
                path = posixpath.dirname(path)
            # What no engine knows may be nested without a cgroup below: what an engine's exec
            # starts in a container is in the container's own cgroup.
            while group.parent is None and path not in ("", "/"):
                above = by_path.get((controller, path))
                if above is not None and not above.within(group):
                    group.parent = above
                path = posixpath.dirname(path)

    def owned(self, group: Group, path: str, controllers: Iterable[str]) -> list[str]:
        """Return the hierarchies where a path holds this container and those nested in it alone."""
        if path in ("", "/") or path.startswith("/.."):
            return []
        others = 0
        for home, bits in self._homes.get(path, {}).items():
            if home is None or not home.within(group):
                others |= bits
        return [c for c in controllers if not self._bits[c] & others]

    def keeps(self, group: Group, path: str, controller: str) -> bool:
        """Return whether a cgroup that was a container's own still is.

        Its first process is in it or below. A process of the host may be in it, too: an engine's
        exec (a health check each second, say) is, in one hierarchy after the other, before it
        enters the namespaces. Another container may not: what it uses would count twice.
        """
        if not contains(path, group.leader.cgroups.get(controller, "/")):
            return False
        bit = self._bits[controller]
        return not any(
            bits & bit
            for home, bits in self._homes.get(path, {}).items()
            if home is not None and not home.within(group)
        )


def _main_path(group: Group) -> tuple[str, str]:
    """Return the first process's cgroup in the first hierarchy where it is not the root."""
    for controller in HIERARCHIES:
        path = group.leader.cgroups.get(controller, "/")
        if path != "/":
            return controller, path
    return UNIFIED, "/"


def own_cgroups(
    group: Group, ownership: Ownership, before: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the paths of a container's own cgroups, by controller, where it has one.

    ``before`` are those that it had since its first process was started: they stay its own, so
    that its counters neither vanish nor fall.
    """
    by_path: dict[str, list[str]] = {}
    for controller, path in group.leader.cgroups.items():
        by_path.setdefault(path, []).append(controller)
    own: dict[str, str] = {}
    for path, controllers in by_path.items():
        left = controllers
        for candidate in dict.fromkeys(_candidates(group, controllers, path)):
            owned = ownership.owned(group, candidate, left)
            own.update((controller, candidate) for controller in owned)
            left = [c for c in left if c not in owned]
            if not left:
                break
    for controller, path in before.items():
        now = own.get(controller)
        if (now is None or (now != path and contains(path, now))) and ownership.keeps(
            group, path, controller
        ):
            own[controller] = path
    return own


def _candidates(group: Group, controllers: Sequence[str], path: str) -> Iterable[str]:
    """Return the paths that may be the container's, the most likely first."""
    by_engine = cut(path, group.sightings) if group.sightings else ""
    if by_engine:
        yield by_engine
    for controller in controllers:
        staying = {
            p.cgroups[controller]
            for p in group.members
            if p.pid not in group.visitors and controller in p.cgroups
        }
        if len(staying) > 1:
            yield strip_inner(posixpath.commonpath(staying))
    if not by_engine:
        by_name = cut(path, ())
        if by_name:
            yield by_name
    yield strip_inner(path)
    yield path


def id_of_group(group: Group, cgroups: Mapping[str, str]) -> str:
    """Return the id of a running container that is seen for the first time."""
    for controller in HIERARCHIES:
        path = cgroups.get(controller)
        if path is not None and is_named(path, group.sightings):
            return _without_suffix(path, group.sightings)
    if group.sightings:
        return id_of_sighting(group.sightings[0], with_cgroup=False)
    pid, start_ticks = group.leader.id
    return f"/none/{pid}-{start_ticks}"


def is_named(path: str, sightings: Sequence[Sighting]) -> bool:
    """Return whether a cgroup may give a container its id.

    That which every container of an engine has inside its own is no name: without a cgroup around
    it, a second systemd-nspawn beside the first has the same ``/payload``.
    """
    by_engine = any(sighting.cgroup == path for sighting in sightings)
    return by_engine or posixpath.basename(path) not in INNER


def _without_suffix(path: str, sightings: Sequence[Sighting]) -> str:
    """Leave out the ``-1`` that LXC appends to a cgroup whose name was still taken."""
    head, dash, number = path.rpartition("-")
    if dash and number.isdigit():
        last = posixpath.basename(head)
        for sighting in sightings:
            if sighting.name and last in (sighting.name, f"lxc.payload.{sighting.name}"):
                return head
    return path


def id_of_sighting(sighting: Sighting, *, with_cgroup: bool = True) -> str:
    """Return the id of a container that has no process."""
    if with_cgroup and sighting.cgroup:
        return sighting.cgroup
    middle = f"/{sighting.instance.strip('/').replace('/', ':')}" if sighting.instance else ""
    return f"/{sighting.engine}{middle}/{sighting.engine_id}"
