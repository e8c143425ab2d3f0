"""The demo's hosts as time goes by, and the page that each would serve."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import TYPE_CHECKING

from dashboards.demo.cast import EVERYWHERE, MACHINES
from dashboards.demo.containers import container_samples
from dashboards.demo.life import Life, hash_of
from dashboards.demo.page import Page
from dashboards.demo.roster import HOUR, JOB_EVERY, Actor, Machine, job

if TYPE_CHECKING:
    from collections.abc import Iterator

Sums = dict[tuple[tuple[str, str], ...], float]
"""Number by labels."""
_JOBS_RUN_ON = "harbour-2:10060"
_OUTSIDE_CORES = 0.35
_OUTSIDE_MEMORY = 0.06
"""What runs in no container: CPUs, and share of the memory."""


class World:
    """All hosts. ``end`` is the end of the history, since the epoch; times count from it."""

    def __init__(self, end: float, begin: float = -6 * HOUR) -> None:
        self.end = end
        self.begin = begin
        self._next_job = 0
        self._hosts = {m.instance: Host(m, begin) for m in MACHINES}

    def advance(self, at: float, step: float) -> None:
        """Let time go by; a CI job starts now and then."""
        while (start := self.begin + self._next_job * JOB_EVERY) <= at:
            self._hosts[_JOBS_RUN_ON].hire(job(self._next_job, start))
            self._next_job += 1
        for host in self._hosts.values():
            host.advance(at, step)

    def pages(self, at: float, step: float) -> Iterator[tuple[str, Page | None]]:
        """Return each host's page; None of one that does not answer."""
        for instance, host in self._hosts.items():
            down = host.machine.down
            silent = down is not None and down[0] <= at < down[1]
            yield instance, None if silent else host.page(at, self.end, step)


