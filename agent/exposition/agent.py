"""Samples about the agent itself and about the machine."""

from __future__ import annotations

import os
import platform
import resource
from typing import TYPE_CHECKING

import psutil

from agent import __version__
from agent.exposition.samples import Sample, beancounter_samples, filesystem_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.model import CollectorHealth, Snapshot
    from collectors.facts import HostFacts


def machine_samples(host: HostFacts) -> Iterator[Sample]:
    """Return the samples about the machine."""
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
    """Return how complete and how old the inventory is, and the health of its collectors."""
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
    for (engine, instance), runs in health.daemons.items():
        yield Sample(
            "tallyman_engine_up", runs, (("engine", engine), ("engine_instance", instance))
        )


def process_samples(processes: Mapping[str, int]) -> Iterator[Sample]:
    """Return CPU time and memory of the agent's processes; ``processes`` are pids by name."""
    for name, pid in processes.items():
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
                started = process.create_time()
        except psutil.Error:
            continue
        cpu = times.user + times.system
        labels = (("process", name),)
        yield Sample("tallyman_process_cpu_seconds_total", cpu, labels)
        yield Sample("tallyman_process_resident_memory_bytes", memory.rss, labels)
        if pid == os.getpid():
            yield Sample("process_cpu_seconds_total", cpu)
            yield Sample("process_resident_memory_bytes", memory.rss)
            yield Sample("process_virtual_memory_bytes", memory.vms)
            yield Sample("process_start_time_seconds", started)
            # Linux 6.2 and newer report the count as the size; listing ten thousand takes 5 ms.
            open_fds = os.stat("/proc/self/fd").st_size or process.num_fds()
            yield Sample("process_open_fds", open_fds)
    yield Sample("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
