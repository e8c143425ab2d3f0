"""``make bench``: what the agent costs on this machine, as a table in docs/.

Needs root and Debian's busybox-static. Compare only the ratios to the floor of the same run:
seconds depend on the machine and its other load.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.load import BUSYBOX, load
from tests.bench.report import Report
from tests.bench.whole import Containers, measure, measure_rival, tallyman
from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.made import unique

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.engines.harness.made import Made

CLONE = Path(__file__).parents[2]
PAGE = CLONE / "docs/benchmark.md"
RIVAL = CLONE / ".cache/bench/rival"


def parts(containers: Iterable[tuple[str, int]]) -> dict[str, float]:
    """Measure the parts of a scrape in a separate process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.parts"],
        input="".join(f"{container_id} {pid}\n" for container_id, pid in containers),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=CLONE,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rival() -> Path | None:
    """Install cgroups-exporter once, for comparison; None where that is not possible."""
    command = RIVAL / "bin/cgroups-exporter"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", RIVAL], check=True)
        install: list[str | Path] = [
            RIVAL / "bin/pip",
            "install",
            "--quiet",
            "cgroups-exporter",
            "argclass==1.0.3",
        ]
        if subprocess.run(install, check=False).returncode:
            return None
    return command


def on_load(count: int, report: Report, *, with_rival: bool) -> None:
    """Measure everything with this number of load containers."""
    say(f"{count} containers of the load")
    with load(count) as loader:
        on = Containers.of(loader)
        report.parts.append(parts(loader.containers))
        with tallyman() as agent:
            report.whole.append(measure(agent, on, time.monotonic()))
    if count not in (100, 1000):
        return
    with load(count) as loader:
        on = Containers.of(loader)
        say(f"{count} containers and 1,024 descriptors")
        with tallyman(descriptors=1024) as agent:
            found = measure(agent, on, time.monotonic(), idle=False)
        report.whole.append(replace(found, program="tallyman, ulimit -n 1024"))
        command = rival() if with_rival else None
        if command is not None:
            say(f"{count} containers and cgroups-exporter")
            on = Containers.of(loader)
            report.whole.append(measure_rival(command, on))


def on_docker(count: int, report: Report) -> None:
    """Measure everything with real Docker containers."""
    say(f"{count} containers of a real Docker")
    with docker_daemon(own_network=True) as docker:
        image = docker.busybox()

        def start(_: int = 0) -> Made:
            return docker.run(image, "sleep", "86400", name=unique("bench"))

        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(start, range(count)))
        report.docker.append(parts([(one.handle, one.pid) for one in made if one.pid]))
        on = Containers(ids=[one.handle for one in made], more=lambda: start().handle)
        with tallyman(f"--collector.docker.host={docker.endpoint}") as agent:
            found = measure(agent, on, time.monotonic())
        report.whole.append(replace(found, program="tallyman, Docker"))


def say(what: str) -> None:
    """Print progress, because the run takes many minutes."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {what}\n")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[1, 100, 500, 1000])
    parser.add_argument("--docker", type=int, default=65, metavar="N")
    parser.add_argument("--no-rival", action="store_true", help="without cgroups-exporter")
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    if os.geteuid() != 0 or not BUSYBOX.exists():
        sys.stderr.write("the benchmark needs root, and /bin/busybox (Debian: busybox-static)\n")
        return 2
    report = Report(machine=machine(), date=f"{datetime.now(UTC):%Y-%m-%d}")
    for count in options.counts:
        on_load(count, report, with_rival=not options.no_rival)
    if options.docker:
        on_docker(options.docker, report)
    options.output.write_text(report.page())
    sys.stdout.write(report.page())
    return 0


def machine() -> str:
    """Describe the machine."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 20
    hybrid = Path("/sys/fs/cgroup/unified").exists()
    v2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    cgroups = "v2" if v2 else "hybrid v1" if hybrid else "v1"
    return (
        f"{os.cpu_count()} CPUs ({cpu}), {memory} GiB, Linux {platform.release()}, "
        f"cgroup {cgroups}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
