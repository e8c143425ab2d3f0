"""Page and ``ls`` are read all the while as containers come and go: true at every moment."""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness import bare, oci, podman, roots
from tests.engines.harness.agent import ls, running_agent
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import CommandError, Daemon, parent_of, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engines.harness.agent import Agent, Page, Row

pytestmark = pytest.mark.engine

LIVES = 6
RETENTION = 1
_BY_PROCESS = re.compile(r"/\w+/(\d+)-(\d+)")
"""The id of a container that no engine has named."""


@dataclass(slots=True)
class Watcher:
    """Reads page and ``ls`` all the while, and what runs in cgroups of that name."""

    agent: Agent
    mark: str
    """In the name of each container, or of the cgroups in which all of them are."""
    engine: str
    kept: frozenset[str]
    """Names of those that run from the beginning to the end."""
    wrong: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[Row]]] = field(default_factory=list)
    processes: set[tuple[int, int]] = field(default_factory=set)
    """Number and start time of each process that was seen in them."""
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> list[threading.Thread]:
        """Begin to watch, until ``over``."""
        jobs = [
            threading.Thread(target=self._repeat, args=(0.1, "page", self._page)),
            threading.Thread(target=self._repeat, args=(0.1, "ls", ls)),
            threading.Thread(target=self._note_processes),
        ]
        for job in jobs:
            job.start()
        return jobs

    def _page(self) -> list[Row]:
        return self.agent.scrape().rows()

    def _repeat(self, pause: float, what: str, read: Callable[[], list[Row]]) -> None:
        while not self.over.wait(pause):
            self.rows.append((what, read()))

    def _note_processes(self) -> None:
        while not self.over.wait(0.03):
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    with suppress(OSError):
                        if self.mark in Path(f"/proc/{entry}/cgroup").read_text():
                            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2]
                            self.processes.add((int(entry), int(fields.split()[19])))

    def problems(self) -> list[str]:
        """Return what was false at any moment, each once."""
        return list(dict.fromkeys(p for what, rows in self.rows for p in self._false(what, rows)))

    def _false(self, what: str, rows: list[Row]) -> Iterator[str]:
        mine = [row for row in rows if not row.reason and self._is_mine(row)]
        for names in (Counter(row.name for row in mine), Counter(row.id for row in mine)):
            yield from (f"{what}: {name} stands {n} times" for name, n in names.items() if n > 1)
        for row in mine:
            if row.engine != self.engine or self.mark not in row.name:
                yield f"{what}: {row}"
        running = {row.name for row in mine if row.state == "running"}
        yield from (f"{what}: {name} does not run" for name in self.kept - running)

    def _is_mine(self, row: Row) -> bool:
        by_process = _BY_PROCESS.fullmatch(row.id)
        ticks = (int(by_process[1]), int(by_process[2])) if by_process else None
        return self.mark in row.id + row.name + row.cgroup or ticks in self.processes


@contextmanager
def watched(mark: str, engine: str, kept: set[str]) -> Iterator[Agent]:
    """Watch an agent; in the end nothing was false, and nothing is left but what is kept."""
    with running_agent(
        f"--containers.retention={RETENTION}s", "--inventory.poll-interval=1s"
    ) as agent:
        agent.wait_ready()
        agent.wait_for(
            lambda page: kept <= {r.name for r in page.rows() if r.state == "running"}, "the kept"
        )
        watcher = Watcher(agent, mark, engine, frozenset(kept))
        jobs = watcher.watch()
        try:
            yield agent
            agent.wait_for(
                lambda page: {r.name for r in page.rows() if mark in r.id + r.name} == kept,
                "all others to be forgotten",
            )
        finally:
            watcher.over.set()
            for job in jobs:
                job.join()
        assert watcher.problems() == []
        assert {what for what, _ in watcher.rows} == {"page", "ls"}


def test_containerd() -> None:
    need("containerd", "ctr", "busybox")
    with oci.containerd_alone() as engine:
        mark = engine.slice
        kept = [engine.start(f"{mark}-kept{n}", "/bin/sleep", "86400") for n in range(2)]
        with watched(mark, "containerd", {made.name for made in kept}):
            for n in range(LIVES):
                command = engine.command(f"{mark}-{n}", "--rm")
                run(*command, "/bin/sleep", f"{n % 3}")
        # containerd kills and forgets what has lost its shim, and keeps no note of an end.
        name, pid = kept[0].name, kept[0].pid
        assert pid
        os.kill(parent_of(pid), signal.SIGKILL)
        tasks = [
            engine.root.parent / kind / "io.containerd.runtime.v2.task" / engine.ctr[-1]
            for kind in ("state", "root")
        ]
        wait_until(
            lambda: not any(name in entry for place in tasks for entry in os.listdir(place)),
            "containerd to delete its directories",
        )
        time.sleep(0.1)  # the time of a directory may be behind by a tick of the clock
        run(*engine.ctr, "container", "create", "--rootfs", engine.root, f"{mark}-new", "/bin/true")
        states = {row.name: row.state for row in ls() if mark in row.name}
        assert (states[name], states[f"{mark}-new"]) == ("unknown", "created")


