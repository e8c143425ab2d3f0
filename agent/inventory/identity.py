"""Which cgroup is a container's own, and the id that it keeps: see "Identity" in the design.

The container is the shallowest path that is one, and the hierarchies of one process disagree: an
inner systemd moves about in one of them only, cpuset is seldom deep.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from agent.inventory.cgroup_names import HIERARCHIES, INNER, cut, strip_inner
from collectors.catalogue import WRAPPERS
from collectors.kernel.cgroups import UNIFIED

if TYPE_CHECKING:
    from agent.inventory.groups import Group, Partition
    from collectors.facts import Sighting


class Ownership:
    """Tells which cgroups hold processes of one container and of nobody else.

    On v1 a path stands in ten hierarchies alike: a set of bits says in which of them.
    """

    def __init__(self, parts: Partition, cgroups: Mapping[int, Mapping[str, str]]) -> None:
        self._bits: dict[str, int] = {}
        self._homes: dict[str, dict[Group | None, int]] = {}
        # An engine's controller may sit in the cgroup of the container that it started, as
        # libvirt's does: it is no stranger there.
        keepers = {
            g.leader.ppid: g
            for g in parts.groups
            if g.parent is None and g.sightings and g.sightings[0].engine not in WRAPPERS
        }
        for pid, paths in cgroups.items():
            home = parts.home.get(pid) or keepers.get(pid)
            for path, bits in self._by_path(paths).items():
                self._note(path, bits, home)

    def _by_path(self, paths: Mapping[str, str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for controller, path in paths.items():
            bit = self._bits.get(controller)
            if bit is None:
                bit = self._bits[controller] = 1 << len(self._bits)
            found[path] = found.get(path, 0) | bit
        return found

    def _note(self, path: str, bits: int, home: Group | None) -> None:
        while True:
            homes = self._homes.setdefault(path, {})
            before = homes.get(home, 0)
            if before | bits == before or path in ("/", ""):
                return  # known, and so are those above
            homes[home] = before | bits
            path = posixpath.dirname(path)

    def adopt(self, groups: Iterable[Group]) -> None:
        """Find the parent of containers that the process tree hangs on the host.

        An engine in a container with the host's pid namespace has its containers adopted by the
        host's init, but their cgroups stay below its own.
        """
        by_path: dict[tuple[str, str], Group | None] = {}
        for group in groups:
            controller, path = _main_path(group)
            path = cut(path, group.sightings) or strip_inner(path)
            hosts = self._homes.get(path, {}).get(None, 0) & self._bits.get(controller, 0)
            if path == "/" or posixpath.basename(path) in INNER or hosts:
                continue
            mark = (controller, path)
            other = by_path.get(mark)
            if mark not in by_path or (other and not other.sightings and group.sightings):
                by_path[mark] = group
            elif not (other and other.sightings and not group.sightings):
                by_path[mark] = None  # two alike in one cgroup: neither is around the other
        for group in groups:
            controller, path = _main_path(group)
            if group.sightings:
                path = posixpath.dirname(path)
            # What no engine knows is nested also where it has no cgroup below: an engine's exec
            # into a container starts in the container's own.
            while group.parent is None and path not in ("", "/"):
                above = by_path.get((controller, path))
                if above is not None and not above.within(group):
                    group.parent = above
                path = posixpath.dirname(path)

    def owned(self, group: Group, path: str, controllers: Iterable[str]) -> list[str]:
        """Return those hierarchies where only this container, or those nested in it, are there."""
        if path in ("", "/") or path.startswith("/.."):
            return []
        others = 0
        for home, bits in self._homes.get(path, {}).items():
            if home is None or not home.within(group):
                others |= bits
        return [c for c in controllers if not self._bits[c] & others]


def _main_path(group: Group) -> tuple[str, str]:
    for controller in HIERARCHIES:
        path = group.leader.cgroups.get(controller, "/")
        if path != "/":
            return controller, path
    return UNIFIED, "/"


def own_cgroups(group: Group, ownership: Ownership) -> dict[str, str]:
    """Return the cgroup path by controller, of those hierarchies where it has one of its own."""
    by_path: dict[str, list[str]] = {}
    for controller, path in group.leader.cgroups.items():
        by_path.setdefault(path, []).append(controller)
    found: dict[str, str] = {}
    for path, controllers in by_path.items():
        left = controllers
        for candidate in dict.fromkeys(_candidates(group, controllers, path)):
            owned = ownership.owned(group, candidate, left)
            found.update((controller, candidate) for controller in owned)
            left = [c for c in left if c not in owned]
            if not left:
                break
    return found


def _candidates(group: Group, controllers: Sequence[str], path: str) -> Iterable[str]:
    """Return the paths that may be the container's, the likeliest first."""
    own = cut(path, group.sightings) if group.sightings else ""
    if own:
        yield own
    for controller in controllers:
        staying = {
            p.cgroups[controller]
            for p in group.members
            if p.pid not in group.visitors and controller in p.cgroups
        }
        if len(staying) > 1:
            yield strip_inner(posixpath.commonpath(staying))
    if not own:
        by_name = cut(path, ())
        if by_name:
            yield by_name
    yield strip_inner(path)
    yield path


def id_of_group(group: Group, cgroups: Mapping[str, str]) -> str:
    """Return the id of a running container, which it then keeps."""
    for controller in HIERARCHIES:
        if controller in cgroups:
            return without_suffix(cgroups[controller], group.sightings)
    if group.sightings:
        return id_of_sighting(group.sightings[0], with_cgroup=False)
    pid, start_ticks = group.leader.id
    return f"/none/{pid}-{start_ticks}"


def without_suffix(path: str, sightings: Sequence[Sighting]) -> str:
    """Leave out the ``-1`` that LXC adds to a cgroup whose name was still taken."""
    head, dash, number = path.rpartition("-")
    if dash and number.isdigit():
        last = posixpath.basename(head)
        for sighting in sightings:
            if sighting.name and last in (sighting.name, f"lxc.payload.{sighting.name}"):
                return head
    return path


def id_of_sighting(sighting: Sighting, *, with_cgroup: bool = True) -> str:
    """Return the id of a container that only its engine knows.

    The cgroup path that its engine will give it, else ``/<engine>[/<instance>]/<engine's id>``.
    """
    if with_cgroup and sighting.cgroup:
        return sighting.cgroup
    middle = f"/{sighting.instance.strip('/').replace('/', ':')}" if sighting.instance else ""
    return f"/{sighting.engine}{middle}/{sighting.engine_id}"
