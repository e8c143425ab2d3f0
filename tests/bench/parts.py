"""Measures a scrape part by part, in a separate process, and the floor of the same files.

The floor is the cost of bare preads of the files that a scrape has just read: cgroup files through
open descriptors, ``net/dev`` opened, read and closed. The parts are measured in turns, so that a
busy machine slows all of them alike; the median counts.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.exposition import Exposition, Options, compressed
from agent.exposition.rows import Row
from agent.metrics import DEFAULT_GROUPS
from agent.model import Axis, Container, Snapshot, Style, Verdict
from collectors.facts import ImageFacts, ProcessId, State
from collectors.hostfs import HostFS
from collectors.kernel.cgroups import parse_cgroup
from collectors.kernel.counters import CounterReader
from collectors.kernel.counters.calls import RELEASES_GIL, Calls
from collectors.kernel.counters.devices import Devices
from collectors.kernel.counters.model import Draft
from collectors.kernel.counters.sources import sources
from collectors.kernel.host import read_host_facts
from collectors.kernel.limits import read_limits
from collectors.kernel.processes import parse_stat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from collectors.facts import HostFacts
    from collectors.kernel.counters import Target

    Parse = Callable[[], None]

ROUNDS = 15


class Read(NamedTuple):
    """One read of a quiet scrape: a file that stays open, or one below a kept directory."""

    path: str
    directory: str = ""


def describe(host: HostFS, facts: HostFacts, container_id: str, pid: int) -> Container:
    """Return the container of a process as the scout would send it, with every field filled."""
    cgroups = parse_cgroup(host.proc.read(f"{pid}/cgroup"))
    stat = parse_stat(host.proc.read(f"{pid}/stat"))
    assert stat is not None
    return Container(
        id=f"/docker/{container_id}",
        engine="docker",
        name=f"load-{container_id[:12]}",
        image="docker.io/library/busybox:latest",
        state=State.RUNNING,
        init=ProcessId(pid, stat.start_ticks),
        cgroup=f"/docker/{container_id}",
        cgroups=cgroups,
        network="own",
        created=1.7e9,
        started=1.7e9,
        limits=read_limits(host, facts, cgroups),
        verdict=Verdict(
            style=Style.APP,
            score=-0.75,
            confidence=0.9,
            axes=dict.fromkeys(Axis, -0.5),
            services=1,
            users=1,
            sessions=0,
        ),
        listeners=0,
        restarts=0,
        image_facts=ImageFacts(id="sha256:" + "a" * 64, size_bytes=2_000_000, created=1.6e9),
        writable_layer_bytes=0,
    )


class Recorder:
    """Reads as the agent does, and records what it read in the last round."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.contents: dict[str, bytes] = {}

    @property
    def calls(self) -> Calls:
        """The wrapped way to read."""
        return RELEASES_GIL._replace(pread=self._pread, open=self._open)

    def _pread(self, fd: int) -> bytes:
        path = os.readlink(f"/proc/self/fd/{fd}")
        self.reads.append(Read(path))
        self.contents[path] = RELEASES_GIL.pread(fd)
        return self.contents[path]

    def _open(self, path: str, directory: int) -> int:
        self.reads.append(Read(path, os.readlink(f"/proc/self/fd/{directory}")))
        return RELEASES_GIL.open(path, directory)


def recorded(host: HostFS, facts: HostFacts, targets: Sequence[Target]) -> Recorder:
    """Return what a quiet scrape of these containers reads."""
    recorder = Recorder()
    ways = (recorder.calls, recorder.calls)
    reader = CounterReader(host, facts.cgroups, DEFAULT_GROUPS, ways=ways)
    # A reader with as many descriptors as it needs: the floor is that of files that stay open.
    reader.descriptor_limit = 1 << 30
    reader.update(targets)
    for _ in range(2):
        reader.read()
    recorder.reads.clear()
    reader.read()
    reader.close()
    return recorder


