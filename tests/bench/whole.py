"""Measures the whole agent: all its processes, over HTTP, as Prometheus uses it."""

from __future__ import annotations

import gzip
import http.client
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tests.bench.load import CGROUPS
from tests.engines.harness.agent import TALLYMAN, Agent, free_port
from tests.engines.harness.programs import Daemon, workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.load import Loader

_TICKS = os.sysconf("SC_CLK_TCK")
_INTERVAL = 15.0
_SCRAPES = 10
_QUIET = 30.0
_GROWN = 65.0
"""Seconds after which a container is no longer young, and the agent stops reading it often."""


class Cpu(NamedTuple):
    """CPU seconds of several processes."""

    user: float
    system: float

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.user - other.user, self.system - other.system)

    @property
    def total(self) -> float:
        return self.user + self.system


def processes_of(pid: int) -> list[int]:
    """Return a process and its descendants: the launcher, serve and the scout."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def cpu_of(pids: Sequence[int]) -> Cpu:
    """Return the CPU time that these processes have used so far."""
    user = system = 0.0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11]) / _TICKS
            system += int(fields[12]) / _TICKS
    return Cpu(user, system)


def memory_of(pids: Sequence[int]) -> int:
    """Return the total proportional set size of these processes, in bytes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) << 10
    return total


class Scrape(NamedTuple):
    """One scrape as Prometheus makes it."""

    seconds: float
    body: bytes
    wire_bytes: int


