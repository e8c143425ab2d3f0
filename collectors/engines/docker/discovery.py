"""Which Docker daemons run on this host, where each listens, and where each keeps its files.

A daemon is a process whose binary is dockerd. Its sockets are those that it holds and the kernel
calls listening; the rest is in its command line and daemon.json. dockerd(8), proc_net(5).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.docker.container import CgroupRule
from collectors.engines.docker.sockets import is_listening, listening_paths, server_of
from collectors.engines.shared.files import home_of, read_object
from collectors.engines.shared.processes import binary_name, claimed_name
from collectors.engines.shared.turns import Turns, owner_of
from collectors.engines.shared.views import instance_prefix, on_host, open_root, shortest
from collectors.facts import CgroupMode
from collectors.formats.command_line import option_value, option_values
from collectors.formats.documents import JsonObject
from collectors.hostfs import Denied, HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.contract import Context
    from collectors.facts import Process, ProcessId
    from collectors.hostfs import Dir

DEFAULT_SOCKET = "/run/docker.sock"
DEFAULT_DATA_ROOT = "/var/lib/docker"
_SNAPS_DATA_ROOT = "/var/snap/docker/common/var-lib-docker"
_CONFIGURATION = "/etc/docker/daemon.json"
_UNTRUSTED_LIMIT = 64
_LOCAL_TCP = re.compile(r"tcp://(?:127\.0\.0\.1|0\.0\.0\.0|localhost|\[::1?\])?(?::(\d{1,5}))?")
_TCP_PORT = 2375
_Key = tuple[str, str]
"""Of the shims of one containerd: the container that it runs in, and its address."""

_NOT_THE_API = ("metrics.sock", "control.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One Docker daemon, as far as it can be known without asking it."""

    instance: str
    prefix: str = ""
    """What names the container that it runs in; empty on the host itself."""
    process: Process | None = None
    """None: it does not run, or it is behind an address that an operator gave."""
    view: Process | None = None
    """A process in whose view the paths are; None: they are the host's."""
    sockets: tuple[str, ...] = ()
    """Paths at which it may answer, in its own view, the likeliest first."""
    address: str = ""
    """What DOCKER_HOST would have to be, where it listens on no unix socket."""
    data_root: str = DEFAULT_DATA_ROOT
    rule: CgroupRule = field(default_factory=CgroupRule)
    must_be_here: bool = False
    """The address may name another machine, whose containers are not on this host."""
    is_untrusted: bool = False
    """It is not root's on this host: its answers are believed only of its own processes."""


class DaemonFinder:
    """Finds the daemons that run; what was read of a process is kept, as it does not change."""

    def __init__(self) -> None:
        self._daemons: dict[ProcessId, Daemon] = {}
        self._roots: dict[_Key, str] = {}
        self._turns: Turns[Daemon] = Turns()
        self._silent_turns: Turns[tuple[_Key, Daemon]] = Turns()

    def find(self, ctx: Context) -> list[Daemon]:
        """Return every daemon that runs, each once."""
        before, self._daemons = self._daemons, {}
        candidates = [
            process
            for process in ctx.processes
            # It starts itself to unpack a layer, and to become another program.
            if _is_dockerd(process) and not _is_dockerd(ctx.processes.get(process.ppid))
        ]
        own = [p for p in candidates if not _is_untrusted(ctx, p)]
        untrusted = [p for p in candidates if _is_untrusted(ctx, p)]
        for process in own:
            daemon = before.get(process.id)
            # Without a socket it may listen by now.
            if daemon is None or not daemon.sockets:
                daemon = _daemon(ctx, process)
            if daemon is not None:
                self._daemons[process.id] = daemon
        strangers: dict[str, list[Process]] = {}
        for process in _each_user_in_turn(untrusted)[:_UNTRUSTED_LIMIT]:
            strangers.setdefault(owner_of(ctx, process), []).append(process)
        readers = {
            owner: partial(_describe_all, ctx, found, before) for owner, found in strangers.items()
        }
        here = {process.id for process in untrusted}
        for daemon in self._turns.read(readers, ctx.wake, first=ctx.first):
            if daemon.process is not None and daemon.process.id in here:
                self._daemons[daemon.process.id] = daemon
        # A stranger may claim the socket of root's own, who comes first.
        return list({d.instance: d for d in reversed(self._daemons.values())}.values())[::-1]

    def find_silent(self, ctx: Context) -> Iterator[Daemon]:
        """Return the data roots of daemons that may have left containers, running or not.

        A shim outlives its daemon, and its bundle names files of the data root. All shims of one
        containerd work for one daemon, so one of them is asked.
        """
        before, self._roots = self._roots, {}
        strangers: dict[str, list[tuple[_Key, Process]]] = {}
        untrusted = 0
        for shim in ctx.processes:
            if not binary_name(shim).startswith("containerd-shim"):
                continue
            if option_value(shim.argv, "-namespace") != "moby":
                continue
            prefix = instance_prefix(ctx, shim)
            key = (prefix, option_value(shim.argv, "-address"))
            if key in self._roots:
                continue
            owner = owner_of(ctx, shim)
            untrusted += bool(owner)
            if owner and untrusted <= _UNTRUSTED_LIMIT:
                strangers.setdefault(owner, []).append((key, shim))
            elif not owner:
                root = before.get(key) or _data_root_of_shim(ctx, shim)
                if root:
                    self._roots[key] = root
                    yield _silent(ctx, shim, root)
        readers = {
            owner: partial(_silent_of, ctx, found, before) for owner, found in strangers.items()
        }
        for key, daemon in self._silent_turns.read(readers, ctx.wake, first=ctx.first):
            if self._roots.setdefault(key, daemon.data_root) == daemon.data_root:
                yield daemon
        yield from _usual(ctx)