def parser(facts: HostFacts, targets: Sequence[Target], contents: Mapping[str, bytes]) -> Parse:
    """Return a function that parses every file of every container, as if all had changed."""
    devices = Devices(HostFS().sys)
    work = []
    for target in targets:
        controllers = target.cgroups.keys() & facts.cgroups.hierarchies.keys()
        for source in sources(controllers, DEFAULT_GROUPS, quota=target.quota):
            where = facts.cgroups.hierarchies[source.controller] + target.cgroups[source.controller]
            raw = contents.get(f"/sys/{where}/{source.file}")
            if raw is not None:
                work.append((source.parse, raw))
    draft = Draft()

    def parse_all() -> None:
        for parse, raw in work:
            parse(raw, draft.scalars, draft.tables, devices)

    return parse_all


class Floor:
    """The bare reads, as fast as Python can issue them."""

    def __init__(self, reads: Iterable[Read]) -> None:
        self._files = [
            (os.open(read.directory, os.O_PATH), read.path)
            if read.directory
            else (os.open(read.path, os.O_RDONLY), "")
            for read in reads
        ]

    def __call__(self) -> None:
        """Read everything once."""
        pread, open_at, read, close = os.pread, os.open, os.read, os.close
        for fd, path in self._files:
            if path:
                opened = open_at(path, os.O_RDONLY, dir_fd=fd)
                read(opened, 65536)
                close(opened)
            else:
                pread(fd, 65536, 0)


def cpu_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds, user and system, that this thread spends on a call."""
    before = time.thread_time()
    work()
    return time.thread_time() - before


def measure(host: HostFS, containers: Sequence[Container], facts: HostFacts) -> dict[str, float]:
    """Return microseconds of CPU per container and scrape by part, and figures of the page."""
    options = Options()
    targets = [target for c in containers if (target := Row(c, options).target) is not None]
    recorder = recorded(host, facts, targets)
    floor = Floor(recorder.reads)
    exposition = Exposition(host, options)
    exposition.update(
        Snapshot(host=facts, containers={c.id: c for c in containers}, complete=True, as_of=1.0)
    )
    for _ in range(2):
        sum(map(len, exposition.render()))
    page = b"".join(exposition.render())
    families = list(
        text_string_to_metric_families(page[: 1 << 20].rpartition(b"\n# HELP")[0].decode())
    )
    registry = _Registry(families)
    samples = sum(len(family.samples) for family in families)
    pages: list[Iterator[bytes]] = []
    work: dict[str, Callable[[], object]] = {
        "floor": floor,
        "read": lambda: pages.append(exposition.render()),
        "parse": parser(facts, targets, recorder.contents),
        "encode": lambda: sum(map(len, pages.pop())),
        "gzip": lambda: sum(map(len, compressed([page]))),
        "prometheus_client": lambda: generate_latest(registry),
    }
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, part in work.items():
            taken[name].append(cpu_of(part))
    count = len(containers)
    found = {name: statistics.median(t) / count * 1e6 for name, t in taken.items()}
    series = page.count(b"\n") - page.count(b"\n#")
    found["prometheus_client"] *= count / samples * series / count
    return found | {
        "containers": count,
        "reads": len(recorder.reads) / count,
        "series": series / count,
        "page_bytes": len(page),
        "gzip_bytes": sum(map(len, compressed([page]))),
        "total": found["read"] + found["encode"] + found["gzip"],
    }


class _Registry:
    """Input for prometheus-client's encoder: some families of the same page."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def main() -> None:
    """Measure the containers listed on standard input, one ``id pid`` a line; print JSON."""
    host = HostFS()
    facts = read_host_facts(host)
    containers = [
        describe(host, facts, container_id, int(pid))
        for container_id, pid in (line.split() for line in sys.stdin)
    ]
    sys.stdout.write(json.dumps(measure(host, containers, facts)) + "\n")


if __name__ == "__main__":
    main()
