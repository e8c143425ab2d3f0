"""Hosts for the tests of system-container and sandbox engines: captured processes, made files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from collectors.contract import Context, Options
from collectors.facts import (
    CgroupLayout,
    CgroupMode,
    FileId,
    HostFacts,
    Namespaces,
    Process,
    ProcessId,
    ProcessTable,
    Sighting,
)
from collectors.hostfs import HostFS
from tests import support

FIXTURES = support.FIXTURES / "system"
NOW = 1_795_462_000.0
V1 = CgroupLayout(mode=CgroupMode.HYBRID, hierarchies={"": "u", "freezer": "f"})
V2 = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "u"})


def fixture(name: str) -> str:
    """A fixture's text."""
    return (FIXTURES / name).read_text()


def captured(name: str) -> tuple[HostFacts, list[Process]]:
    """The host and the processes of a capture."""
    data = json.loads(fixture(name))
    host = data["host"]
    facts = HostFacts(
        nodename="node",
        namespaces=Namespaces(**host["namespaces"]),
        root=FileId(*host["root"]),
        boot_time=host["boot_time"],
        cgroups=V2 if name == "guest-v2.json" else V1,
    )
    return facts, [_process(row) for row in data["processes"]]


def _process(row: dict[str, Any]) -> Process:
    return Process(
        id=ProcessId(*row["id"]),
        ppid=row["ppid"],
        argv=tuple(row.get("argv", ())),
        exe=row.get("exe"),
        uid=row.get("uid"),
        ns_pids=tuple(row["ns_pids"]),
        namespaces=Namespaces(**row["namespaces"]),
        root=FileId(*row["root"]) if "root" in row else None,
        cgroups=row.get("cgroups", {}),
    )


def context(
    tmp_path: Path,
    facts: HostFacts,
    processes: Iterable[Process],
    files: Mapping[str, str | bytes] | None = None,
    *,
    full: bool = True,
    options: Options | None = None,
) -> Context:
    """A collector's context over files below ``tmp_path``: ``proc/``, ``sys/`` and ``root/``.

    A text that starts with ``->`` makes a symbolic link.
    """
    for top in ("proc", "sys", "root"):
        (tmp_path / top).mkdir(exist_ok=True)
    for name, content in (files or {}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content.startswith("->"):
            os.symlink(content[2:], path)
        else:
            path.write_text(content)
    host = HostFS(*(str(tmp_path / top) for top in ("proc", "sys", "root")))
    return Context(
        host=host,
        facts=facts,
        processes=ProcessTable(by_pid={p.pid: p for p in processes}),
        options=options or Options(),
        now=NOW,
        full=full,
    )


def by_id(sightings: Iterable[Sighting]) -> dict[str, Sighting]:
    """The sightings by their engine's id, each once."""
    found: dict[str, Sighting] = {}
    for sighting in sightings:
        assert sighting.engine_id not in found, sighting
        found[sighting.engine_id] = sighting
    return found