def _usual(ctx: Context) -> Iterator[Daemon]:
    """Return the usual daemon, and that of the snap, which listens on the same socket."""
    rule = CgroupRule(systemd=is_systemd_default(ctx))
    usual = Daemon(instance=DEFAULT_SOCKET, rule=rule)
    snaps = replace(usual, data_root=_SNAPS_DATA_ROOT)
    here = [daemon for daemon in (usual, snaps) if ctx.host.root.exists(daemon.data_root)]
    yield from here or [usual]


def _describe_all(
    ctx: Context, processes: list[Process], before: Mapping[ProcessId, Daemon]
) -> Iterator[Daemon | None]:
    for process in processes:
        daemon = before.get(process.id)
        if daemon is None or (not daemon.sockets and ctx.full):
            daemon = _daemon(ctx, process)
        yield daemon


def _silent_of(
    ctx: Context, shims: list[tuple[_Key, Process]], before: Mapping[_Key, str]
) -> Iterator[tuple[_Key, Daemon] | None]:
    seen = set()
    for key, shim in shims:
        if key not in seen:
            seen.add(key)
            root = before.get(key) or _data_root_of_shim(ctx, shim)
            yield (key, _silent(ctx, shim, root)) if root else None


def _silent(ctx: Context, shim: Process, root: str) -> Daemon:
    prefix = instance_prefix(ctx, shim)
    return Daemon(
        instance=prefix + root,
        prefix=prefix,
        view=shim,
        data_root=root,
        rule=CgroupRule(systemd=is_systemd_default(ctx)),
        is_untrusted=_is_untrusted(ctx, shim),
    )


def _is_dockerd(process: Process | None) -> bool:
    return process is not None and claimed_name(process) == "dockerd"


def _is_another_program(process: Process) -> bool:
    """Return whether dockerd's binary runs for one task, under the task's name.

    A hook of runc runs it as ``libnetwork-setkey``, a pull as ``docker-untar``: package reexec of
    moby. The names change from version to version, so any but its own counts.
    """
    name = posixpath.basename(process.argv[0]) if process.argv else ""
    return name not in ("dockerd", "docker", "")


def _each_user_in_turn(processes: list[Process]) -> list[Process]:
    """Order processes so that no user's (or container's) many come before another's first."""
    turns: dict[object, int] = {}
    order = []
    for process in sorted(processes, key=lambda p: p.id.start_ticks):
        owner = process.uid or process.root
        turns[owner] = turns.get(owner, 0) + 1
        order.append((turns[owner], process.id.start_ticks, process))
    return [process for _, _, process in sorted(order, key=lambda item: item[:2])]


def _is_untrusted(ctx: Context, process: Process) -> bool:
    return process.uid not in (0, None) or not on_host(ctx, process)


def _daemon(ctx: Context, process: Process) -> Daemon | None:
    """Describe a running daemon; None where it has ended, or is another user's."""
    try:
        with open_root(ctx, process) as root:
            config = _configuration(ctx, process, root)
    except HostReadError:
        return None
    hosts = (*option_values(process.argv, "-H", "--host"), *config.texts("hosts"))
    sockets = _sockets(ctx, process, hosts)
    if sockets is None or (not sockets and _is_another_program(process)):
        return None
    address = "" if sockets else _address(ctx, process, hosts)
    # A daemon that has just begun does not listen yet; its name must not change when it does.
    usual = address or next(iter(_given(hosts)), DEFAULT_SOCKET)
    prefix = instance_prefix(ctx, process)
    return Daemon(
        instance=prefix + (sockets[0] if sockets else usual),
        prefix=prefix,
        process=process,
        view=process,
        sockets=sockets,
        address=address,
        data_root=_data_root(ctx, process, config),
        rule=_rule(ctx, process, config),
        is_untrusted=_is_untrusted(ctx, process),
    )


def _configuration(ctx: Context, process: Process, root: Dir) -> JsonObject:
    path = option_value(process.argv, "--config-file") or _CONFIGURATION
    if process.uid not in (0, None) and path == _CONFIGURATION:
        path = f"{home_of(ctx, process.uid or 0)}/.config/docker/daemon.json"
    try:
        with root.open_dir(posixpath.dirname(path), confined=True) as folder:
            return read_object(folder, posixpath.basename(path)) or JsonObject()
    except HostReadError:
        return JsonObject()


