"""Which Docker daemons run on this host, where each listens, and where each keeps its things.

A daemon is a process whose binary is dockerd. Its sockets are those that it holds and the kernel
calls listening; its command line and daemon.json tell the rest. dockerd(8), proc_net(5).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.engines.docker.container import CgroupRule
from collectors.engines.docker.sockets import listening_paths, server_of
from collectors.engines.shared.files import homes, read_object
from collectors.engines.shared.processes import binary_name, claimed_name
from collectors.engines.shared.views import instance_prefix, on_host, open_root, shortest
from collectors.facts import CgroupMode
from collectors.formats.command_line import option_value, option_values
from collectors.formats.documents import JsonObject
from collectors.hostfs import Denied, HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.contract import Context
    from collectors.facts import Process, ProcessId
    from collectors.hostfs import Dir

DEFAULT_SOCKET = "/run/docker.sock"
DEFAULT_DATA_ROOT = "/var/lib/docker"
_CONFIGURATION = "/etc/docker/daemon.json"
_STRANGERS_LIMIT = 64
_LOCAL_TCP = re.compile(r"tcp://(?:127\.0\.0\.1|0\.0\.0\.0|localhost|\[::1?\])?(?::(\d{1,5}))?")
_TCP_PORT = 2375
_NOT_THE_API = ("metrics.sock", "control.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One Docker daemon, as far as it can be known without asking it."""

    instance: str
    place: str = ""
    """Where it runs, if not on the host itself: what the instance begins with."""
    process: Process | None = None
    """None: it does not run, or it is behind an address that an operator gave."""
    view: Process | None = None
    """A process in whose view the paths are; None: they are the host's."""
    sockets: tuple[str, ...] = ()
    """Where it may answer, in its own view, the likeliest first."""
    address: str = ""
    """What DOCKER_HOST would have to be, where it listens on no unix socket."""
    data_root: str = DEFAULT_DATA_ROOT
    rule: CgroupRule = field(default_factory=CgroupRule)
    must_be_here: bool = False
    """The address may name another machine, whose containers are not on this host."""
    is_stranger: bool = False
    """It is not root's on this host: what it says is believed only of its own processes."""


class DaemonFinder:
    """Finds the daemons that run; keeps what it learnt of a process, which does not change."""

    def __init__(self) -> None:
        self._known: dict[ProcessId, Daemon] = {}
        self._roots: dict[tuple[str, str], str] = {}

    def find(self, ctx: Context) -> list[Daemon]:
        """Return every daemon that runs, each once."""
        known, self._known = self._known, {}
        strangers = 0
        for process in ctx.processes:
            if not _is_dockerd(process) or _is_dockerd(ctx.processes.get(process.ppid)):
                # It starts itself to unpack a layer, and to become another program.
                continue
            daemon = known.get(process.id)
            if daemon is None or not daemon.sockets:
                daemon = _daemon(ctx, process)
            if daemon is None:
                continue
            strangers += daemon.is_stranger
            if not daemon.is_stranger or strangers <= _STRANGERS_LIMIT:
                self._known[process.id] = daemon
        return list({d.instance: d for d in self._known.values()}.values())

    def find_silent(self, ctx: Context) -> Iterator[Daemon]:
        """Return the data roots of daemons that may have left containers, running or not.

        A shim outlives its daemon, and its bundle names files of the data root. All shims of one
        containerd work for one daemon, so one of them is asked.
        """
        known, self._roots = self._roots, {}
        for shim in ctx.processes:
            if not binary_name(shim).startswith("containerd-shim"):
                continue
            if option_value(shim.argv, "-namespace") != "moby":
                continue
            place = instance_prefix(ctx, shim)
            key = (place, option_value(shim.argv, "-address"))
            if key in self._roots:
                continue
            root = known.get(key) or _data_root_of_shim(ctx, shim)
            if root:
                self._roots[key] = root
                yield Daemon(
                    instance=place + root,
                    place=place,
                    view=shim,
                    data_root=root,
                    rule=CgroupRule(systemd=is_systemd_default(ctx)),
                    is_stranger=shim.uid not in (0, None) or bool(place),
                )
        yield Daemon(instance=DEFAULT_SOCKET, rule=CgroupRule(systemd=is_systemd_default(ctx)))


def _is_dockerd(process: Process | None) -> bool:
    return process is not None and claimed_name(process) == "dockerd"


