"""The facts that collectors make and the agent judges: frozen dataclasses, without opinion or I/O.

Units are in the field names or in the docstrings. Times are seconds since the epoch as float,
sizes are bytes, and ``None`` always means "not known", never zero. Mappings are typed read-only
and never changed after they were made (a MappingProxyType cannot be pickled).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class ProcessId(NamedTuple):
    """A process, which cannot be confused with a later one that has the same pid."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot: field 22 of /proc/<pid>/stat, proc_pid_stat(5)."""


class FileId(NamedTuple):
    """The identity of a file: st_dev and st_ino of stat(2)."""

    device: int
    inode: int


class State(StrEnum):
    """A container's state as its engine reports it, in Docker's terms where it has one."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    MOUNTED = "mounted"  # OpenVZ: its filesystem is there, its processes are not
    SUSPENDED = "suspended"  # OpenVZ, Incus: frozen to disk
    UNKNOWN = "unknown"


ALIVE = frozenset({State.RUNNING, State.PAUSED, State.RESTARTING, State.REMOVING})
"""States in which a container may have processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """The namespaces of a process as inode numbers, namespaces(7); None where unreadable."""

    cgroup: int | None = None
    ipc: int | None = None
    mnt: int | None = None
    net: int | None = None
    pid: int | None = None
    time: int | None = None
    user: int | None = None
    uts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as /proc shows it, proc(5).

    The process itself chooses ``argv`` and ``comm``; ``exe``, ``uid``, ``ppid`` and the namespaces
    come from the kernel.
    """

    id: ProcessId
    ppid: int
    comm: str = ""
    state: str = "S"
    session: int = 0
    tty: int = 0
    """Controlling terminal's device number, 0 for none."""
    argv: tuple[str, ...] = ()
    exe: str | None = None
    """Path of the running binary in the process's own view; None where it cannot be read."""
    exe_outside: bool = False
    """It has changed its root, by chroot(2) or pivot_root(2), to one without its binary."""
    exe_id: FileId | None = None
    uid: int | None = None
    """Effective user id in the host's numbering."""
    ns_pids: tuple[int, ...] = ()
    """Its pid in each pid namespace from the reader's inward; NSpid of /proc/<pid>/status."""
    namespaces: Namespaces = Namespaces()
    root: FileId | None = None
    """Its root directory; None where /proc/<pid>/root cannot be read."""
    cgroups: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Path by controller; ``""`` is the unified hierarchy, ``name=systemd`` systemd's on v1."""
    envid: str | None = None
    """OpenVZ: the container it belongs to, ``envID`` of /proc/<pid>/status; "0" is the host."""
    capabilities: int | None = None
    """Effective capabilities as a bit set, capabilities(7)."""
    permitted: int | None = None
    bounding: int | None = None
    seccomp: int | None = None
    """0 off, 1 strict, 2 filter; seccomp(2)."""
    no_new_privs: bool | None = None

    @property
    def pid(self) -> int:
        """Its pid in the host's numbering."""
        return self.id.pid

    @property
    def inner_pid(self) -> int:
        """Its pid in its own pid namespace."""
        return self.ns_pids[-1] if self.ns_pids else self.id.pid


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """What a process has open, proc_pid_fd(5)."""

    directory: str | None = None
    """Its working directory, as a path from the top of its mount namespace."""
    links: Mapping[int, str] = field(default_factory=dict, hash=False)
    """What each descriptor leads to: a path, ``socket:[inode]``, ``anon_inode:[eventpoll]``."""
    whole: bool = True
    """These are all; it has no others."""

    @property
    def sockets(self) -> frozenset[int]:
        """The inodes of its sockets."""
        numbers = (link[8:-1] for link in self.links.values() if link.startswith("socket:["))
        return frozenset(int(number) for number in numbers if number.isdigit())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTable:
    """All processes of one moment, zombies included, kernel threads left out."""

    by_pid: Mapping[int, Process]

    def __iter__(self) -> Iterator[Process]:
        """Return the processes, in no order."""
        return iter(self.by_pid.values())

    def get(self, pid: int) -> Process | None:
        """Return the process with that pid, if there is one."""
        return self.by_pid.get(pid)

    def children(self) -> dict[int, list[int]]:
        """Map each parent's pid to the pids of its children."""
        children: dict[int, list[int]] = {}
        for process in self:
            children.setdefault(process.ppid, []).append(process.pid)
        return children


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of /proc/<pid>/mountinfo, proc_pid_mountinfo(5)."""

    device: FileId
    """major:minor, as ``FileId(os.makedev(major, minor), 0)``."""
    root: str
    """The directory of that filesystem which is mounted."""
    target: str
    fstype: str
    source: str
    options: str
    """The per-superblock options: overlay's lowerdir and upperdir stand here."""