class Host:
    """One host and those on it."""

    def __init__(self, machine: Machine, begin: float) -> None:
        self.machine = machine
        self._begin = begin
        self._denied = 0.0
        self._work = 0.0
        self._busy = 0.0
        self._cpu = 0.0
        self._scrapes = 0
        self._lives: list[Life] = []
        for actor in machine.actors:
            self.hire(actor)

    def hire(self, actor: Actor) -> None:
        """Take a container in."""
        self._lives.append(Life(actor=actor, chance=random.Random(actor.id)))  # noqa: S311

    def advance(self, at: float, step: float) -> None:
        """Let time go by."""
        self._lives = [life for life in self._lives if life.shown(at) or life.actor.created > at]
        for life in self._lives:
            life.advance(at, step)
            self._busy += life.cores * step if life.alive(at) else 0
        self._busy += self._outside_cores(at) * step
        since = self.machine.denied_since
        if since is not None and at >= since:
            self._denied += step * 0.4
        self._scrapes += 1
        self._work += 0.0006 * len(self._lives)
        self._cpu += step * (0.001 + 0.00004 * len(self._lives))

    def page(self, at: float, end: float, step: float) -> Page:
        """Return what its agent would serve."""
        page = Page()
        shown = [life for life in self._lives if life.shown(at)]
        for life in shown:
            container_samples(page, life, at, end, step)
        self._density(page, shown, at)
        self._machine(page, shown, at)
        self._agent(page, shown, at, end)
        return page

    def _density(self, page: Page, shown: list[Life], at: float) -> None:
        for name, sums in _sums(shown, at).items():
            for labels, value in sums.items():
                page.add(name, value, **dict(labels))
        page.add("tallyman_host_memory_bytes", self._outside_memory(), style="none")
        page.add("tallyman_host_cores", self._outside_cores(at), style="none")

    def _outside_memory(self) -> float:
        return self.machine.memory * _OUTSIDE_MEMORY

    def _outside_cores(self, at: float) -> float:
        return _OUTSIDE_CORES * (1.2 + math.sin(at / 1300 + hash_of(self.machine.instance)))

    def _machine(self, page: Page, shown: list[Life], at: float) -> None:
        machine = self.machine
        boot = f"{machine.instance}-boot"
        page.add(
            "tallyman_host_info", 1, nodename=machine.instance.partition(":")[0],
            kernel=machine.kernel, cgroup_mode=machine.cgroup_mode,
            virtualization=machine.virtualization, boot_id=boot,
        )  # fmt: skip
        page.add("machine_cpu_cores", machine.cores, boot_id=boot)
        page.add("machine_memory_bytes", machine.memory, boot_id=boot)
        page.add("machine_swap_bytes", machine.memory // 8, boot_id=boot)
        alive = [life for life in shown if life.alive(at)]
        age = at - self._begin
        page.add("container_cpu_usage_seconds_total", self._busy, id="/", cpu="total")
        memory = sum(life.memory for life in alive) + self._outside_memory()
        page.add("container_memory_working_set_bytes", memory, id="/")
        page.add("container_memory_usage_bytes", memory * 1.2, id="/")
        for device, share in (("/dev/vda", 0.8), ("/dev/vdb", 0.2)):
            octets = age * 900_000 * share
            page.add("container_fs_reads_bytes_total", octets, id="/", device=device)
            page.add("container_fs_writes_bytes_total", octets * 2, id="/", device=device)
            space = machine.memory * 20 * share
            page.add("container_fs_limit_bytes", space, id="/", device=device)
            page.add("container_fs_usage_bytes", space * (0.5 + share / 5), id="/", device=device)
            busy = age * (0.12 + 0.04 * share)
            page.add("container_fs_io_time_seconds_total", busy, id="/", device=device)
        for direction in ("receive", "transmit"):
            name = f"container_network_{direction}_bytes_total"
            page.add(name, age * 2.4e6, id="/", interface="eth0")
        if machine.pressure:
            for resource, share in (("cpu", 0.03), ("memory", 0.002), ("io", 0.012)):
                name = f"container_pressure_{resource}"
                page.add(f"{name}_waiting_seconds_total", age * share, id="/")
                page.add(f"{name}_stalled_seconds_total", age * share * 0.3, id="/")

    def _agent(self, page: Page, shown: list[Life], at: float, end: float) -> None:
        machine = self.machine
        page.add("tallyman_build_info", 1, version="0.1.0", python="3.11.2")
        page.add("tallyman_inventory_complete", 1)
        shift = 7 * hash_of(machine.instance)
        page.add("tallyman_inventory_age_seconds", 4 + 3 * math.sin(at / 300 + shift))
        page.add("tallyman_event_lag_seconds", 0.08 + 0.05 * math.sin(at / 700 + shift))
        page.add("tallyman_dropped_containers", 0)
        page.add("tallyman_dropped_series", 0)
        for index, name in enumerate(machine.collectors):
            failing = machine.collector_failing
            fails = failing is not None and failing[0] == name and failing[1] <= at < failing[2]
            last = failing[1] if fails and failing is not None else at - 5
            engine = [life for life in shown if name in (life.actor.engine, *EVERYWHERE)]
            took = 0.012 + 0.004 * index + 0.0004 * len(engine) + (2 if fails else 0)
            page.add("tallyman_collector_success", not fails, collector=name)
            page.add("tallyman_collector_duration_seconds", took, collector=name)
            name_of_last = "tallyman_collector_last_success_timestamp_seconds"
            page.add(name_of_last, end + last, collector=name)
            page.add("tallyman_collector_containers", len(engine), collector=name)
            denied = self._denied if name == "evidence" else 0
            page.add("tallyman_collector_denied_total", denied, collector=name)
            page.add("tallyman_collector_malformed_total", 0, collector=name)
        page.add("tallyman_scrapes_total", self._scrapes)
        for phase, share in (("read", 0.6), ("encode", 0.3), ("compress", 0.1)):
            page.add("tallyman_scrape_seconds_total", self._work * share, phase=phase)
        page.add("tallyman_kept_descriptors", len(shown) * 10)
        page.add("tallyman_kept_descriptors_limit", 10_000)
        for process, cpu, memory in (("serve", 0.6, 34), ("scout", 0.4, 41)):
            page.add("tallyman_process_cpu_seconds_total", self._cpu * cpu, process=process)
            resident = (memory + 0.02 * len(shown)) * (1 << 20)
            page.add("tallyman_process_resident_memory_bytes", resident, process=process)
        down = machine.down
        started = down[1] if down is not None and at >= down[1] else -9 * 86400.0
        page.add("process_start_time_seconds", end + started)
        page.add("process_open_fds", 40 + len(shown) * 10)
        page.add("process_max_fds", 20_000)


def _sums(shown: list[Life], at: float) -> dict[str, Sums]:
    """Add up by engine and style: number by labels, by name."""
    sums: dict[str, Sums] = defaultdict(lambda: defaultdict(float))
    for life in shown:
        actor, alive = life.actor, life.alive(at)
        kind = (("engine", actor.engine), ("style", life.style(at)))
        if actor.role != "infra":
            stopped = "exited" if actor.state == "running" else actor.state
            state = ("state", "running" if alive else stopped)
            sums["tallyman_host_containers"][*kind, state] += 1
        if actor.openvz:
            sums["tallyman_host_limit_disk_bytes"][kind] += actor.openvz.disk_bytes
        if not alive:
            continue
        sums["tallyman_host_memory_bytes"][kind] += life.memory
        sums["tallyman_host_cores"][kind] += life.cores
        for name, limit, resource in (
            ("tallyman_host_limit_bytes", actor.memory_limit, "memory"),
            ("tallyman_host_limit_cores", actor.quota, "cpu"),
        ):
            if limit:
                sums[name][kind] += limit
            else:
                sums["tallyman_host_unlimited_containers"][("resource", resource), *kind] += 1
    return sums