def test_runc(tmp_path: Path) -> None:
    need("runc", "busybox")
    mark = unique("moment")
    bundle = oci.make_bundle(tmp_path, "/bin/sleep", "86400", cgroup=f"/{mark}")
    kept = f"{mark}-kept"
    try:
        oci.run_detached(bundle, kept)
        with watched(mark, "runc", {kept}):
            for n in range(LIVES):
                name = f"{mark}-{n}"
                oci.set_cgroup(bundle, f"/{name}")
                oci.run_detached(bundle, name)
                time.sleep(n % 3)
                run("runc", "delete", "--force", name)
    finally:
        for name in (kept, *(f"{mark}-{n}" for n in range(LIVES))):
            with suppress(CommandError):
                run("runc", "delete", "--force", name)


def test_podman() -> None:
    need("podman", "runc", "busybox")
    with podman.podman() as engine:
        mark = unique("moment")
        kept = engine.run("/bin/sleep", "86400", name=f"{mark}-kept")
        with watched(mark, "podman", {kept.name}):
            for n in range(LIVES // 2):
                engine.run_to_end(f"{mark}-{n}", "/bin/sleep", f"{n % 3}")


def test_first_process_ends_and_its_children_live_on(tmp_path: Path) -> None:
    """Without a pid namespace the kernel ends nobody with it: the container is still the same."""
    need("unshare", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    os.mknod(root / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))  # for the shell's "&"
    first, second, third = bare.sleep(), bare.sleep(), bare.sleep()
    script = f"{' '.join(second)} & {' '.join(third)} & exec {' '.join(first)}"
    words = ("unshare", "--mount", "--root", root, "/bin/sh", "-c", script)
    with running_agent("--inventory.poll-interval=1s") as agent, in_background(tmp_path, words):
        pids = [wait_until(partial(bare.running, *c), "it to run") for c in (first, second)]
        last = wait_until(lambda: bare.running(*third), "it to run")
        try:
            agent.wait_for(shows(pids[0]), "the container")
            (before,) = of_processes(agent.scrape().rows(), pids[0])
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                # Nothing on the page tells that this was seen; what starts later tells it.
                with bare.sleeping_in("none", "unshare", "--mount", "--root", root) as later:
                    page = agent.wait_for(shows(later.pid), "what started later")
                (row,) = of_processes(page.rows(), *pids, last)
                assert (row.id, row.state) == (before.id, "running")
        finally:
            os.kill(last, signal.SIGKILL)


def test_a_first_process_that_nobody_reaps_has_ended(tmp_path: Path) -> None:
    """A zombie keeps its number, and the numbers of its namespaces are another container's soon."""
    need("unshare", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    unshare = ("unshare", "--mount", "--root", root)
    parent = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(86400)"
    first = bare.sleep()
    words = (sys.executable, "-c", parent, *unshare, *first)
    with running_agent("--inventory.full-interval=1d") as agent, in_background(tmp_path, words):
        pid = wait_until(partial(bare.running, *first), "it to run")
        agent.wait_for(shows(pid), "the container")
        for _ in range(3):  # until it is not read in each pass any more
            with bare.sleeping_in("none", *unshare) as later:
                agent.wait_for(shows(later.pid), "what started later")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: " Z " in Path(f"/proc/{pid}/stat").read_text(), "it to be a zombie")
        with bare.sleeping_in("none", *unshare) as later:
            page = agent.wait_for(shows(later.pid), "what started after its end")
        assert [row.state for row in of_processes(page.rows(), pid)] == ["dead"]


@contextmanager
def in_background(place: Path, words: tuple[str | Path, ...]) -> Iterator[None]:
    """Run a program in the background."""
    daemon = Daemon(*words, log=place / "log")
    try:
        yield
    finally:
        daemon.stop()


def of_processes(rows: list[Row], *pids: int) -> list[Row]:
    """Return the rows with an id that begins with one of these processes."""
    wanted = {f"{pid}-" for pid in pids}
    return [row for row in rows if any(row.id.rpartition("/")[2].startswith(w) for w in wanted)]


def shows(pid: int | None) -> Callable[[Page], bool]:
    """Return whether a page shows a container whose id begins with this process."""
    assert pid is not None
    return lambda page: bool(of_processes(page.rows(), pid))