class CgroupMode(StrEnum):
    """Which cgroup hierarchies a host has, cgroups(7)."""

    V1 = "v1"
    HYBRID = "hybrid"  # v1 controllers and an additional unified tree without controllers
    V2 = "v2"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLayout:
    """Where the cgroup hierarchies are mounted."""

    mode: CgroupMode
    hierarchies: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Directory under --path.sysfs by controller; ``""`` is the unified hierarchy."""
    absent: frozenset[str] = frozenset()
    """Controllers that this kernel does not have, or not enabled: nothing can set their limits."""


class Publish(NamedTuple):
    """A port of the host that an engine forwards into a container."""

    host_address: str
    host_port: int
    container_port: int
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The image or template that a container was made from, as its engine knows it."""

    reference: str = ""
    """As the user wrote it, for instance ``docker.io/library/nginx:1.27``."""
    id: str = ""
    digests: tuple[str, ...] = ()
    """Registry digests: an image that was pulled or pushed has one."""
    created: float | None = None
    size_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beancounter:
    """One resource of OpenVZ's user beancounters, in base units (bytes, or a count)."""

    resource: str
    held: int | None = None
    maxheld: int | None = None
    barrier: int | None = None
    """None is unlimited."""
    limit: int | None = None
    failures: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenvzFacts:
    """What only OpenVZ knows of a container, from vzlist or the kernel's own files."""

    ctid: str
    status: str = "unknown"
    """vzlist's own word: running, stopped, mounted, suspended, paused, unknown."""
    ostemplate: str = ""
    addresses: tuple[str, ...] = ()
    configured_addresses: tuple[str, ...] = ()
    """What its configuration gives it; ``addresses`` are those that it has."""
    onboot: bool | None = None
    layout: str = ""
    """simfs, ploop, or vzfs4 (a directory tree of layout 4); empty where it is not known."""
    beancounters: tuple[Beancounter, ...] = ()
    disk_used_bytes: int | None = None
    disk_soft_bytes: int | None = None
    disk_hard_bytes: int | None = None
    inodes_used: int | None = None
    inodes_soft: int | None = None
    inodes_hard: int | None = None
    load: tuple[float, float, float] | None = None
    uptime_seconds: float | None = None
    cpu_limit_ratio: float | None = None
    """CPUs it may use at most: 1.5 is one and a half; None is unlimited."""
    cpu_units: int | None = None
    cpus: int | None = None
    cpu_seconds: float | None = None
    """CPU time since it was started, from /proc/vz/vestat; vzlist does not know it."""
    cpu_as_of: float | None = None
    """When the kernel said so, seconds since the epoch: rates are taken between two of these."""
    cpu_user_seconds: float | None = None
    cpu_system_seconds: float | None = None
    swap_used_bytes: int | None = None
    swap_limit_bytes: int | None = None
    processes: int | None = None
    io_limit_bytes_per_second: int | None = None
    """None is unlimited, as for operations."""
    io_limit_operations_per_second: int | None = None
    as_of: float | None = None
    """When this was read: vzlist's last good answer may be old."""
    without_cgroup: bool = False
    """No cgroup counts its CPU time and memory, as on OpenVZ 6: this is all that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What an engine knows of a container; empty or None is what it does not say."""

    name: str = ""
    image: str = ""
    """Image or OS template as users write it; empty where there is none."""
    hostname: str = ""
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    oom_events: int | None = None
    """OOM kills by the engine's events since it is listened to; None where there are no events."""
    restarts: int | None = None
    health: str | None = None
    """healthy, unhealthy or starting; None where there is no health check."""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    role: str = ""
    """``infra`` for a pod's pause container, else empty."""
    pod: str = ""
    namespace: str = ""
    """Kubernetes namespace; ``container_name`` and ``pod`` go with it."""
    container_name: str = ""
    runtime: str = ""
    """OCI runtime: runc, crun, youki, kata, …"""
    boots: bool | None = None
    """The engine was to boot a whole system (nspawn --boot); None where it does not say."""
    command: tuple[str, ...] = ()
    cpu_shares: int | None = None
    """CPU shares that the engine was given; None where it was given none."""
    image_facts: ImageFacts | None = None
    publishes: tuple[Publish, ...] = ()
    privileged: bool | None = None
    writable_layer_bytes: int | None = None
    log_bytes: int | None = None
    tty: bool | None = None
    auto_remove: bool | None = None
    restart_policy: str = ""
    mounts: tuple[str, ...] = ()
    """Paths of the host that the engine bind-mounts into it."""
    openvz: OpenvzFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting(EngineFacts):
    """One container as one collector sees it.

    A sighting names its container by ``(engine, instance, engine_id)`` and ties it to the kernel's
    side by the first of ``init``, ``cgroup`` and ``root`` that it knows.
    """

    collector: str
    engine: str
    """docker, podman, containerd, cri-o, lxc, incus, lxd, nspawn, openvz, libvirt-lxc, runc, …"""
    instance: str = ""
    """Which of several installations of that engine: socket, storage root, lxcpath, user."""
    engine_id: str
    """The engine's own id, which does not change when the container is renamed."""
    state: State = State.UNKNOWN
    init: ProcessId | None = None
    """The container's first process, in the host's numbering."""
    cgroup: str | None = None
    """Cgroup path in the host's view, where the engine knows it."""
    network_mode: str = ""
    """As configured: host, none, bridge, ``container:<id>``, a network's name."""
    rootfs: str = ""
    """Directory of its root filesystem on the host, where the engine says."""
    below_engine: bool = False
    """It is only a runtime's record, of a container that an engine above the runtime manages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening socket, as /proc/<pid>/net/{tcp,tcp6,udp,udp6,unix} shows it."""

    protocol: str
    address: str
    port: int
    uid: int | None = None
    inode: int | None = None
    """Of the socket, as in ``socket:[inode]``, the link of a descriptor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """A network namespace as seen from inside."""

    addresses: tuple[str, ...] = ()
    """Global addresses of its own, CIDR."""
    default_route: bool | None = None
    firewall_rules: int | None = None
    """Without those that container engines write for their own ends."""
    listeners: tuple[Listener, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A line of the container's /etc/passwd; numbers are the container's own."""

    name: str
    uid: int
    shell: str
    locked: bool = True
    """It has no password that could be typed, as far as /etc/shadow shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFacts:
    """What is in a container's root filesystem. The container can forge all of it."""

    fstype: str = ""
    source: str = ""
    layered: bool | None = None
    """The root is an overlay or snapshot over image layers."""
    os_id: str = ""
    os_name: str = ""
    os_version: str = ""
    package_manager: str = ""
    packages: int | None = None
    packages_changed: float | None = None
    """When the package database last changed."""
    init_present: bool | None = None
    """There is an init system to boot (/sbin/init and what it points to)."""
    machine_id: str = ""
    accounts: tuple[Account, ...] = ()
    sessions: int | None = None
    """Sessions of logind, else logins in utmp(5)."""
    top_level: tuple[str, ...] = ()
    """Names in /, at most 200."""
    denied: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJob:
    """One line of a table of cron's, crontab(5)."""

    command: str
    user: str = ""
    """As whom it runs; empty where the table does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFiles:
    """What the tables of a container's cron and the configuration of its sshd say.

    The container can forge all of it.
    """

    jobs: tuple[CronJob, ...] | None = None
    """The jobs in the tables of its cron; None where no cron runs or none could be read."""
    sshd: SshdRules | None = None
    """None where no sshd runs or its configuration could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshdRules:
    """What an sshd gives to whom, sshd_config(5): as far as it holds for everybody."""

    forced_command: str = ""
    """What everybody gets in place of a shell, ``ForceCommand``."""
    keys_command: str = ""
    """The program that says who may log in, ``AuthorizedKeysCommand``."""
    users: tuple[str, ...] = ()
    """The only accounts that may log in, ``AllowUsers``; empty where there is no such list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What separates a container from its host; None where it cannot be read."""

    shared_namespaces: frozenset[str] = frozenset()
    """Namespaces that are the host's: cgroup, ipc, mnt, net, pid, user, uts."""
    user_mapped: bool | None = None
    """Its root is not the host's root, user_namespaces(7)."""
    capabilities: int | None = None
    seccomp: int | None = None
    no_new_privs: bool | None = None
    privileged: bool | None = None
    engine_sockets: tuple[str, ...] = ()
    """Engine sockets that are mounted inside: access to one is root on the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HigherLimit:
    """A limit of a cgroup above a container's own: all that is in that cgroup shares it."""

    resource: str
    """memory, swap, cpu or pids."""
    cgroup: str
    """Path of the cgroup; empty where it is above all that can be seen."""
    value: float
    """Bytes, CPUs, or a number of processes."""
    binds: bool = False
    """It is the least on the way up, and so the limit of the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A container's limits: the least that its cgroup or one above it sets.

    None is no limit, or not known.
    """

    memory_bytes: int | None = None
    """The lesser of memory.max and memory.high on v2."""
    memory_swap_bytes: int | None = None
    """Of memory and swap together on v1, of swap alone on v2, where 0 is that none is allowed."""
    memory_reservation_bytes: int | None = None
    """Of its own cgroup; None where nothing is reserved."""
    cpu_quota_us: int | None = None
    cpu_period_us: int | None = None
    cpus: int | None = None
    """CPUs that it may run on, where a cpuset leaves it fewer than the host has."""
    cpu_shares: int | None = None
    """Of its own cgroup, as on v1."""
    cpu_weight: int | None = None
    """Of its own cgroup on v2, where the shares are worked out of it."""
    pids: int | None = None
    own_quota: bool = False
    """Its own cgroup has a CPU quota, so that the kernel counts how it is throttled."""
    higher: tuple[HigherLimit, ...] = ()
    """What cgroups above its own set, nearest first."""
    seen: frozenset[str] = frozenset()
    """What could be read: memory, swap, cpu, pids. Of these, None means that there is no limit."""

    @property
    def cores(self) -> float | None:
        """CPUs that it may use at most, by quota and by cpuset; None where it may use all."""
        limits: list[float] = []
        if self.cpu_quota_us is not None and self.cpu_period_us:
            limits.append(self.cpu_quota_us / self.cpu_period_us)
        if self.cpus is not None:
            limits.append(self.cpus)
        return min(limits, default=None)

    def set_by(self, resource: str) -> str | None:
        """Return the cgroup above its own that sets a limit of the container; None: none does."""
        return next((h.cgroup for h in self.higher if h.resource == resource and h.binds), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemUsage:
    """How full a filesystem, a disk or a quota is; sizes in bytes."""

    device: str = ""
    """As ``/dev/vda1``; the filesystem's source where it has no device."""
    used_bytes: int | None = None
    """None where only the filesystem as a whole is known, which others fill too."""
    limit_bytes: int | None = None
    inodes: int | None = None
    inodes_used: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The machine whose kernel the agent runs on."""

    nodename: str = ""
    kernel: str = ""
    boot_id: str = ""
    machine_id: str = ""
    system_uuid: str = ""
    boot_time: float = 0.0
    virtualization: str = ""
    """What the host itself runs in: kvm, lxc, openvz, docker, …; empty: bare metal or unknown."""
    cgroups: CgroupLayout = field(default_factory=lambda: CgroupLayout(mode=CgroupMode.NONE))
    namespaces: Namespaces = Namespaces()
    all_processes: bool = True
    """False: the reader is in a pid namespace of its own, and most processes are hidden from it."""
    root: FileId | None = None
    cpus: int = 1
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    filesystems: tuple[FilesystemUsage, ...] = ()
    """Its block devices that are mounted, each once; as of the last full reconciliation."""
    beancounters: tuple[Beancounter, ...] = ()
    """Its own, where the host is itself an OpenVZ container."""
