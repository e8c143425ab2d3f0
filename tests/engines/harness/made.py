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
    """The facts of a container that a test made."""

    name: str
    engine: str
    handle: str
    """A part of its id or cgroup path that is unique on the host."""
    pid: int | None
    """The pid of its first process on the host; None when it does not run."""
    parent: Made | None = None
    place: Path | None = None
    """Where its engine keeps it, where a command needs that."""
    noted: tuple[int, ...] | None = None
    """Its processes as recorded in the guest, for tests that run on another machine."""

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
    """Return the name of a process, empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def argv(pid: int) -> list[str]:
    """Return the arguments of a process, none if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    return []


def child_running(parent: int, *words: str, seconds: float = 20) -> int:
    """Wait for a process below ``parent`` with exactly these arguments, and return its pid."""

    def look() -> int | None:
        return next((p for p in descendants(parent) if argv(p) == list(words)), None)

    return wait_until(look, f"{' '.join(words)} below process {parent}", seconds)


def namespace(pid: int, kind: str) -> str:
    """Return the identity of a namespace, for instance ``mnt:[4026531841]``."""
    return os.readlink(f"/proc/{pid}/ns/{kind}")
