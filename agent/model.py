"""What the agent makes of the facts: containers, verdicts and findings, all frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from collectors.facts import (
    Descriptors,
    EngineFacts,
    FilesystemUsage,
    HostFacts,
    Isolation,
    Limits,
    Mount,
    NetworkFacts,
    Process,
    ProcessId,
    RootFacts,
    ServiceFiles,
    State,
)


class Style(StrEnum):
    """What a container is, by what it does."""

    APP = "app"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Axis(StrEnum):
    """The ways in which an application and a small server differ."""

    INIT = "init"
    SERVICES = "services"
    USERS = "users"
    FILESYSTEM = "filesystem"
    NETWORK = "network"
    PROVENANCE = "provenance"
    LIFECYCLE = "lifecycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observed fact that speaks for app (negative weight) or for system (positive)."""

    axis: Axis
    rule: str
    """The rule's name in the table, stable: ``init.service_manager``."""
    weight: float
    sentence: str
    source: str
    """Where it was read, for instance ``/proc/4711/exe``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one container."""

    style: Style = Style.UNKNOWN
    score: float = 0.0
    """-1 is app, +1 is system."""
    confidence: float = 0.0
    axes: Mapping[Axis, float] = field(default_factory=dict, hash=False)
    """Score by axis, of those on which there is evidence."""
    evidence: tuple[Evidence, ...] = ()
    unseen: tuple[str, ...] = ()
    """What could not be read, as sentences."""
    override: str = ""
    """The operator's rule that set the style; empty where the evidence did."""
    services: int | None = None
    """Unrelated services that run; None where the processes were not seen."""
    users: int | None = None
    sessions: int | None = None


class Task(StrEnum):
    """What a process does in its container."""

    INIT = "init"
    """The first process, where it starts and reaps the others, or only waits."""
    SUPERVISOR = "supervisor"
    """Starts services, or holds one: a supervisor, a script, su."""
    SERVICE = "service"
    """The process that heads a service."""
    WORKER = "worker"
    """What a service has forked."""
    SESSION = "session"
    """Of a person: a login, what it left running, a shell that an engine's exec put in."""
    JOB = "job"
    """What comes to an end by itself: cron's jobs, what a script waits for, an engine's exec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """A TCP or UDP socket of a container on which something can arrive, and whose it is."""

    protocol: str
    """tcp or udp."""
    address: str
    port: int
    program: str = ""
    """Empty where it is not known which process has it open."""
    pid: int | None = None
    """That process, in the host's numbering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEntry:
    """One process of a container, as it is shown."""

    pid: int
    """In the host's numbering, as ``parent``."""
    parent: int
    inner_pid: int
    """In the container's own numbering."""
    start_ticks: int
    program: str
    exe: str = ""
    """Path of its binary as the container sees it; empty where it cannot be read."""
    task: Task
    uid: int | None = None
    """Effective user in the host's numbering."""
    arguments: tuple[str, ...] | None = None
    """Without the program, and with secrets masked; None where they are not to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is shown of one container alone: its processes, parents first, and its mounts."""

    processes: tuple[ProcessEntry, ...] = ()
    more_processes: int = 0
    """How many were left out."""
    mounts: tuple[Mount, ...] = ()
    more_mounts: int = 0


