"""What the kernel says of a container, where its engine's tool does not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness.programs import hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.oracle.facts import Value

_UNLIMITED = 1 << 62
"""What v1 shows where no limit is set is a little less than 2^63."""


def limits(pid: int | None) -> dict[str, Value]:
    """Return the least limits of a process's cgroups and those above; none of one that ended."""
    memory, quotas, threads = [], [], []
    for directory in _on_the_way_up(pid, "memory"):
        memory += _numbers(directory, "memory.limit_in_bytes", "memory.max", "memory.high")
    for directory in _on_the_way_up(pid, "cpu"):
        quotas += _quotas(directory)
    for directory in _on_the_way_up(pid, "pids"):
        threads += _numbers(directory, "pids.max")
    return {
        "memory": min((n for n in memory if n < _UNLIMITED), default=None),
        "quota": min(quotas, default=None),
        "threads": min(threads, default=None),
    }


def oom_kills(pid: int | None) -> int:
    """Return how many processes of a container the kernel has killed for lack of memory."""
    for directory in _on_the_way_up(pid, "memory"):
        for name in ("memory.oom_control", "memory.events"):
            with suppress(OSError):
                fields = dict(line.split() for line in (directory / name).read_text().splitlines())
                return int(fields.get("oom_kill", 0))
    return 0


def _on_the_way_up(pid: int | None, controller: str) -> Iterator[Path]:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        for line in lines:
            _, names, path = line.split(":", 2)
            for top in hierarchies():
                if names == top.name == controller or (not names and len(hierarchies()) == 1):
                    directory = top / path.lstrip("/")
                    yield directory
                    while directory != top:
                        directory = directory.parent
                        yield directory


def _numbers(directory: Path, *names: str) -> list[int]:
    found = []
    for name in names:
        with suppress(OSError):
            text = (directory / name).read_text().strip()
            found += [int(text)] if text.isdigit() else []
    return found


def _quotas(directory: Path) -> list[int]:
    with suppress(OSError):
        quota = int((directory / "cpu.cfs_quota_us").read_text())
        return [quota] if quota > 0 else []
    with suppress(OSError):
        word = (directory / "cpu.max").read_text().split()[0]
        return [int(word)] if word.isdigit() else []
    return []