def _data_root(ctx: Context, process: Process, config: JsonObject) -> str:
    given = option_value(process.argv, "--data-root", "--graph", "-g")
    path = given or config.text("data-root") or config.text("graph")
    if path.startswith("/"):
        return posixpath.normpath(path)
    if process.uid not in (0, None):
        return f"{home_of(ctx, process.uid or 0)}/.local/share/docker"
    return DEFAULT_DATA_ROOT


def _rule(ctx: Context, process: Process, config: JsonObject) -> CgroupRule:
    systemd = _is_systemd(ctx, process, config)
    parent = option_value(process.argv, "--cgroup-parent") or config.text("cgroup-parent")
    if systemd and not parent and process.uid not in (0, None):
        parent = "user.slice"
    return CgroupRule(systemd=systemd, parent=parent)


def _is_systemd(ctx: Context, process: Process, config: JsonObject) -> bool:
    """Return whether a daemon uses the systemd cgroup driver: as configured, else on a v2 host."""
    for given in (*option_values(process.argv, "--exec-opt"), *config.texts("exec-opts")):
        name, _, value = given.partition("=")
        if name == "native.cgroupdriver":
            return value == "systemd"
    return is_systemd_default(ctx)


def is_systemd_default(ctx: Context) -> bool:
    """Return whether a daemon leaves its cgroups to systemd unless configured otherwise."""
    return ctx.facts.cgroups.mode is CgroupMode.V2 and ctx.host.root.exists("/run/systemd/system")


def _sockets(ctx: Context, process: Process, hosts: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the unix sockets on which a daemon listens, those for its API first.

    Another user's descriptors cannot be read. Then it is the sockets that the daemon is configured
    to listen on, or the default one, where they exist; None: it may well be in a container.
    """
    given = _given(hosts)
    try:
        paths = {path for path in listening_paths(ctx, process) if _may_be_api(path)}
    except Denied:
        paths = {path for path in given or [DEFAULT_SOCKET] if ctx.host.root.exists(path)}
        if not paths:
            return None
    except HostReadError:
        return None  # it has ended
    return tuple(sorted(paths, key=lambda p: (p not in given, p != DEFAULT_SOCKET, p)))


def _given(hosts: tuple[str, ...]) -> list[str]:
    return [shortest(h.removeprefix("unix://")) for h in hosts if h.startswith("unix:///")]


def _address(ctx: Context, process: Process, hosts: tuple[str, ...]) -> str:
    """Return the address of a daemon that listens on the host's loopback only, and without TLS."""
    if process.namespaces.net != ctx.facts.namespaces.net or any("tls" in a for a in process.argv):
        return ""
    for host in hosts:
        match = _LOCAL_TCP.fullmatch(host)
        if match is not None:
            return f"tcp://127.0.0.1:{match[1] or _TCP_PORT}"
    return ""


def _may_be_api(path: str) -> bool:
    # Beside the API there are plugins', the metrics plugin's and swarm's sockets.
    return posixpath.basename(path) not in _NOT_THE_API and "/libnetwork/" not in path


def operators_daemons(ctx: Context, running: list[Daemon]) -> list[Daemon]:
    """Return the daemons that options or DOCKER_HOST name and that are not among the others."""
    listening = {path for daemon in running if not daemon.prefix for path in daemon.sockets}
    daemons: dict[str, Daemon] = {}
    usual = ctx.options.environment.get("DOCKER_HOST", "")
    for address in (*ctx.options.docker_hosts, usual):
        daemon = None
        if address.startswith(("unix:///", "/")):
            path = shortest(address.removeprefix("unix://"))
            if path not in listening and server_of(ctx, path) is not None:
                daemon = Daemon(instance=path, sockets=(path,))
        elif address.startswith(("tcp://", "http://", "https://")):
            by_name = address == usual and address not in ctx.options.docker_hosts
            daemon = Daemon(instance=address, address=address, must_be_here=by_name)
        if daemon is not None:
            daemons.setdefault(daemon.instance, daemon)
    return list(daemons.values())


def absent_hosts(ctx: Context, running: list[Daemon]) -> list[str]:
    """Return the sockets that the configuration names and on which nobody listens.

    That of DOCKER_HOST is not among them: it is the shell's, and was not meant for the agent.
    """
    listening = {path for daemon in running if not daemon.prefix for path in daemon.sockets}
    named = {
        shortest(address.removeprefix("unix://"))
        for address in ctx.options.docker_hosts
        if address.startswith(("unix:///", "/"))
    }
    return sorted(path for path in named - listening if not is_listening(ctx, path))


def _data_root_of_shim(ctx: Context, shim: Process) -> str:
    container = option_value(shim.argv, "-id")
    try:
        with ctx.host.proc.open_dir(f"{shim.pid}/cwd", confined=True) as bundle:
            document = read_object(bundle, "config.json") or JsonObject()
    except HostReadError:
        return ""
    for mount in document.objects("mounts"):
        root, separator, _ = mount.text("source").partition(f"/containers/{container}/")
        if separator and root.startswith("/"):
            return posixpath.normpath(root)
    return ""
