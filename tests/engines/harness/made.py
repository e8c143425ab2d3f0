"""A container that a test has made, and what the kernel shows of its processes."""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.engines.harness.programs import MARK, descendants, wait_until

_numbers = itertools.count(1)


def unique(word: str) -> str:
    """Return a name that no other container on this machine has."""
    return f"{MARK}{word}{next(_numbers)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is true of a container, because the test made it so."""

    name: str
    engine: str
    handle: str
    """A part of its id or cgroup path that nothing else on the host has."""
    pid: int | None
    """Its first process in the host's numbering; None when it does not run."""
    parent: Made | None = None
    place: Path | None = None
    """Where its engine keeps it, where that is needed to speak of it."""
    noted: tuple[int, ...] | None = None
    """Its processes as they were when they were noted, for who judges on another machine."""

    def pids(self) -> list[int]:
        """Return its processes, its first one first."""
        if self.noted is not None:
            return list(self.noted)
        return [self.pid, *descendants(self.pid)] if self.pid else []

    def wait_for(self, *programs: str, seconds: float = 60) -> Made:
        """Wait until processes of these names run in it."""
        wait_until(
            lambda: set(programs) <= {comm(pid) for pid in self.pids()},
            f"{', '.join(programs)} in {self.name}",
            seconds,
        )
        return self


def comm(pid: int) -> str:
    """Return the name of a process, empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def argv(pid: int) -> list[str]:
    """Return the arguments of a process, none when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    return []


def child_running(parent: int, *words: str, seconds: float = 20) -> int:
    """Wait for a process below ``parent`` with exactly these arguments, and give its number."""

    def look() -> int | None:
        return next((p for p in descendants(parent) if argv(p) == list(words)), None)

    return wait_until(look, f"{' '.join(words)} below process {parent}", seconds)


def namespace(pid: int, kind: str) -> str:
    """Return what tells one namespace from another, for instance ``mnt:[4026531841]``."""
    return os.readlink(f"/proc/{pid}/ns/{kind}")
