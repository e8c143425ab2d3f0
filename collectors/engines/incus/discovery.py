"""Which Incus and LXD daemons there are on this host, and in which directory each works."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.engines.shared.liblxc import DAEMONS, Monitor, find_monitors
from collectors.engines.shared.processes import claimed_name
from collectors.engines.shared.views import instance_prefix, on_host
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.facts import Process

_VARIABLES = {"incus": b"INCUS_DIR", "lxd": b"LXD_DIR"}


@dataclass(slots=True, kw_only=True)
class Daemon:
    """A daemon, running or not, by its directory."""

    directory: str
    engine: str
    prefix: str = ""
    """What names the container that the daemon runs in; empty for one of the host."""
    process: Process | None = None
    """The running daemon, where it is one of the host, which may be asked."""
    seen_by: Process | None = None
    """A process that sees the directory under its path, where the host may not."""
    monitors: dict[str, Monitor] = field(default_factory=dict)
    """Monitors of its containers by liblxc's name for them."""

    @property
    def instance(self) -> str:
        """Return the engine instance, by which two daemons are told apart."""
        return self.prefix + self.directory


def find_daemons(ctx: Context, remembered: Mapping[str, str]) -> list[Daemon]:
    """Return the daemons: those that run, those of running containers, and the remembered ones.

    ``remembered`` is the engine by its directory.
    """
    daemons = {d: Daemon(directory=d, engine=engine) for d, engine in remembered.items()}
    for process in ctx.processes:
        engine = DAEMONS.get(claimed_name(process))
        if engine is not None and _is_daemon(ctx, process):
            directory = _directory_of(ctx, process, engine)
            daemon = daemons.setdefault(directory, Daemon(directory=directory, engine=engine))
            daemon.process = daemon.seen_by = process
    for monitor in find_monitors(ctx):
        directory, slash, last = monitor.lxcpath.rpartition("/")
        if monitor.engine == "lxc" or not slash or last != "containers":
            continue
        process = monitor.process
        if process.uid and (_is_of_host(ctx, process) or on_host(ctx, process)):
            continue  # no daemon of root's: a user's program may be called so
        prefix = "" if _is_of_host(ctx, process) else instance_prefix(ctx, process)
        new = Daemon(directory=directory, engine=monitor.engine, prefix=prefix)
        daemon = daemons.setdefault(new.instance, new)
        daemon.monitors.setdefault(monitor.name, monitor)
        daemon.seen_by = daemon.seen_by or process
    return list(daemons.values())


def _is_of_host(ctx: Context, process: Process) -> bool:
    # By the pid namespace: a daemon in a snap has a mount namespace of its own on the host.
    return process.namespaces.pid in (None, ctx.facts.namespaces.pid)


def _is_daemon(ctx: Context, process: Process) -> bool:
    """Return whether this is the daemon itself, not a helper (``incusd forkproxy``) or monitor."""
    words = process.argv[1:2]
    is_helper = bool(words) and not words[0].startswith("-")
    is_titled = bool(process.argv[:1]) and process.argv[0].startswith("[")
    return not (is_helper or is_titled) and process.uid == 0 and _is_of_host(ctx, process)


def _directory_of(ctx: Context, daemon: Process, engine: str) -> str:
    """Return the directory that a daemon works in: by its environment, else the default."""
    with suppress(HostReadError):
        for entry in ctx.host.proc.read(f"{daemon.pid}/environ").split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == _VARIABLES[engine] and value.startswith(b"/"):
                return value.decode("utf-8", "replace").rstrip("/")
    return f"/var/lib/{engine}"
