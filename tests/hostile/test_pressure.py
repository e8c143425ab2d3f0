"""Too little memory or disk, or too much churn: the agent answers, recovers, and leaks nothing."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.engines.harness import roots
from tests.engines.harness.agent import TALLYMAN, running_agent
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import (
    MARK,
    CommandError,
    hierarchies,
    remove_cgroups,
    run,
    wait_until,
    workplace,
)
from tests.hostile.conftest import scout_of
from tests.hostile.stranger import stranger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent
    from tests.hostile.conftest import Neighbour

pytestmark = pytest.mark.engine

STARTS = 1500
"""Containers that start and end one after the other, as fast as this machine can start them."""

MADE_AT_ONCE = 4

MANY = 4000
"""More processes than a scout can read within the remaining memory."""


def test_out_of_memory_at_its_own_limit(neighbour: Neighbour) -> None:
    """The kernel kills the scout and not serve, which answers, and the next scout survives."""
    with memory_cgroup() as group:
        words = ("sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "{TALLYMAN}" "$@"', "sh")
        with running_agent("--inventory.full-interval=5s", command=words) as agent:
            agent.wait_row(neighbour.made, style="app", seconds=60)
            serve = agent.pid
            scout = scout_of(agent)
            script = f"i=0; while [ $i -lt {MANY} ]; do sleep 86400 & i=$((i+1)); done; wait"
            with stranger("/bin/sh", "-c", script) as made:
                wait_until(lambda: len(made.pids()) > MANY, f"{MANY} processes", 300)

                granted = []

                def killed() -> bool:
                    if oom_kills(group) == 0:
                        granted.append(squeeze(group))
                    return oom_kills(group) > 0

                wait_until(killed, "the kernel to kill", 120)
                # This is enough memory for everything except a scout that reads so many.
                limit_memory(group, max(granted))
                for _ in range(5):
                    assert agent.scrape().row(neighbour.made.name) is not None
                assert not scout.is_running() or scout_of(agent).pid != scout.pid
            limit_memory(group, None)
            with stranger() as late:
                agent.wait_row(late, style="app", seconds=120)
            assert agent.pid == serve
            assert agent.daemon.alive()
            neighbour.assert_unharmed()


def test_a_full_disk(neighbour: Neighbour) -> None:
    """Nothing can be written where it runs, logs and would keep temporary files."""
    with workplace("full") as place:
        disk = place / "disk"
        disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk)
        with suppress(OSError):
            (disk / "log").write_bytes(bytes(1 << 20))
        words = ("sh", "-c", f'cd {disk} && exec "{TALLYMAN}" "$@" >>{disk}/log 2>&1', "sh")
        env = {name: str(disk) for name in ("TMPDIR", "HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME")}
        with running_agent("--log.level=debug", command=words, env=env) as agent:
            agent.wait_row(neighbour.made, style="app", seconds=60)
            scout_of(agent).kill()
            with stranger() as late:
                agent.wait_row(late, style="app", seconds=120)
            assert agent.get("/").status == 200
        assert shutil.disk_usage(disk).free == 0, "the disk was not full"


def test_thousands_of_starts(neighbour: Neighbour) -> None:
    """Each scrape is answered, the scout's CPU use is bounded, and nothing leaks."""
    need("unshare")
    with workplace("starts") as place, ExitStack() as stack:
        only_ours = place / "tallyman.toml"
        # Other containers on the machine must not count.
        only_ours.write_text(
            f'[containers]\ninclude = [{{ name = "{MARK}*" }}, {{ engine = "none" }}]\n'
        )
        flags = (f"--config.file={only_ours}", "--containers.retention=5s")
        agent = stack.enter_context(running_agent(*flags, start_seconds=60))
        agent.wait_row(neighbour.made, style="app", seconds=60)
        root = roots.make_busybox(place / "root")
        before = holds(agent)
        used, began = cpu_seconds(agent), _uptime()
        loop = (
            'i=0; while [ $i -lt "$1" ]; do '
            'unshare --mount --pid --fork --root "$2" /bin/true; i=$((i+1)); done'
        )
        each = str(STARTS // MADE_AT_ONCE)
        makers = [
            subprocess.Popen(("sh", "-c", loop, "sh", each, str(root))) for _ in range(MADE_AT_ONCE)
        ]
        while any(maker.poll() is None for maker in makers):
            assert agent.scrape().row(neighbour.made.name) is not None
            threading.Event().wait(0.2)
        busy = (cpu_seconds(agent) - used) / (_uptime() - began)
        assert [maker.returncode for maker in makers] == [0] * MADE_AT_ONCE

        with stranger() as late:
            agent.wait_row(late, style="app", seconds=60)
        neighbour.assert_unharmed(agent.scrape())
        assert busy < 0.75, "of one CPU, most of it for the scrapes"

        def given_back() -> bool:
            now = holds(agent)
            return all(now[what] <= before[what] + 8 for what in before)

        wait_until(given_back, f"{before} to be held again", 60)
        assert "a new one starts in" not in agent.daemon.output()


def holds(agent: Agent) -> dict[str, int]:
    """Return what the agent's processes hold together."""
    # Descriptors of counters vary with the containers on the machine.
    kept = int(agent.scrape().value("tallyman_kept_descriptors") or 0)
    found = {"descriptors": -kept, "threads": 0, "processes": 0}
    for process in _processes(agent):
        with suppress(psutil.NoSuchProcess):
            found["descriptors"] += process.num_fds()
            found["threads"] += process.num_threads()
            found["processes"] += 1
    return found


def cpu_seconds(agent: Agent) -> float:
    """Return the CPU time of all of the agent's processes."""
    return sum(sum(process.cpu_times()[:2]) for process in _processes(agent))


def _processes(agent: Agent) -> list[psutil.Process]:
    serve = psutil.Process(agent.pid)
    return [serve, *serve.children(recursive=True)]


def _uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


@contextmanager
def memory_cgroup() -> Iterator[Path]:
    """Return a cgroup whose memory can be limited."""
    name = unique("memory")
    for top in hierarchies():
        group = top / name
        group.mkdir()
        if (group / "memory.max").exists() or (group / "memory.limit_in_bytes").exists():
            break
        group.rmdir()
    else:
        pytest.skip("memory is no controller here")
    try:
        yield group
    finally:
        with suppress(CommandError):
            remove_cgroups(name)


def _v2(group: Path) -> bool:
    return (group / "memory.max").exists()


def squeeze(group: Path) -> int:
    """Set and return the lowest limit that the kernel accepts after reclaiming memory."""
    limit = needed_memory(group)
    while not limit_memory(group, limit):
        limit += 1 << 18
    return limit


def limit_memory(group: Path, limit: int | None) -> bool:
    """Set the limit, None for no limit; return whether the kernel accepted it."""
    file = "memory.max" if _v2(group) else "memory.limit_in_bytes"
    try:
        (group / file).write_text("-1" if limit is None and not _v2(group) else str(limit or "max"))
    except OSError:  # busy: not enough could be reclaimed
        return False
    return True


def needed_memory(group: Path) -> int:
    """Return the anonymous memory of processes, which the kernel cannot reclaim, in bytes."""
    words = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(dict(words)["anon" if _v2(group) else "total_rss"])


def oom_kills(group: Path) -> int:
    """Return how many processes the kernel has killed when memory ran out."""
    file = "memory.events" if _v2(group) else "memory.oom_control"
    words = (line.split() for line in (group / file).read_text().splitlines())
    return int(dict(words)["oom_kill"])
