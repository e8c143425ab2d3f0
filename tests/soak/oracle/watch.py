"""Reads the page of each agent and ``tallyman ls`` all the while, in the background."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from subprocess import SubprocessError
from typing import TYPE_CHECKING

from tests.engines.harness.agent import ls
from tests.engines.harness.consistency import inconsistencies
from tests.engines.harness.programs import CommandError, parent_of
from tests.soak.oracle.timeline import NAME, STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engines.harness.agent import Agent, Page, Row
    from tests.soak.oracle.facts import Value

_METRICS = {
    "memory": "container_spec_memory_limit_bytes",
    "quota": "container_spec_cpu_quota",
    "threads": "container_threads_max",
    "exit code": "tallyman_container_exit_code",
    "OOM kills": "container_oom_events_total",
    "restarts": "tallyman_container_restarts_total",
}
_BY_PROCESS = re.compile(r"/\w+/(\d+)-(\d+)")
"""The id of a container that no engine has named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One container, as the agent showed it."""

    id: str
    name: str
    engine: str
    cgroup: str
    values: dict[str, Value]
    """What is compared, by attribute; what is not there is absent."""

    def process(self) -> tuple[int, int] | None:
        """Return number and start of its process if it has no other name."""
        found = _BY_PROCESS.fullmatch(self.id)
        return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One page or one listing."""

    where: str
    begin: float
    end: float
    rows: list[Shown]
    wrong: list[str] = field(default_factory=list)
    """What is wrong with it by itself."""
    compared: frozenset[str]
    """The attributes that it shows at all."""


class Processes:
    """Remembers what each process belonged to, for rows that have only its number."""

    def __init__(self) -> None:
        self._notes: dict[tuple[int, int], str] = {}
        self._known: dict[int, tuple[int, float]] = {}

    def note(self) -> None:
        """Look at each process that is new, and again at those that are young."""
        now = time.monotonic()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            pid = int(entry)
            with suppress(OSError, ValueError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                start = int(fields[19])
                known, seen = self._known.get(pid, (0, now))
                if known == start and now - seen > 2:
                    continue
                self._known[pid] = (start, seen if known == start else now)
                key = (pid, start)
                self._notes[key] = self._notes.get(key, "") + _belongings(pid)

    def text(self, process: tuple[int, int]) -> str:
        """Return its cgroups and the arguments of it and those above it, as far as known."""
        return self._notes.get(process, "")


def _belongings(pid: int) -> str:
    texts = [Path(f"/proc/{pid}/cgroup").read_text()]
    for _ in range(4):
        with suppress(OSError):
            texts.append(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
            pid = parent_of(pid)
        if pid <= 1:
            break
    return "\n".join(texts)


class Watcher:
    """Puts each look into a queue; whoever knows the truth of that moment judges it."""

    def __init__(self, agents: dict[str, Agent], flags: tuple[str, ...], pause: float) -> None:
        self.looks: SimpleQueue[Look] = SimpleQueue()
        self.counts: Counter[str] = Counter()
        self.processes = Processes()
        self.failed: list[str] = []
        self._agents = agents
        self._flags = flags
        self._pause = pause
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the end of the block."""
        jobs: list[Callable[[], None]] = [self._listings, self._note_processes]
        jobs += [self._pages_of(where, agent) for where, agent in self._agents.items()]
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _put(self, where: str, read: Callable[[], tuple[list[Shown], list[str]]]) -> None:
        begin = time.monotonic()
        try:
            rows, wrong = read()
        except (OSError, AssertionError, CommandError, SubprocessError, ValueError) as error:
            self.failed.append(f"{where} could not be read: {error!r}")
            return
        compared = frozenset({NAME, STATE, *_METRICS, "health"} if where != "ls" else {NAME, STATE})
        self.looks.put(
            Look(
                where=where,
                begin=begin,
                end=time.monotonic(),
                rows=rows,
                wrong=wrong,
                compared=compared,
            )
        )
        self.counts[where] += 1

    def _pages_of(self, where: str, agent: Agent) -> Callable[[], None]:
        def read() -> tuple[list[Shown], list[str]]:
            page = agent.scrape()
            return _shown(page), [*inconsistencies(page), *false_sums(page)]

        def repeat() -> None:
            while not self._over.wait(self._pause):
                self._put(where, read)

        return repeat

    def _listings(self) -> None:
        def read() -> tuple[list[Shown], list[str]]:
            rows = ls("--timeout=100s", *self._flags)
            return [_of_row(row) for row in rows if not row.reason], []

        # A listing costs a second of CPU time: without a pause it would be the load.
        while not self._over.wait(4 * self._pause):
            self._put("ls", read)

    def _note_processes(self) -> None:
        while not self._over.wait(max(0.2, self._pause / 10)):
            self.processes.note()


def _of_row(row: Row) -> Shown:
    values: dict[str, Value] = {NAME: row.name, STATE: row.state}
    return Shown(id=row.id, name=row.name, engine=row.engine, cgroup=row.cgroup, values=values)


def _shown(page: Page) -> list[Shown]:
    values: dict[str, dict[str, Value]] = {}
    for attribute, metric in _METRICS.items():
        for sample in page.samples.get(metric, []):
            values.setdefault(sample.labels["id"], {})[attribute] = int(sample.value)
    for sample in page.samples.get("tallyman_container_health", []):
        values.setdefault(sample.labels["id"], {})["health"] = sample.labels["health"]
    return [
        Shown(
            id=row.id,
            name=row.name,
            engine=row.engine,
            cgroup="",
            # What has not been killed has no counter once it does not run.
            values={NAME: row.name, STATE: row.state, "OOM kills": 0, **values.get(row.id, {})},
        )
        for row in page.rows()
    ]


def false_sums(page: Page) -> list[str]:
    """Return where a sum by engine, style and state is not that of the containers on the page.

    A container that was removed is shown for a while, and not counted.
    """
    states = {
        s.labels["id"]: s.labels["state"] for s in page.samples.get("tallyman_container_state", [])
    }
    parts: Counter[tuple[str, str, str]] = Counter()
    limits: dict[tuple[str, str], float] = defaultdict(float)
    limit_of = {
        s.labels["id"]: s.value for s in page.samples.get("container_spec_memory_limit_bytes", [])
    }
    for sample in page.samples.get("tallyman_container_info", []):
        labels = sample.labels
        kind = labels["engine"], labels["style"]
        if labels.get("role", "") != "infra":
            parts[*kind, states[labels["id"]]] += 1
        if not labels.get("parent_id"):
            limits[kind] += limit_of.get(labels["id"], 0)
    sums = {
        (s.labels["engine"], s.labels["style"], s.labels["state"]): s.value
        for s in page.samples.get("tallyman_host_containers", [])
    }
    wrong = [
        f"{sums.get(kind, 0):g} containers by tallyman_host_containers{kind}, {parts[kind]} shown"
        for kind in sums.keys() | parts.keys()
        if kind[2] != "dead" and sums.get(kind, 0) != parts[kind]
    ]
    for sample in page.samples.get("tallyman_host_limit_bytes", []):
        kind = sample.labels["engine"], sample.labels["style"]
        # Less where several share the limit of a cgroup above them; the oracle makes none.
        if sample.value > limits[kind]:
            wrong.append(f"{sample.value:g} promised to {kind}, {limits[kind]:g} in parts")
    return wrong
