"""What the agent says of itself, and of the machine, on each page."""

from __future__ import annotations

import os
import platform
import resource
from typing import TYPE_CHECKING

from agent import __version__
from agent.exposition.samples import Sample, beancounter_samples, filesystem_samples
from collectors.hostfs import HostReadError
from collectors.kernel.processes import parse_stat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.model import CollectorHealth, Snapshot
    from collectors.facts import HostFacts
    from collectors.hostfs import Dir

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


def machine_samples(host: HostFacts) -> Iterator[Sample]:
    """Give what the machine is."""
    yield Sample(
        "tallyman_host_info",
        1,
        (
            ("nodename", host.nodename),
            ("kernel", host.kernel),
            ("cgroup_mode", host.cgroups.mode),
            ("virtualization", host.virtualization),
            ("boot_id", host.boot_id),
        ),
    )
    labels = (
        ("boot_id", host.boot_id),
        ("machine_id", host.machine_id),
        ("system_uuid", host.system_uuid),
    )
    for usage in host.filesystems:
        for name, value, more in filesystem_samples(usage):
            yield Sample(name, value, (("id", "/"), *more))
    for counter in host.beancounters:
        for name, value, more in beancounter_samples(counter, whole=False):
            yield Sample(name, value, (("id", "/"), *more))
    yield Sample("machine_cpu_cores", host.cpus, labels)
    if host.memory_bytes is not None:
        yield Sample("machine_memory_bytes", host.memory_bytes, labels)
    if host.swap_bytes is not None:
        yield Sample("machine_swap_bytes", host.swap_bytes, labels)
    yield Sample(
        "cadvisor_version_info",
        1,
        (("kernelVersion", host.kernel), ("cadvisorVersion", f"tallyman-{__version__}")),
    )


def inventory_samples(snapshot: Snapshot, now: float) -> Iterator[Sample]:
    """Say how complete and how old the inventory is, and how its collectors do."""
    labels = (("version", __version__), ("python", platform.python_version()))
    yield Sample("tallyman_build_info", 1, labels)
    yield Sample("tallyman_inventory_complete", snapshot.complete)
    if snapshot.as_of:
        yield Sample("tallyman_inventory_age_seconds", max(0.0, now - snapshot.as_of))
    if snapshot.event_lag_seconds is not None:
        yield Sample("tallyman_event_lag_seconds", snapshot.event_lag_seconds)
    yield Sample("tallyman_dropped_containers", snapshot.dropped)
    for health in snapshot.collectors:
        yield from _collector(health)


def _collector(health: CollectorHealth) -> Iterator[Sample]:
    labels = (("collector", health.name),)
    yield Sample("tallyman_collector_success", health.success, labels)
    yield Sample("tallyman_collector_duration_seconds", health.duration_seconds, labels)
    if health.last_success is not None:
        name = "tallyman_collector_last_success_timestamp_seconds"
        yield Sample(name, health.last_success, labels)
    yield Sample("tallyman_collector_containers", health.containers, labels)
    yield Sample("tallyman_collector_denied_total", health.denied, labels)
    yield Sample("tallyman_collector_malformed_total", health.malformed, labels)


def process_samples(proc: Dir, processes: Mapping[str, int], boot_time: float) -> Iterator[Sample]:
    """Give CPU time and memory of the agent's processes, by what they are called.

    ``proc`` is the /proc of the agent's own pid namespace, whatever --path.procfs says.
    """
    for name, pid in processes.items():
        labels = (("process", name),)
        try:
            directory = proc.open_dir(str(pid))
        except HostReadError:
            continue
        with directory:
            try:
                stat = directory.read("stat", 4096)
                memory = directory.read("statm", 4096).split()
            except HostReadError:
                continue
            fields = parse_stat(stat)
            if fields is None or len(memory) < 2:
                continue
            ticks = stat.rpartition(b")")[2].split()[11:13]
            cpu = sum(map(int, ticks)) / _TICKS
            resident = int(memory[1]) * _PAGE
            yield Sample("tallyman_process_cpu_seconds_total", cpu, labels)
            yield Sample("tallyman_process_resident_memory_bytes", resident, labels)
            if pid == os.getpid():
                yield Sample("process_cpu_seconds_total", cpu)
                yield Sample("process_resident_memory_bytes", resident)
                yield Sample("process_virtual_memory_bytes", int(memory[0]) * _PAGE)
                if boot_time:
                    start = boot_time + fields.start_ticks / _TICKS
                    yield Sample("process_start_time_seconds", start)
                # Linux 6.2 and newer give the count as the size; ten thousand names take 5 ms.
                open_fds = directory.stat("fd").st_size or len(directory.listdir("fd"))
                yield Sample("process_open_fds", open_fds)
    yield Sample("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
