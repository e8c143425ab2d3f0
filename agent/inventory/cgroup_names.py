"""Which cgroups engines make, known by their names.

Anyone on the host can make a cgroup of such a name: a name says where a container's cgroup ends,
never that there is a container.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from collectors.catalogue import ENGINES
from collectors.kernel.cgroups import SYSTEMD, UNIFIED, contains

if TYPE_CHECKING:
    from collectors.facts import Sighting

HIERARCHIES = (SYSTEMD, UNIFIED, "cpu", "memory", "pids", "freezer", "devices", "blkio", "cpuset")
"""Order in which the hierarchies are asked for a container's cgroup: systemd's first on v1 and
hybrid, as it is the deepest; on v2 there is the unified one alone."""

INNER = frozenset({"init.scope", *(name for engine in ENGINES for name in engine.inner_cgroups)})
"""Cgroups that an init (systemd: init.scope) or an engine makes inside the container's own for its
first process."""

_COMPONENTS = tuple(
    (re.compile(pattern), engine.name) for engine in ENGINES for pattern in engine.cgroups
)
_BARE_ID = re.compile(r"[0-9a-f]{64}")
_FOLDERS = {folder: engine.name for engine in ENGINES for folder in engine.cgroup_folders}
_PARENTS = {parent: engine.name for engine in ENGINES for parent in engine.cgroup_parents}
_HELPERS = re.compile("|".join(pattern for e in ENGINES for pattern in e.helper_cgroups))

_LONG_ID = 12
"""An engine's id of at least this many characters is recognised inside a path component."""


def component_engine(component: str) -> str | None:
    """Return the engine that makes cgroups of that name: "" for any of them, None for none."""
    for pattern, engine in _COMPONENTS:
        if pattern.fullmatch(component):
            return engine
    return "" if _BARE_ID.fullmatch(component) else None


def path_engine(path: str) -> str | None:
    """Return the engine that makes cgroups of that path: "" for any of them, None for none."""
    head, _, last = path.rpartition("/")
    return _FOLDERS.get(posixpath.basename(head)) or component_engine(last)


def container_engine(path: str) -> str:
    """Return the engine of the container whose cgroup this is; "" where the path does not tell."""
    parent = posixpath.basename(posixpath.dirname(path))
    return path_engine(path) or _PARENTS.get(parent, "")


def is_helper(component: str) -> bool:
    """Return whether a cgroup of that name holds an engine's own helper, beside the container's."""
    return _HELPERS.fullmatch(component) is not None


def engine_cgroup(cgroups: Mapping[str, str], sightings: Sequence[Sighting]) -> str:
    """Return the cgroup made by an engine that a process is in, "" for none."""
    for controller in HIERARCHIES:
        path = cut(cgroups.get(controller, ""), sightings)
        if path:
            return path
    return ""


def cut(path: str, sightings: Sequence[Sighting]) -> str:
    """Cut a path after the component that an engine made for a container; "" if there is none.

    With sightings it is the deepest component that has the id of the container which they saw, else
    a name that its engine gives; without, the deepest that has any engine's. Deepest, as the path
    of a nested container has the outer one's name in it, too; the id first, as what the same engine
    runs inside a container is named alike.
    """
    for sighting in sightings:
        if sighting.cgroup and sighting.cgroup != "/" and contains(sighting.cgroup, path):
            return sighting.cgroup
    parts = path.split("/")
    for is_its in (_has_id, _is_of_container):
        for index in range(len(parts) - 1, 0, -1):
            if is_its(parts[index], sightings):
                return "/".join(parts[: index + 1])
    return ""


def _has_id(component: str, sightings: Sequence[Sighting]) -> bool:
    return any(len(s.engine_id) >= _LONG_ID and s.engine_id in component for s in sightings)


def _is_of_container(component: str, sightings: Sequence[Sighting]) -> bool:
    engine = component_engine(component)
    if engine is None or not sightings:
        return engine is not None
    return any(_fits(sighting, engine, component) for sighting in sightings)


def _fits(sighting: Sighting, engine: str, component: str) -> bool:
    if engine == "":
        return sighting.engine_id[:_LONG_ID] in component
    return any(
        name == sighting.engine and pattern.fullmatch(component) for pattern, name in _COMPONENTS
    )


def strip_inner(path: str) -> str:
    """Leave out the cgroups that an init or an engine makes below the container's own.

    ``/machine.slice/machine-x.scope/payload/init.scope`` is machine-x.scope. What stands alone at
    the top stays: ``/payload`` has nothing above it that could be the container.
    """
    while posixpath.basename(path) in INNER and posixpath.dirname(path) != "/":
        path = posixpath.dirname(path)
    return path
