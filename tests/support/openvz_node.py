"""OpenVZ nodes, what their vzlist printed, and a vzlist that prints and misbehaves on demand."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.contract import Context, Options, PartlySeen
from collectors.engines.openvz.collector import OpenvzCollector
from collectors.facts import Beancounter, CgroupLayout, HostFacts, Sighting, State
from collectors.hostfs import HostFS
from collectors.kernel.cgroups import read_layout
from collectors.kernel.processes import ProcessReader
from tests import support

FIXTURES = support.FIXTURES / "openvz"
VERSIONS = ("4.11.1", "7.0.254")
NOW = 1_740_000_000.0
BOOT_TIME = NOW - 40_000_000.0
"""The made-up processes of the nodes have start times for a boot at this moment."""

WEB = "3d32522a-80af-4773-b9fa-ea4915dee4b3"
MAIL = "9a27e1b6-5c0e-4f3a-8d6e-0f1a2b3c4d5e"
MOUNTED = "aaaaaaaa-1111-4222-8333-944455556668"
NO_PRIVATE_AREA = "cccccccc-1111-4222-8333-944455556670"
PAUSED = "b1c2d3e4-f5a6-4789-90ab-cdef01234567"
UNKNOWN = "dddddddd-1111-4222-8333-944455556669"
STOPPED = "e6a7f1c2-1111-4222-8333-944455556666"
SUSPENDED = "f0000000-1111-4222-8333-944455556667"
"""Containers of the node of 7, by their CTIDs."""

STATES_4 = {
    "101": State.RUNNING,
    "102": State.RUNNING,
    "103": State.EXITED,
    "104": State.SUSPENDED,
    "105": State.MOUNTED,
    "110": State.EXITED,
    "777": State.RUNNING,
    "999": State.RUNNING,
    "1000000001": State.RUNNING,
}
STATES_7 = {
    "101": State.RUNNING,
    WEB: State.RUNNING,
    MAIL: State.RUNNING,
    MOUNTED: State.MOUNTED,
    PAUSED: State.PAUSED,
    UNKNOWN: State.RUNNING,
    STOPPED: State.EXITED,
    SUSPENDED: State.SUSPENDED,
}
STATES = {4: STATES_4, 7: STATES_7}

_CASE = re.compile(
    rb"=== (?P<name>\w+)\n(?P<head>(?:# .*\n)+)--- stdout \((?P<size>\d+) bytes\)\n", re.MULTILINE
)
_STDERR = re.compile(rb"\n?--- stderr \(\d+ bytes\)\n")


@dataclass(frozen=True)
class Case:
    """One run of the real vzlist."""

    command: str
    status: int
    stdout: bytes
    stderr: str


def load_cases(version: str) -> dict[str, Case]:
    """All runs of one version, by name."""
    data = (FIXTURES / f"vzlist-{version}.cases").read_bytes()
    found = {}
    starts = [match.start() for match in _CASE.finditer(data)] + [len(data)]
    for match, following in zip(_CASE.finditer(data), starts[1:], strict=True):
        end = match.end() + int(match["size"])
        middle = _STDERR.match(data, end)
        assert middle is not None, match["name"]
        head = dict(line.split(": ", 1) for line in match["head"].decode()[2:].split("\n# "))
        found[match["name"].decode()] = Case(
            command=head["command"].strip(),
            status=int(head["exit status"]),
            stdout=data[match.end() : end],
            stderr=data[middle.end() : following].decode(),
        )
    return found


def containers_of(version: str) -> list[dict[str, Any]]:
    """What vzlist -a -j says of all containers, as JSON: every run of the version prints these."""
    found: list[dict[str, Any]] = json.loads(load_cases(version)["all_json"].stdout)
    return found


def make_node(top: Path, number: int) -> Path:
    """Lay out the node that vzlist 4 or 7 ran on."""
    tree: dict[str, Any] = json.loads((FIXTURES / f"node-{number}.json").read_text())
    for name, content in tree.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif "link" in content:
            path.symlink_to(content["link"])
        else:
            path.mkdir(exist_ok=True)
    (top / "sys").mkdir(exist_ok=True)
    return top


def context(node: Path, *, now: float = NOW, full: bool = True, **options: Any) -> Context:
    """What the collector is given on a node."""
    host = HostFS(str(node / "proc"), str(node / "sys"), str(node))
    layout: CgroupLayout = read_layout(host)
    return Context(
        host=host,
        facts=HostFacts(boot_time=BOOT_TIME, cgroups=layout),
        processes=ProcessReader(host).read(),
        options=Options(**{"environment": {"PATH": "/nonexistent"}, **options}),
        now=now,
        full=full,
    )


class FakeVzlist:
    """A vzlist on disk that replays containers."""

    def __init__(self, directory: Path, version: int, containers: list[dict[str, Any]]) -> None:
        self.path = directory / "vzlist"
        self._state: dict[str, Any] = {"version": version, "containers": containers}
        self.install()

    def install(self, **state: Any) -> None:
        """Write the program anew, as an update would, with some of its state changed."""
        self._state.update(state)
        source = (Path(__file__).parent / "fake_vzlist.py").read_text()
        self._beside(".json").write_text(json.dumps(self._state))
        new = self._beside(".new")
        new.write_text(f"#!{sys.executable} -IS\n{source}")
        new.chmod(0o755)
        new.rename(self.path)

    def change(self, **state: Any) -> None:
        """Change what it prints, not the program."""
        self._state.update(state)
        self._beside(".json").write_text(json.dumps(self._state))

    def calls(self) -> list[list[str]]:
        """The arguments of each call so far."""
        return [arguments for arguments, _ in self._log()]

    def environments(self) -> list[Mapping[str, str]]:
        """The environment of each call so far."""
        return [environment for _, environment in self._log()]

    def child(self) -> int:
        """The process that the fault ``grandchild`` has left."""
        return int(self._beside(".child").read_text())

    def wait_for_child(self) -> int:
        """Make its file for that number a pipe, and wait until a process has said it."""
        path = self._beside(".child")
        os.mkfifo(path)
        return int(path.read_text())

    def _log(self) -> list[tuple[list[str], Mapping[str, str]]]:
        log = self._beside(".log")
        if not log.exists():
            return []
        return [tuple(json.loads(line)) for line in log.read_text().splitlines()]

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def ends(pid: int) -> bool:
    """Return whether a process comes to its end, whoever has to collect it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 60)[0])
    finally:
        os.close(descriptor)