def scrape(port: int, path: str = "/metrics") -> Scrape:
    """Scrape once, compressed, and unpack outside the measured time."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        data = answer.read()
        seconds = time.perf_counter() - started
        packed = answer.getheader("Content-Encoding") == "gzip"
    finally:
        connection.close()
    return Scrape(seconds, gzip.decompress(data) if packed else data, len(data))


@dataclass(kw_only=True)
class Result:
    """The measurements of one program with one number of containers; None: not measured."""

    program: str
    containers: int
    complete_seconds: float | None = None
    scrape_seconds: float
    worst_seconds: float
    scrape_cpu: Cpu
    """CPU seconds of all its processes for one scrape."""
    idle_percent: float | None = None
    """CPU between scrapes, in percent of one core."""
    pss_bytes: int
    page_bytes: int
    wire_bytes: int
    lag_seconds: tuple[float, ...] = ()
    busy_seconds: float | None = None
    """Median of scrapes while a new scout reads everything and 20 containers start each second."""

    @property
    def percent(self) -> float | None:
        """Total CPU at one scrape each 15 s, in percent of one core."""
        if self.idle_percent is None:
            return None
        return self.idle_percent + self.scrape_cpu.total / _INTERVAL * 100


@dataclass(kw_only=True)
class Containers:
    """The containers to measure with."""

    ids: list[str]
    more: Callable[[], str]
    """Starts one more and returns its id."""
    since: float = field(default_factory=time.monotonic)
    """When the last one was started."""

    @classmethod
    def of(cls, loader: Loader) -> Containers:
        """Return the containers of a load."""
        return cls(ids=[one.id for one in loader.containers], more=lambda: loader.more(1)[0].id)


def measure(
    agent: Agent, on: Containers, started: float, *, idle: bool = True, live: bool = True
) -> Result:
    """Measure an agent that was started at ``started``.

    With ``idle`` also at rest, with ``live`` also the delay of new containers and busy scrapes.
    """
    agent.wait_ready(seconds=120)
    complete = time.monotonic() - started
    wait_for_all(agent.port, on.ids)
    if idle:
        time.sleep(max(5.0, on.since + _GROWN - time.monotonic()))
    count = len(on.ids)
    found = _measure("tallyman", agent.port, processes_of(agent.pid), count, idle=idle)
    found.complete_seconds = complete
    if live:
        found.lag_seconds = tuple(lag(agent.port, on) for _ in range(5))
        found.busy_seconds = _busy(agent, on)
    return found


def measure_rival(command: Path, on: Containers) -> Result:
    """Measure cgroups-exporter in the same way; it reads each 15 s in the background."""
    port = free_port()
    with workplace("rival") as place:
        daemon = Daemon(
            command,
            "--metrics-address=127.0.0.1",
            f"--metrics-port={port}",
            "--collector-delay=1",
            "--cgroups-path",
            f"{CGROUPS}/*/docker/*",  # the load's parent cgroup, in every hierarchy
            log=place / "log",
        )
        try:
            daemon.wait_for(lambda: _listens(port), "cgroups-exporter to listen", 60)
            time.sleep(_INTERVAL + 5)
            pids = processes_of(daemon.pid)
            return _measure("cgroups-exporter", port, pids, len(on.ids))
        finally:
            daemon.stop()


def _measure(
    program: str, port: int, pids: Sequence[int], containers: int, *, idle: bool = True
) -> Result:
    """Measure successive scrapes, and then the CPU use between scrapes."""
    scrape(port)
    before = cpu_of(pids)
    scrapes = [scrape(port) for _ in range(_SCRAPES)]
    spent = cpu_of(pids) - before
    found = Result(
        program=program,
        containers=containers,
        scrape_seconds=statistics.median(one.seconds for one in scrapes),
        worst_seconds=max(one.seconds for one in scrapes),
        scrape_cpu=Cpu(spent.user / _SCRAPES, spent.system / _SCRAPES),
        pss_bytes=memory_of(pids),
        page_bytes=len(scrapes[-1].body),
        wire_bytes=scrapes[-1].wire_bytes,
    )
    if idle:
        before, since = cpu_of(pids), time.monotonic()
        time.sleep(_QUIET)
        found.idle_percent = (cpu_of(pids) - before).total / (time.monotonic() - since) * 100
    return found


def wait_for_all(port: int, ids: Sequence[str]) -> None:
    """Wait until all containers are on the page."""
    for _ in range(120):
        page = scrape(port).body
        if all(one.encode() in page for one in ids):
            return
        time.sleep(1)
    raise TimeoutError("not all containers are on the page after two minutes")


def lag(port: int, on: Containers) -> float:
    """Start a container and return the time until a scrape shows it."""
    new = on.more()
    since = time.monotonic()
    while new.encode() not in scrape(port).body:
        if time.monotonic() - since > 60:
            raise TimeoutError("a new container is not on the page after a minute")
        time.sleep(0.02)
    return time.monotonic() - since


def _busy(agent: Agent, on: Containers) -> float:
    """Scrape each half second while 20 containers are started each second, for 10 seconds.

    SIGHUP makes the agent start a new scout meanwhile, which reads everything from scratch.
    """
    ending = threading.Event()

    def starting() -> None:
        while not ending.wait(0.05):
            on.more()

    starter = threading.Thread(target=starting)
    starter.start()
    try:
        taken = []
        for turn in range(20):
            if turn in (2, 10):
                os.kill(agent.pid, signal.SIGHUP)
            taken.append(scrape(agent.port).seconds)
            time.sleep(0.5)
    finally:
        ending.set()
        starter.join()
    return statistics.median(taken)


def _listens(port: int) -> bool:
    try:
        scrape(port)
    except OSError:
        return False
    return True


@contextmanager
def tallyman(*flags: str, descriptors: int | None = None) -> Iterator[Agent]:
    """Run the agent as it is installed, with few descriptors if asked to."""
    # As pip does; otherwise Python compiles each module again where it may not write bytecode.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "agent", "collectors"], check=True)
    prefix: tuple[str, ...] = ()
    if descriptors is not None:
        prefix = ("prlimit", f"--nofile={descriptors}:{descriptors}")
    with workplace("bench") as place:
        agent = Agent(place, *flags, command=(*prefix, TALLYMAN))
        try:
            yield agent
        finally:
            agent.daemon.stop()
