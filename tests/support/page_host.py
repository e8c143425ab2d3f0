"""A host of plain files with a clock of its own, and the page that it shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families as parse_text

from agent.exposition import Exposition, Options
from agent.model import Container, Snapshot
from collectors.facts import CgroupLayout, CgroupMode, HostFacts, ProcessId, State
from collectors.hostfs import HostFS

if TYPE_CHECKING:
    from pathlib import Path


FULL_ID = "/docker/" + "3f" * 32


LAYOUT = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"})


FACTS = HostFacts(nodename="n", kernel="6.1", boot_id="b", cgroups=LAYOUT, cpus=4, memory_bytes=9)


STAT = "7 (sh) S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 50 0 0 0 0 0 0 0 0 0 0 0 0"


NET = "h\nh\n eth0: 11 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"


Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


class Host:
    """A host of plain files with a clock of its own."""

    def __init__(self, root: Path, options: Options | None = None) -> None:
        for path, text in {
            "proc/7/stat": STAT,
            "proc/7/net/dev": NET,
            "proc/1/net/dev": NET,
            "proc/stat": "cpu  100 0 0 0 0 0 0 0\n",
            "proc/meminfo": "MemTotal: 1000 kB\nMemFree: 100 kB\nInactive(file): 0 kB\n",
            "sys/fs/cgroup/c/cpu.stat": "usage_usec 2500000\nuser_usec 1\nsystem_usec 1\n",
            "sys/fs/cgroup/c/memory.current": "1024\n",
            "sys/fs/cgroup/c/memory.stat": "anon 1\ninactive_file 24\npgfault 5\npgmajfault 1\n",
            "sys/fs/cgroup/c/pids.current": "1\n",
            "sys/fs/cgroup/c/cgroup.procs": "7\n",
        }.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.root = root
        self.now = 1000.0
        host = HostFS(str(root / "proc"), str(root / "sys"), str(root))
        self.exposition = Exposition(host, options, clock=lambda: self.now)

    def show(self, *containers: Container, **more: object) -> Samples:
        snapshot = Snapshot(host=FACTS, containers={c.id: c for c in containers}, as_of=990.0)
        self.exposition.update(replace(snapshot, **more))  # type: ignore[arg-type]
        return self.page()

    def page(self) -> Samples:
        return samples(b"".join(self.exposition.render()))


def samples(page: bytes) -> Samples:
    found: Samples = {}
    for family in parse_text(page.decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            by_labels = found.setdefault(sample.name, {})
            assert labels not in by_labels, f"twice: {sample.name} {labels}"
            by_labels[labels] = sample.value
    return found


def running(**more: object) -> Container:
    made = Container(
        id=FULL_ID,
        engine="docker",
        name="web",
        image="nginx:1",
        state=State.RUNNING,
        init=ProcessId(7, 50),
        cgroup="/c",
        cgroups={"": "/c"},
        network="own",
        created=900.0,
        started=950.5,
        last_seen=990.0,
    )
    return replace(made, **more)  # type: ignore[arg-type]


BASE = (("id", FULL_ID), ("image", "nginx:1"), ("name", "web"))
