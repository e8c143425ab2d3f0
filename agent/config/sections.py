"""The sections of the configuration: each key with its default, flag and help."""

from __future__ import annotations

import os
import pwd
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.config.keys import BOOLEAN, TEXT, TEXTS, Kind, choice, count, duration, key
from agent.config.rules import MATCHES, Match

if TYPE_CHECKING:
    from agent.patterns import Described

DEFAULT_ADDRESS = "127.0.0.1:10060"
"""Loopback, as access is not restricted by default. The port: Prometheus's list of default port
allocations is full from 9100 to 9999 and continues from 10000; neither that list nor IANA has an
entry for this one."""


def parse_address(text: str) -> tuple[str, int]:
    """Split ``host:port``, ``[v6]:port`` or ``:port`` (all addresses); raises ValueError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    # Not isdigit(), which accepts digits of other scripts.
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError('must be an address and a port, such as "127.0.0.1:10060"')
    if ":" in host and not bracketed:
        raise ValueError('must have its IPv6 address in brackets, such as "[::1]:10060"')
    return host[1:-1] if bracketed else host, int(port)


def _address(value: Any) -> str:
    text: str = TEXT.check(value)
    parse_address(text)
    return text


def _directory(value: Any) -> str:
    text: str = TEXT.check(value)
    if not text.startswith("/"):
        raise ValueError("must be an absolute path")
    return text


def _file_path(value: Any) -> str:
    text: str = TEXT.check(value)
    return _directory(text) if text else text


def _file(value: Any) -> str:
    text: str = TEXT.check(value)
    return os.path.abspath(text) if text else text


def _user(value: Any) -> str:
    text: str = TEXT.check(value)
    if text:
        try:
            pwd.getpwnam(text)
        except (KeyError, ValueError):
            raise ValueError("must be a user of this machine") from None
    return text


def _telemetry_path(value: Any) -> str:
    text: str = TEXT.check(value)
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]+", text) or text.startswith(
        ("/-/", "/containers/", "/api/")
    ):
        raise ValueError('must be a path such as "/metrics", not below /-/, /api/ or /containers/')
    return text


def _command(value: Any) -> tuple[str, ...]:
    words: tuple[str, ...] = TEXTS.check(value)
    return words


ADDRESS = Kind(_address, metavar="HOST:PORT")
FILE = Kind(_file, metavar="FILE")
USER = Kind(_user, metavar="NAME")
DIRECTORY = Kind(_directory, metavar="DIRECTORY")
FILE_PATH = Kind(_file_path, metavar="FILE")
TELEMETRY_PATH = Kind(_telemetry_path, metavar="PATH")
COMMAND = Kind(_command, shlex.split, metavar="COMMAND")


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The web server."""

    listen_address: str = key(
        DEFAULT_ADDRESS,
        ADDRESS,
        "address to listen on; without a host (:10060), all addresses",
        flag="--web.listen-address",
    )
    telemetry_path: str = key(
        "/metrics", TELEMETRY_PATH, "path of the page of metrics", flag="--web.telemetry-path"
    )
    max_requests: int = key(
        8, count(1), "most scrapes answered at the same time", flag="--web.max-requests"
    )
    config_file: str = key(
        "",
        FILE,
        "file in Prometheus's web configuration format: TLS, passwords, headers",
        flag="--web.config.file",
    )
    enable_lifecycle: bool = key(
        default=False,
        kind=BOOLEAN,
        help_text="POST /-/reload reloads the configuration, as SIGHUP does",
        flag="--web.enable-lifecycle",
    )
    show_arguments: bool = key(
        default=False,
        kind=BOOLEAN,
        help_text="the API shows the arguments of processes; what looks like a secret is masked",
        flag="--web.show-arguments",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What the agent's processes may do."""

    user: str = key(
        "",
        USER,
        "user of the process that talks to the network, if the agent is started as root "
        "(default: tallyman if that user exists, otherwise nobody)",
        flag="--process.user",
    )
    engine_sockets: bool = key(
        default=True,
        kind=BOOLEAN,
        help_text="ask Docker, Incus and LXD through their sockets, which is as good as root; "
        "if not, the agent can open no unix socket, and names come from disk",
        flag="--process.engine-sockets",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where the host's filesystems are mounted, for an agent in a container."""

    procfs: str = key("/proc", DIRECTORY, "the host's /proc", flag="--path.procfs")
    sysfs: str = key("/sys", DIRECTORY, "the host's /sys", flag="--path.sysfs")
    rootfs: str = key("/", DIRECTORY, "the host's root filesystem", flag="--path.rootfs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The log on standard error."""

    level: str = key(
        "info",
        choice("debug", "info", "warning", "error"),
        "lowest severity that is logged",
        flag="--log.level",
    )
    format: str = key("text", choice("text", "json"), "format of the log", flag="--log.format")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """How the inventory is kept up to date, in addition to the events of engines."""

    full_interval: float = key(
        60.0,
        duration(1),
        "time between two full scans of the host; longer where one takes more than a thousandth "
        "of that in CPU time, but at most ten minutes",
        flag="--inventory.full-interval",
    )
    poll_interval: float = key(
        4.0,
        duration(0.2),
        "time between two light scans, which find what sends no event",
        flag="--inventory.poll-interval",
    )
    process_events: bool = key(
        default=False,
        kind=BOOLEAN,
        help_text="listen to the kernel's process events, to find at once what sends no other",
        flag="--inventory.process-events",
    )
    walk: int = key(
        0,
        count(0),
        "files and directories a second to visit in writable layers, for their size where no quota "
        "tells it; 0 for never",
        flag="--inventory.walk",
    )
    deadline: float = key(
        30.0,
        duration(1),
        "time after which the process that reads the host is considered hung and restarted",
        flag="--inventory.deadline",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """Which containers are shown, and how many at most."""

    include: tuple[Match, ...] = key((), MATCHES, "only containers that match one of these")
    exclude: tuple[Match, ...] = key((), MATCHES, "no containers that match one of these")
    max: int = key(
        5000,
        count(1),
        "most containers; tallyman_dropped_containers counts the rest",
        flag="--containers.max",
    )
    max_series: int = key(
        500_000, count(1000), "most series on the page of metrics", flag="--containers.max-series"
    )
    retention: float = key(
        300.0,
        duration(0),
        "how long a removed container is remembered with its last state",
        flag="--containers.retention",
    )
    max_retained: int = key(
        1000,
        count(),
        "most removed containers that are remembered",
        flag="--containers.max-retained",
    )

    def admits(self, container: Described) -> bool:
        """Return whether a container is to be shown."""
        if self.include and not any(match.matches(container) for match in self.include):
            return False
        return not any(match.matches(container) for match in self.exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What the page of metrics contains."""

    cadvisor_names: bool = key(
        default=True,
        kind=BOOLEAN,
        help_text="cAdvisor's container_ series; switch them off where a kubelet serves them",
        flag="--cadvisor-names",
    )
    container_labels: tuple[str, ...] = key(
        (),
        TEXTS,
        "container label to add as container_label_… to each container_ series",
        flag="--metrics.container-label",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """Docker daemons."""

    hosts: tuple[str, ...] = key(
        (),
        TEXTS,
        "further endpoint, such as unix:///srv/docker.sock",
        flag="--collector.docker.host",
    )
    timeout: float = key(
        3.0,
        duration(0.1),
        "longest wait for daemons in the first pass; their files are read meanwhile",
        flag="--collector.docker.timeout",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Openvz:
    """OpenVZ and Virtuozzo."""

    vzlist_command: tuple[str, ...] = key(
        (),
        COMMAND,
        "command to run instead of vzlist, for instance with sudo",
        flag="--collector.openvz.vzlist-command",
    )
    vzlist_file: str = key(
        "",
        FILE_PATH,
        "file with the output of vzlist, if the agent cannot run it",
        flag="--collector.openvz.vzlist-file",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lxc:
    """LXC."""

    paths: tuple[str, ...] = key((), TEXTS, "further lxcpath", flag="--collector.lxc.path")
