"""What the whole agent costs: both processes, over HTTP, as Prometheus meets it."""

from __future__ import annotations

import gzip
import http.client
import os
import statistics
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.engines.harness.agent import TALLYMAN, Agent, free_port
from tests.engines.harness.programs import Daemon, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.load import Loader

_TICKS = os.sysconf("SC_CLK_TCK")
_INTERVAL = 15.0
_SCRAPES = 10
_QUIET = 30.0
_SETTLE = 20.0


class Cpu(NamedTuple):
    """CPU seconds of some processes."""

    user: float
    system: float

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.user - other.user, self.system - other.system)

    @property
    def total(self) -> float:
        return self.user + self.system


def processes_of(pid: int) -> list[int]:
    """Give a process and its children: serve and the scout."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            children += (thread / "children").read_text().split()
    return [pid, *sorted({int(child) for child in children})]


def cpu_of(pids: Sequence[int]) -> Cpu:
    """Give the CPU time that processes have spent so far."""
    user = system = 0.0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11]) / _TICKS
            system += int(fields[12]) / _TICKS
    return Cpu(user, system)


def memory_of(pids: Sequence[int]) -> int:
    """Give the proportional set size of processes together, in bytes."""
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
    """Scrape once, compressed, and unpack after the clock has been stopped."""
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
    """What was measured of one program at one number of containers; None: not measured."""

    program: str
    containers: int
    complete_seconds: float | None = None
    scrape_seconds: float
    worst_seconds: float
    scrape_cpu: Cpu
    """CPU seconds of all its processes for one scrape."""
    idle_percent: float
    """CPU between scrapes, in percent of one core."""
    percent: float
    """CPU in all at one scrape each 15 s, in percent of one core."""
    pss_bytes: int
    page_bytes: int
    wire_bytes: int
    lag_seconds: tuple[float, ...] = ()
    busy_seconds: float | None = None
    """Median of scrapes during full reconciliations, with 20 containers started each second."""


def measure(agent: Agent, loader: Loader, started: float, *, live: bool) -> Result:
    """Measure an agent that was started at ``started``, and with ``live`` also what is new."""
    agent.wait_ready(seconds=120)
    complete = time.monotonic() - started
    wait_for_all(agent.port, loader)
    pids = processes_of(agent.pid)
    result = _measure("tallyman", agent.port, pids, len(loader.containers))
    result.complete_seconds = complete
    if live:
        result.lag_seconds = tuple(lag(agent.port, loader) for _ in range(5))
        result.busy_seconds = _busy(agent.port, loader)
    return result


def measure_rival(command: Path, loader: Loader) -> Result:
    """Measure cgroups-exporter, which reads each 15 s in the background, in the same way."""
    port = free_port()
    with workplace("rival") as place:
        daemon = Daemon(
            command,
            "--metrics-address=127.0.0.1",
            f"--metrics-port={port}",
            "--collector-delay=1",
            "--cgroups-path",
            "docker/*",
            log=place / "log",
        )
        try:
            daemon.wait_for(lambda: _listens(port), "cgroups-exporter to listen", 60)
            time.sleep(_INTERVAL + 5)
            pids = processes_of(daemon.pid)
            return _measure("cgroups-exporter", port, pids, len(loader.containers))
        finally:
            daemon.stop()


def _measure(program: str, port: int, pids: Sequence[int], containers: int) -> Result:
    """Measure scrapes one after another, then the time between them, then the usual rhythm."""
    scrape(port)
    before = cpu_of(pids)
    scrapes = [scrape(port) for _ in range(_SCRAPES)]
    spent = cpu_of(pids) - before
    before, since = cpu_of(pids), time.monotonic()
    time.sleep(_QUIET)
    idle = (cpu_of(pids) - before).total / (time.monotonic() - since)
    before, since = cpu_of(pids), time.monotonic()
    for _ in range(3):
        scrape(port)
        time.sleep(_INTERVAL)
    usual = (cpu_of(pids) - before).total / (time.monotonic() - since)
    return Result(
        program=program,
        containers=containers,
        scrape_seconds=statistics.median(one.seconds for one in scrapes),
        worst_seconds=max(one.seconds for one in scrapes),
        scrape_cpu=Cpu(spent.user / _SCRAPES, spent.system / _SCRAPES),
        idle_percent=idle * 100,
        percent=usual * 100,
        pss_bytes=memory_of(pids),
        page_bytes=len(scrapes[-1].body),
        wire_bytes=scrapes[-1].wire_bytes,
    )


def wait_for_all(port: int, loader: Loader) -> None:
    """Wait until all containers are on the page, judged, and the agent has come to rest."""
    for _ in range(120):
        page = scrape(port).body
        if all(one.id.encode() in page for one in loader.containers):
            break
        time.sleep(1)
    time.sleep(_SETTLE)


def lag(port: int, loader: Loader) -> float:
    """Start a container and give the time until a scrape shows it."""
    (new,) = loader.more(1)
    since = time.monotonic()
    while new.id.encode() not in scrape(port).body:
        time.sleep(0.02)
    return time.monotonic() - since


def _busy(port: int, loader: Loader) -> float:
    """Scrape each half second while 20 containers are started each second, for 10 seconds."""
    ending = threading.Event()

    def starting() -> None:
        while not ending.wait(0.05):
            loader.more(1)

    starter = threading.Thread(target=starting)
    starter.start()
    try:
        taken = []
        for _ in range(20):
            taken.append(scrape(port).seconds)
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
    prefix: tuple[str, ...] = ()
    if descriptors is not None:
        prefix = ("prlimit", f"--nofile={descriptors}:{descriptors}")
    with workplace("bench") as place:
        agent = Agent(place, *flags, command=(*prefix, TALLYMAN))
        try:
            yield agent
        finally:
            agent.daemon.stop()