def _daemon(ctx: Context, process: Process) -> Daemon | None:
    """Learn what can be known of a daemon; None where it has ended, or is another user's."""
    try:
        with open_root(ctx, process) as root:
            said = _configuration(ctx, process, root)
    except HostReadError:
        return None
    hosts = (*option_values(process.argv, "-H", "--host"), *said.texts("hosts"))
    sockets = _sockets(ctx, process, hosts)
    if sockets is None:
        return None
    address = "" if sockets else _address(ctx, process, hosts)
    # A daemon that has just begun does not listen yet, but its name is not to change when it does.
    usual = address or next(iter(_given(hosts)), DEFAULT_SOCKET)
    place = instance_prefix(ctx, process)
    return Daemon(
        instance=place + (sockets[0] if sockets else usual),
        place=place,
        process=process,
        view=process,
        sockets=sockets,
        address=address,
        data_root=_data_root(ctx, process, said),
        rule=_rule(ctx, process, said),
        is_stranger=process.uid not in (0, None) or not on_host(ctx, process),
    )


def _configuration(ctx: Context, process: Process, root: Dir) -> JsonObject:
    path = option_value(process.argv, "--config-file") or _CONFIGURATION
    if process.uid not in (0, None) and path == _CONFIGURATION:
        path = f"{homes(ctx).get(process.uid or 0)}/.config/docker/daemon.json"
    try:
        with root.open_dir(posixpath.dirname(path), confined=True) as folder:
            return read_object(folder, posixpath.basename(path)) or JsonObject()
    except HostReadError:
        return JsonObject()


def _data_root(ctx: Context, process: Process, said: JsonObject) -> str:
    given = option_value(process.argv, "--data-root", "--graph", "-g")
    found = given or said.text("data-root") or said.text("graph")
    if found.startswith("/"):
        return posixpath.normpath(found)
    if process.uid not in (0, None):
        return f"{homes(ctx).get(process.uid or 0)}/.local/share/docker"
    return DEFAULT_DATA_ROOT


def _rule(ctx: Context, process: Process, said: JsonObject) -> CgroupRule:
    systemd = _is_systemd(ctx, process, said)
    parent = option_value(process.argv, "--cgroup-parent") or said.text("cgroup-parent")
    if systemd and not parent and process.uid not in (0, None):
        parent = "user.slice"
    return CgroupRule(systemd=systemd, parent=parent)


def _is_systemd(ctx: Context, process: Process, said: JsonObject) -> bool:
    """Return which cgroup driver a daemon uses: what it is told, else systemd's on a v2 host."""
    for given in (*option_values(process.argv, "--exec-opt"), *said.texts("exec-opts")):
        name, _, value = given.partition("=")
        if name == "native.cgroupdriver":
            return value == "systemd"
    return is_systemd_default(ctx)


def is_systemd_default(ctx: Context) -> bool:
    """Return whether a daemon that is told nothing leaves its cgroups to systemd."""
    return ctx.facts.cgroups.mode is CgroupMode.V2 and ctx.host.root.exists("/run/systemd/system")


def _sockets(ctx: Context, process: Process, hosts: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the unix sockets on which a daemon listens, those for its API first.

    Another user's descriptors cannot be read. Then it is what the daemon is told to listen on, or
    what everybody listens on, if that is there; None: it may well be in a container.
    """
    given = _given(hosts)
    try:
        found = {path for path in listening_paths(ctx, process) if _may_be_api(path)}
    except Denied:
        found = {path for path in given or [DEFAULT_SOCKET] if ctx.host.root.exists(path)}
        if not found:
            return None
    except HostReadError:
        return None  # it has ended
    return tuple(sorted(found, key=lambda p: (p not in given, p != DEFAULT_SOCKET, p)))


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
    known = {path for daemon in running if not daemon.place for path in daemon.sockets}
    found: dict[str, Daemon] = {}
    usual = ctx.options.environment.get("DOCKER_HOST", "")
    for address in (*ctx.options.docker_hosts, usual):
        daemon = None
        if address.startswith(("unix:///", "/")):
            path = shortest(address.removeprefix("unix://"))
            if path not in known and server_of(ctx, path) is not None:
                daemon = Daemon(instance=path, sockets=(path,))
        elif address.startswith(("tcp://", "http://", "https://")):
            by_name = address == usual and address not in ctx.options.docker_hosts
            daemon = Daemon(instance=address, address=address, must_be_here=by_name)
        if daemon is not None:
            found.setdefault(daemon.instance, daemon)
    return list(found.values())


def _data_root_of_shim(ctx: Context, shim: Process) -> str:
    container = option_value(shim.argv, "-id")
    try:
        with ctx.host.proc.open_dir(f"{shim.pid}/cwd", confined=True) as bundle:
            document = read_object(bundle, "config.json") or JsonObject()
    except HostReadError:
        return ""
    for mount in document.objects("mounts"):
        root, found, _ = mount.text("source").partition(f"/containers/{container}/")
        if found and root.startswith("/"):
            return posixpath.normpath(root)
    return ""