class Severity(StrEnum):
    """How much a finding matters. Least first."""

    INFORMATION = "information"
    ADVICE = "advice"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A practice to know of, to improve, or to be warned of."""

    name: str
    """As in docs/verdict.md: ``docker_as_vm``, ``logged_into``, ``no_limits``, …"""
    sentence: str
    """The finding in words, with the particulars of this container."""
    severity: Severity = Severity.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Container(EngineFacts):
    """One container of the host, of any engine. ``id`` never changes while it exists."""

    id: str
    engine: str
    """Never empty: ``none`` if it belongs to no engine."""
    instance: str = ""
    engine_id: str = ""
    state: State = State.UNKNOWN
    init: ProcessId | None = None
    """First process in the host's numbering; None when it does not run."""
    cgroup: str = ""
    """Cgroup path in the host's view; empty where it has none of its own."""
    cgroups: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Path by controller; only of cgroups that hold this container and nothing else."""
    parent_id: str = ""
    network: str = ""
    """``own``, ``host``, ``container:<id>`` (shared with that one), or empty where not known."""
    pid_namespace: str = ""
    """``own``, ``host``, ``container:<id>``, or empty where not known."""
    isolation: Isolation = Isolation()
    limits: Limits = Limits()
    filesystem: FilesystemUsage | None = None
    """Usage of the disk or quota that its files are in, as it was last read."""
    os_name: str = ""
    """``PRETTY_NAME`` of its os-release; empty where that was not read."""
    os_version: str = ""
    """``VERSION_ID`` of its os-release."""
    default_route: bool | None = None
    """Its own network namespace has a default route; None where that was not read."""
    listeners: int | None = None
    sockets: tuple[Socket, ...] = ()
    """Of those on which something can arrive, the ones of TCP and UDP: a limited number."""
    processes: int | None = None
    expected_style: Style = Style.UNKNOWN
    """The style that its engine is made for, or was told to run: a prior, never the answer."""
    verdict: Verdict = Verdict()
    style_changes: int = 0
    mismatch: bool = False
    findings: tuple[Finding, ...] = ()
    seen_by: tuple[str, ...] = ()
    """Collectors that saw it; ``kernel`` is the process table."""
    last_seen: float | None = None
    """When it was last seen to run; None while it runs, and if it was never seen to."""
    gone: bool = False
    """It was removed; it is shown until the retention is over."""


def is_running(container: Container) -> bool:
    """Return whether a container runs, frozen or not; one that waits to be restarted does not.

    Some engines' containers run where their processes cannot be seen.
    """
    if container.init is not None:
        return container.state is not State.CREATED and not container.gone
    return container.state in (State.RUNNING, State.PAUSED)


def as_gone(container: Container, when: float) -> Container:
    """Return a container as it is kept after its removal, last seen at ``when``."""
    return replace(
        container,
        gone=True,
        state=State.DEAD,
        init=None,
        processes=None,
        sockets=(),
        cgroups={},
        last_seen=when,
    )


def as_last_judged(container: Container, before: Container) -> Container:
    """Return one that does not run with what only its processes told while it did.

    ``before`` is how it was shown last.
    """
    return replace(
        container,
        verdict=before.verdict,
        mismatch=before.mismatch,
        findings=before.findings,
        # The kernel told these; a runtime's file of a container that ended has neither.
        started=before.started if container.started is None else container.started,
        parent_id=container.parent_id or before.parent_id,
        isolation=before.isolation,
        image_facts=container.image_facts or before.image_facts,
        hostname=container.hostname or before.hostname,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike:
    """Something that looks like a container and is not one, with the reason."""

    kind: str
    """service, sandbox, chroot, session, engine, cgroup, …"""
    name: str
    reason: str
    pid: int | None = None
    cgroup: str = ""
    engine: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All that is known of one container: what the classifier, which reads nothing, judges."""

    container: Container
    host: HostFacts
    now: float
    processes: tuple[Process, ...] = ()
    """Its processes, without those of containers nested in it."""
    entered_from_outside: frozenset[int] = frozenset()
    """Pids among them that came in from outside (an engine's exec, nsenter) and their children."""
    unreaped: int = 0
    """Zombies among its processes that have waited for their parents for a while."""
    nested: int = 0
    """Containers nested directly in it."""
    mounts: tuple[Mount, ...] | None = None
    root: RootFacts | None = None
    network: NetworkFacts | None = None
    descriptors: Mapping[int, Descriptors] = field(default_factory=dict, hash=False)
    """What some of its processes have open, by pid: those that claim to be a system's services."""
    files: ServiceFiles = field(default_factory=ServiceFiles)
    """What the tables of its cron and the configuration of its sshd say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorHealth:
    """How one collector did when it last ran."""

    name: str
    success: bool
    duration_seconds: float
    last_success: float | None
    denied: int = 0
    malformed: int = 0
    error: str = ""
    containers: int = 0
    daemons: Mapping[tuple[str, str], bool] = field(default_factory=dict, hash=False)
    """Whether the daemons of its engines run, as in ``Context.daemons``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that the agent knows at one moment: published by one assignment, never changed."""

    host: HostFacts
    containers: Mapping[str, Container]
    """By id."""
    look_alikes: tuple[LookAlike, ...] = ()
    collectors: tuple[CollectorHealth, ...] = ()
    complete: bool = False
    """Whether the first inventory was complete."""
    as_of: float = 0.0
    event_lag_seconds: float | None = None
    dropped: int = 0
    """Containers that were left out because of containers.max."""
    details: Mapping[str, bytes] = field(default_factory=dict)
    """By container, of those that run: packed, as few of them are ever looked at. See wire.py."""
