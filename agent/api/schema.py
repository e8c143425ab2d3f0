"""The objects of the API and of ``--json``: their names are a promise, as those of metrics are.

A name is neither changed nor removed within version 1; there may be new ones. OpenAPI and
docs/api.md are made of these classes. Times are seconds since the epoch, ``null`` is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

VERSION = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSummary:
    """A practice to know of, to improve, or to be warned of."""

    name: Annotated[str, "As in docs/verdict.md: `docker_as_vm`, `no_limits`, …"]
    severity: Annotated[str, "`information`, `advice` or `warning`."]
    sentence: Annotated[str, "In words, with the particulars of this container."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(FindingSummary):
    """A finding with what is known of its kind."""

    title: Annotated[str, "What it is called."]
    means: Annotated[str, "What it means."]
    matters: Annotated[str, "Why it matters."]
    advice: Annotated[str, "What to do."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observed fact that speaks for app or for system."""

    axis: Annotated[str, "Which of the seven ways in which the two styles differ."]
    rule: Annotated[str, "Name of the rule."]
    weight: Annotated[float, "Negative speaks for app, positive for system."]
    sentence: Annotated[str, "The fact in words."]
    source: Annotated[str, "Where it was read, such as `/proc/4711/exe`."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One way in: a port that the engine publishes, or a socket on which something can arrive."""

    published_address: Annotated[str | None, "Address of the host; null where nothing publishes."]
    published_port: Annotated[int | None, "Port of the host."]
    protocol: Annotated[str, "`tcp`, `udp` or `sctp`."]
    address: Annotated[str | None, "Address inside; null where nothing is known to listen."]
    port: Annotated[int, "Port inside."]
    program: Annotated[str | None, "The program that has the socket open."]
    pid: Annotated[int | None, "Its process, in the host's numbering."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What separates a container from the host."""

    shared_namespaces: Annotated[tuple[str, ...], "Namespaces that are the host's."]
    network: Annotated[str, "Whose it is: `own`, `host` or `container:<id>`."]
    pid_namespace: Annotated[str, "The same of its processes' numbers."]
    user_mapped: Annotated[bool | None, "Its root is not the host's root."]
    capabilities: Annotated[str | None, "Effective ones of its first process, hexadecimal."]
    seccomp: Annotated[str | None, "`off`, `strict` or `filter`."]
    no_new_privs: Annotated[bool | None, "prctl(2)'s flag of that name."]
    privileged: Annotated[bool | None, "It may do with the host what root may."]
    engine_sockets: Annotated[tuple[str, ...], "Engines' sockets inside: each is root on the host."]


@dataclass(frozen=True, slots=True, kw_only=True)
class HigherLimit:
    """A limit of a cgroup above the container's own."""

    resource: Annotated[str, "`memory`, `swap`, `cpu` or `pids`."]
    cgroup: Annotated[str, "Empty where it is above all that can be seen."]
    value: Annotated[float, "Bytes, CPUs, or a number of processes."]
    binds: Annotated[bool, "It is the limit of the container."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a container may use; null is no limit, or not known if it is not in `seen`."""

    memory_bytes: Annotated[int | None, "Memory."]
    memory_swap_bytes: Annotated[int | None, "On cgroup v1 memory and swap, on v2 swap alone."]
    memory_reservation_bytes: Annotated[int | None, "Memory that is kept for it."]
    cpu_quota_us: Annotated[int | None, "CPU time in each period."]
    cpu_period_us: Annotated[int | None, "That period."]
    cpus: Annotated[int | None, "CPUs that its cpuset leaves it, where that is not all."]
    cores: Annotated[float | None, "CPUs that it may use at most, by quota and cpuset."]
    cpu_shares: Annotated[int | None, "Its weight, as on cgroup v1."]
    pids: Annotated[int | None, "Processes and threads."]
    seen: Annotated[tuple[str, ...], "Which of memory, swap, cpu and pids could be read."]
    higher: Annotated[tuple[HigherLimit, ...], "What cgroups above its own set."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the kernel counts, as on /metrics; null where it does not count."""

    cpu_seconds: Annotated[float | None, "CPU time since it was started."]
    memory_bytes: Annotated[int | None, "Memory, with the cache of files."]
    memory_working_set_bytes: Annotated[int | None, "Memory without what can be dropped at once."]
    swap_bytes: Annotated[int | None, "Swap."]
    processes: Annotated[int | None, "Processes."]
    threads: Annotated[int | None, "Threads."]
    network_receive_bytes: Annotated[int | None, "Received, by all interfaces but the loopback."]
    network_transmit_bytes: Annotated[int | None, "Sent."]
    io_read_bytes: Annotated[int | None, "Read from block devices."]
    io_write_bytes: Annotated[int | None, "Written to them."]
    cpu_pressure_seconds: Annotated[float | None, "Time in which something waited for a CPU."]
    memory_pressure_seconds: Annotated[float | None, "The same for memory."]
    io_pressure_seconds: Annotated[float | None, "The same for I/O."]
    oom_kills: Annotated[int | None, "Processes that were killed for lack of memory."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Counters per second, between the last two readings; null before there are two."""

    cpu_cores: Annotated[float | None, "CPUs that were busy."]
    network_receive_bytes: Annotated[float | None, "Received."]
    network_transmit_bytes: Annotated[float | None, "Sent."]
    io_read_bytes: Annotated[float | None, "Read."]
    io_write_bytes: Annotated[float | None, "Written."]
    cpu_pressure: Annotated[float | None, "Share of the time in which something waited for a CPU."]
    memory_pressure: Annotated[float | None, "The same for memory."]
    io_pressure: Annotated[float | None, "The same for I/O."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What is used now."""

    counters: Annotated[Counters, "As they were read last."]
    rates: Annotated[Rates, "Since the reading before."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filesystem:
    """The space that a container's files take."""

    used_bytes: Annotated[int | None, "By its disk or quota; null where others share it."]
    limit_bytes: Annotated[int | None, "Size of that disk or quota."]
    writable_layer_bytes: Annotated[int | None, "What it has written over its image."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container: an entry of `ls --json`."""

    id: Annotated[str, "Never changes while the container exists."]
    name: Annotated[str, "Its name; anyone may have chosen it."]
    engine: Annotated[str, "`docker`, `lxc`, …; `none` if it belongs to no engine."]
    instance: Annotated[str, "Which of several installations of that engine."]
    engine_id: Annotated[str, "The engine's own id."]
    image: Annotated[str, "Image or template as users write it."]
    state: Annotated[str, "`running`, `exited`, …, in Docker's terms where it has one."]
    style: Annotated[str, "`app`, `system` or `unknown`."]
    expected_style: Annotated[str, "What its engine is made for, or was told to run."]
    score: Annotated[float, "-1 is app, 1 is system."]
    confidence: Annotated[float, "0 to 1."]
    mismatch: Annotated[bool, "The verdict is sure, and differs from what is expected."]
    pid: Annotated[int | None, "Its first process, in the host's numbering."]
    cgroup: Annotated[str, "Path of its cgroup in the host's view."]
    parent_id: Annotated[str, "The container that it runs in; empty for none."]
    role: Annotated[str, "`infra` for the pause container of a pod, else empty."]
    hostname: Annotated[str, "Its host name."]
    os_name: Annotated[str, "Name of its operating system."]
    os_version: Annotated[str, "Version of that."]
    default_route: Annotated[bool | None, "Its own network has one."]
    created: Annotated[float | None, "When it was made."]
    started: Annotated[float | None, "When it was started last."]
    finished: Annotated[float | None, "When it ended last."]
    exit_code: Annotated[int | None, "How it ended."]
    oom_killed: Annotated[bool | None, "It ended for lack of memory."]
    namespace: Annotated[str, "Kubernetes namespace."]
    pod: Annotated[str, "Kubernetes pod."]
    findings: Annotated[tuple[FindingSummary, ...], "Practices to look at."]
    isolation: Annotated[Isolation, "What separates it from the host."]
    limits: Annotated[Limits, "What it may use."]
    seen_by: Annotated[tuple[str, ...], "Collectors that saw it."]
    removed: Annotated[bool, "It is remembered for a while after its removal."]
    restarts: Annotated[int | None, "How often its engine has restarted it."]
    health: Annotated[str | None, "`healthy`, `unhealthy` or `starting`, by its health check."]
    compose_project: Annotated[str, "Project of Compose."]
    compose_service: Annotated[str, "Service of Compose."]
    ports: Annotated[tuple[Port, ...], "Published → inside → program."]
    filesystem: Annotated[Filesystem, "The space that its files take."]
    use: Annotated[Use | None, "What it uses; only by HTTP, and only of one that runs."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of a container."""

    pid: Annotated[int, "In the host's numbering."]
    inner_pid: Annotated[int, "In the container's own."]
    program: Annotated[str, "Which program it is."]
    exe: Annotated[str, "Path of its binary as the container sees it."]
    role: Annotated[str, "`init`, `supervisor`, `service`, `worker`, `session` or `job`."]
    uid: Annotated[int | None, "Its user, in the host's numbering."]
    started: Annotated[float | None, "When it was started."]
    arguments: Annotated[
        tuple[str, ...] | None,
        "Null unless `web.show_arguments` is set; what looks like a secret is masked.",
    ]
    children: Annotated[tuple[Process, ...], "What it started, or was left with."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount of a container, without those of the kernel's own filesystems."""

    target: Annotated[str, "Where, in the container's view."]
    type: Annotated[str, "Type of the filesystem."]
    source: Annotated[str, "The device, or what stands for it."]
    root: Annotated[str, "Which directory of that filesystem is mounted."]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDetails(Container):
    """One container with all that is known of it: the object of `explain --json`."""

    findings: Annotated[tuple[Finding, ...], "Practices to look at, explained."]
    verdict: Annotated[str, "The verdict as a sentence."]
    axes: Annotated[Mapping[str, float], "Score by axis, of those on which there is evidence."]
    evidence: Annotated[tuple[Evidence, ...], "What the verdict is made of."]
    unseen: Annotated[tuple[str, ...], "What could not be read."]
    override: Annotated[str, "The rule of the configuration that set the style."]
    processes: Annotated[tuple[Process, ...], "The topmost ones, with their children."]
    more_processes: Annotated[int, "How many are not shown."]
    mounts: Annotated[tuple[Mount, ...], "What is mounted in it."]
    more_mounts: Annotated[int, "How many are not shown."]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike:
    """What looks like a container and is not one: further entries of `ls --all --json`."""

    id: Annotated[None, "None."]
    name: Annotated[str, "A name for it."]
    engine: Annotated[str, "The engine that it resembles one of."]
    image: Annotated[str, "Empty."]
    state: Annotated[None, "None."]
    style: Annotated[str, "`none`."]
    expected_style: Annotated[str, "`none`."]
    score: Annotated[None, "None."]
    confidence: Annotated[None, "None."]
    mismatch: Annotated[bool, "False."]
    pid: Annotated[int | None, "A process of it."]
    cgroup: Annotated[str, "Its cgroup."]
    parent_id: Annotated[str, "Empty."]
    kind: Annotated[str, "`service`, `sandbox`, `chroot`, …"]
    reason: Annotated[str, "Why it is none."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """When the counters were read: only while somebody asks."""

    as_of: Annotated[float, "When they were read last."]
    interval_seconds: Annotated[float | None, "Time since the reading before; rates are over it."]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerList:
    """The containers of the host, each below the one it runs in."""

    complete: Annotated[bool, "The first scan of the host is over."]
    reading: Annotated[Reading | None, "Null with `use=false`."]
    containers: Annotated[tuple[Container, ...], "All of them, or those that were asked for."]


@dataclass(frozen=True, slots=True, kw_only=True)
class UseList:
    """What everything uses now, and nothing else: small, to be asked for every few seconds."""

    reading: Annotated[Reading, "When this was read."]
    host: Annotated[Use, "The host as a whole."]
    containers: Annotated[Mapping[str, Use], "By id, of those that run."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many containers there are of a kind."""

    engine: Annotated[str, "Engine."]
    style: Annotated[str, "Style."]
    state: Annotated[str, "State."]
    containers: Annotated[int, "How many."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What the containers of a kind may use together."""

    engine: Annotated[str, "Engine."]
    style: Annotated[str, "Style."]
    memory_bytes: Annotated[float | None, "Sum of the limits of memory."]
    cores: Annotated[float | None, "Sum of the limits of CPUs."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """How one collector did when it last ran."""

    name: Annotated[str, "Its name."]
    success: Annotated[bool, "It has read what it had to."]
    error: Annotated[str, "Why not."]
    duration_seconds: Annotated[float, "How long it took."]
    last_success: Annotated[float | None, "When it last succeeded."]
    denied: Annotated[int, "Reads that were denied."]
    malformed: Annotated[int, "Reads that made no sense."]
    containers: Annotated[int, "How many it saw."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine whose kernel the agent runs on."""

    agent_version: Annotated[str, "Version of the agent."]
    nodename: Annotated[str, "Its name."]
    kernel: Annotated[str, "Release of its kernel."]
    boot_time: Annotated[float | None, "When it was booted."]
    virtualization: Annotated[str, "What it runs in itself; empty on bare metal."]
    cgroups: Annotated[str, "`v1`, `hybrid`, `v2` or `none`."]
    cpus: Annotated[int, "CPUs."]
    memory_bytes: Annotated[int | None, "Memory."]
    swap_bytes: Annotated[int | None, "Swap."]
    complete: Annotated[bool, "The first scan of the host is over."]
    as_of: Annotated[float | None, "When the inventory was last known to be right."]
    event_lag_seconds: Annotated[float | None, "From the last start or end until it was seen."]
    dropped: Annotated[int, "Containers that exceed `containers.max`."]
    containers: Annotated[tuple[Count, ...], "How many there are, by engine, style and state."]
    promised: Annotated[tuple[Promise, ...], "What those that run may use, by engine and style."]
    collectors: Annotated[tuple[Collector, ...], "How the collectors did."]
    reading: Annotated[Reading | None, "When the counters were read."]
    use: Annotated[Use | None, "What the host uses."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of data of `/api/v1/events`; its type is also the event's name."""

    type: Annotated[
        str,
        "`created`, `started`, `stopped`, `removed`, `turned`, `finding`, `finding_gone`, `oom`, "
        "`changed` (anything else: its name, state, limits, ports), or `reset`: events were "
        "missed, so ask for everything anew.",
    ]
    at: Annotated[float, "When it was seen."]
    id: Annotated[str, "Of the container; empty for `reset`."]
    name: Annotated[str, "Its name."]
    engine: Annotated[str, "Its engine."]
    parent_id: Annotated[str, "The container that it runs in."]
    state: Annotated[str, "Its state now."]
    style: Annotated[str, "Its style now."]
    previous_style: Annotated[str | None, "Of `turned`: the style before."]
    evidence: Annotated[tuple[Evidence, ...], "Of `turned`: what has changed, the heaviest first."]
    finding: Annotated[FindingSummary | None, "Of `finding` and `finding_gone`."]
    exit_code: Annotated[int | None, "Of `stopped`: how it ended."]
    oom_kills: Annotated[int | None, "Of `oom`: how many there are by now."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error, RFC 9457: `application/problem+json`."""

    type: Annotated[str, "`about:blank`: the status says it all."]
    title: Annotated[str, "The status in words."]
    status: Annotated[int, "The status."]
    detail: Annotated[str, "What is wrong, and what would be right."]