def without_symlinks(node: Path) -> None:
    """Turn the links of a node into files that hold their targets, as some archives do."""
    for path in [*(node / "etc").rglob("*"), *(node / "vz").rglob("*")]:
        if path.is_symlink():
            target = os.readlink(path)
            path.unlink()
            path.write_text(target)


def remove(path: Path) -> None:
    """Remove a file or a tree."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


CONTAINERS = {4: containers_of("4.11.1"), 7: containers_of("7.0.254")}


def seen(collector: OpenvzCollector, ctx: Context) -> Sequence[Sighting]:
    """What a collector sees, also when vzlist fails."""
    try:
        return collector.collect(ctx)
    except PartlySeen as partly:
        return partly.sightings


class AskedNode:
    """A node with a collector that has been asked, and can be asked again."""

    def __init__(self, top: Path, number: int, *, vzlist: bool = True) -> None:
        self.number = number
        self.path = make_node(top / "node", number)
        self.collector = OpenvzCollector()
        self.fake = FakeVzlist(top, number, CONTAINERS[number]) if vzlist else None

    def look(self, *, now: float = NOW, **options: Any) -> dict[str, Sighting]:
        """What the collector sees at a moment."""
        found = seen(self.collector, self.context(now=now, **options))
        assert len({s.engine_id for s in found}) == len(found)
        return {sighting.engine_id: sighting for sighting in found}

    def context(self, *, now: float = NOW, **options: Any) -> Context:
        if self.fake is not None:
            options.setdefault("vzlist_command", (str(self.fake.path),))
        return context(self.path, now=now, **options)


def states(sightings: dict[str, Sighting]) -> dict[str, State]:
    return {ctid: sighting.state for ctid, sighting in sightings.items()}


def counter(sighting: Sighting, resource: str) -> Beancounter:
    assert sighting.openvz is not None
    return next(b for b in sighting.openvz.beancounters if b.resource == resource)


def host_of(node: Path) -> HostFS:
    """The files of a node."""
    return HostFS(str(node / "proc"), str(node / "sys"), str(node))
