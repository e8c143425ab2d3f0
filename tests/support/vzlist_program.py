"""A fake vzlist of each version, and how it is asked."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from collectors.engines.openvz.vzlist.program import Program
from collectors.engines.openvz.vzlist.query import Vzlist
from tests.support.openvz_node import FakeVzlist, containers_of

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.engines.openvz.vzlist.fields import Listed

CONTAINERS = {3: containers_of("4.11.1"), 4: containers_of("4.11.1"), 7: containers_of("7.0.254")}
ALL = {version: {str(c["ctid"]) for c in containers} for version, containers in CONTAINERS.items()}
NEVER = threading.Event()


def vzlist_of(fake: FakeVzlist) -> Vzlist:
    """The reader of a fake program."""
    return Vzlist(Program((str(fake.path),), {"PATH": "/nonexistent"}))


def ask(vzlist: Vzlist, timeout: float = 60.0) -> dict[str, Listed]:
    """What it lists."""
    return vzlist.containers(timeout, NEVER)


def script(directory: Path, text: str) -> Path:
    """A Python program on disk."""
    path = directory / "script"
    path.write_text(f"#!{sys.executable} -IS\n{text}\n")
    path.chmod(0o755)
    return path
