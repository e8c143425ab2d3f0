"""What the demo knows of its hosts and containers, and what may happen to them.

Times are seconds relative to the end of the history: ``-3600`` is an hour before it. What is open
at the end goes on while the demo runs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

GIB = 1 << 30
MIB = 1 << 20
HOUR = 3600.0
LONG_AGO = -40 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Openvz:
    """What only OpenVZ knows of a container."""

    ctid: str
    disk_bytes: int = 20 * GIB
    disk_used: float = 0.45
    """Share of the disk quota in use at the end of the history."""
    disk_grows: bool = False
    failing: tuple[str, ...] = ()
    """Resources that are refused from ``failing_since`` on."""
    failing_since: float = -1.5 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One container of the demo."""

    name: str
    engine: str
    image: str = ""
    style: str = "app"
    cores: float = 0.05
    """CPUs it keeps busy, on average."""
    memory: int = 90 * MIB
    memory_limit: int = 0
    quota: float = 0
    """CPUs it may use; 0 is unlimited."""
    processes: int = 4
    services: int = 1
    sessions: int = 0
    traffic: float = 20_000
    """Bytes a second received and sent, on average."""
    created: float = LONG_AGO
    gone: float | None = None
    exit_code: int | None = None
    state: str = "running"
    role: str = ""
    restart_policy: str = ""
    namespace: str = ""
    pod: str = ""
    compose: tuple[str, str] | None = None
    """Compose project and service."""
    findings: Mapping[str, float] = field(default_factory=dict)
    """Name and since when."""
    turns_system: float | None = None
    """When its verdict turned from app to system."""
    demand: tuple[float, float] | None = None
    """From when on it wants how many cores, quota or not."""
    leaks: bool = False
    """Its memory grows to the limit, a worker is killed, and so on."""
    restarts_since: float | None = None
    """Its engine restarts it every other minute from then on."""
    unhealthy_since: float | None = None
    openvz: Openvz | None = None

    @property
    def expected(self) -> str:
        """The style that its engine was made for."""
        return "system" if self.engine in {"lxc", "openvz", "nspawn"} else "app"

    @property
    def engine_id(self) -> str:
        """What its engine calls it."""
        if self.openvz:
            return self.openvz.ctid
        if self.engine in {"lxc", "nspawn"}:
            return self.name
        return hashlib.sha256(f"{self.engine} {self.name}".encode()).hexdigest()

    @property
    def id(self) -> str:
        """The cgroup path, as the agent gives it."""
        match self.engine:
            case "docker":
                return f"/system.slice/docker-{self.engine_id}.scope"
            case "podman":
                return f"/machine.slice/libpod-{self.engine_id}.scope"
            case "containerd":
                slice_ = f"kubepods-burstable-pod{self.engine_id[:8]}.slice"
                return f"/kubepods.slice/{slice_}/cri-containerd-{self.engine_id}.scope"
            case "nspawn":
                return f"/machine.slice/systemd-nspawn@{self.name}.service"
            case "lxc":
                return f"/lxc/{self.name}"
            case "openvz":
                return f"/machine.slice/{self.engine_id}"
        return f"/none/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One host of the demo."""

    instance: str
    cores: int
    memory: int
    actors: tuple[Actor, ...]
    collectors: tuple[str, ...]
    kernel: str = "6.1.0-32-amd64"
    cgroup_mode: str = "v2"
    virtualization: str = "none"
    pressure: bool = True
    down: tuple[float, float] | None = None
    """From when to when the agent did not answer."""
    collector_failing: tuple[str, float, float] | None = None
    denied_since: float | None = None


JOB_EVERY = 300.0
"""Seconds from one CI job to the next."""


def job(number: int, start: float) -> Actor:
    """Make one of the CI jobs that come and go on harbour-2: every third one fails."""
    return Actor(
        name=f"runner-{number:05d}-build",
        engine="docker",
        image="registry.example/ci/builder:14",
        cores=1.4,
        memory=600 * MIB,
        memory_limit=GIB,
        quota=2.0,
        created=start,
        gone=start + 70 + number * 37 % 140,
        exit_code=0 if number % 3 else 1,
        restart_policy="no",
        processes=11,
    )
