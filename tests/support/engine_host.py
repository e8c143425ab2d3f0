"""A host's files below a temporary directory, for collectors of engines that read from disk."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from collectors.contract import Context, Options
from collectors.facts import CgroupLayout, CgroupMode, HostFacts, Process, Sighting
from collectors.hostfs import HostFS
from tests import support
from tests.support.processes import HOST, process, table

FIXTURES = support.FIXTURES / "oci"

V1 = CgroupLayout(
    mode=CgroupMode.HYBRID,
    hierarchies={
        "name=systemd": "fs/cgroup/systemd",
        "": "fs/cgroup/unified",
        "freezer": "fs/cgroup/freezer",
    },
)
FACTS = dataclasses.replace(HOST, cgroups=V1)
NOW = 1_800_000_000.0

patient = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""For properties: how long an example takes says something of the machine only."""


def fixture(name: str) -> bytes:
    """Return what was captured of a real engine."""
    path = FIXTURES / name
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


class EngineHost:
    """Files that stand in for /proc, /sys and the root filesystem of a host."""

    def __init__(self, path: Path, facts: HostFacts = FACTS) -> None:
        self.path = path
        self.facts = facts
        for name in ("proc", "sys", "root"):
            (path / name).mkdir()

    def write(self, where: str, data: bytes | str | object) -> Path:
        """Put a file somewhere: ``/etc/passwd``, or ``proc:7/fd/3`` below /proc."""
        path = self.at(where)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(data, bytes):
            data = (data if isinstance(data, str) else json.dumps(data)).encode()
        path.write_bytes(data)
        return path

    def copy(self, name: str, where: str) -> Path:
        """Put what was captured of a real engine somewhere."""
        return self.write(where, fixture(name))

    def link(self, where: str, target: str) -> None:
        """Make a symbolic link."""
        path = self.at(where)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def enter(self, pid: int, kind: str, where: str) -> None:
        """Make /proc/<pid>/cwd or root lead to a directory of this host; it has no mounts."""
        directory = self.at(where)
        directory.mkdir(parents=True, exist_ok=True)
        link = self.at(f"proc:{pid}/{kind}")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(directory, link.parent))
        self.write(f"proc:{pid}/mountinfo", "")

    def at(self, where: str) -> Path:
        """Return the real path of something."""
        top, colon, rest = where.partition(":")
        if colon:
            return self.path / top / rest
        return self.path / "root" / where.lstrip("/")

    def context(
        self,
        *processes: Process,
        full: bool = True,
        options: Options | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> Context:
        """Return what a collector is given when these processes run."""
        host = HostFS(str(self.path / "proc"), str(self.path / "sys"), str(self.path / "root"))
        return Context(
            host=host,
            facts=self.facts,
            processes=table(*processes),
            options=options or Options(docker_timeout=60.0),
            now=NOW,
            full=full,
            wake=wake,
        )


def by_name(sightings: Iterable[Sighting]) -> dict[str, Sighting]:
    """Index sightings by name, each of which may be there once."""
    found = list(sightings)
    names = {sighting.name: sighting for sighting in found}
    assert len(names) == len(found)
    return names


def contained(pid: int, cgroup: str, ppid: int = 1, **more: Any) -> Process:
    """A container's first process, in a cgroup of all hierarchies."""
    ns = {"mnt": 1000 + pid, "pid": 2000 + pid}
    cgroups = {"name=systemd": cgroup, "": cgroup, "freezer": cgroup}
    return process(pid, ppid, ns=ns, root=pid, **{"cgroups": cgroups, **more})
