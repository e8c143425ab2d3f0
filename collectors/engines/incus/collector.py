"""Incus and LXD: their containers by liblxc's monitors, by their folders, and by their API.

``instance`` is the daemon's folder (``/var/lib/incus``; with the mount namespace behind it when
the daemon itself runs in a container), ``engine_id`` is the name that liblxc knows the container
by, ``<project>_<name>`` outside of the default project. ``created`` is what the daemon says, else
the birth time of the container's folder. Virtual machines are not containers and are left out.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.contract import CollectorError
from collectors.engines.incus.api import list_instances
from collectors.engines.incus.instance import BACKUP_LIMIT, Instance, from_api, parse_backup
from collectors.engines.shared.birth import made_at
from collectors.engines.shared.liblxc import DAEMONS, Monitor, find_monitors, payload_cgroup
from collectors.engines.shared.processes import running_state
from collectors.engines.shared.supervised import files_of, program, started_at
from collectors.facts import ImageFacts, Sighting, State
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.contract import Context
    from collectors.facts import Process
    from collectors.hostfs import Dir

_FOLDERS = {
    "/var/lib/incus": "incus",
    "/var/lib/lxd": "lxd",
    "/var/snap/lxd/common/lxd": "lxd",
}
_VARIABLES = {"incus": b"INCUS_DIR", "lxd": b"LXD_DIR"}
_TIMEOUT = 3.0
"""Seconds that a daemon may take for its answer."""


@dataclass(slots=True)
class _Home:
    """A daemon's folder and what is known of the containers in it."""

    folder: str
    engine: str
    namespace: int | None = None
    """Mount namespace of a daemon that runs in a container; None for one of the host."""
    through: Process | None = None
    """A process that sees the folder as its own path, where the host may not."""
    daemon: Process | None = None
    """The running daemon, where it is one of the host that may be asked."""
    monitors: dict[str, Monitor] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    @property
    def instance(self) -> str:
        return self.folder if self.namespace is None else f"{self.folder}@mnt:[{self.namespace}]"


class IncusCollector:
    """Sees the containers of Incus and LXD daemons, running or not.

    It remembers the folders in which containers ran, and what the API said last.
    """

    name = "incus"

    def __init__(self) -> None:
        self._folders: dict[str, str] = dict(_FOLDERS)
        self._said: dict[str, dict[str, Instance]] = {}

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers there are; the API adds what the disk does not show."""
        found: list[Sighting] = []
        for home in self._homes(ctx):
            home.names = _names_on_disk(ctx, home)
            said = self._ask(ctx, home)
            listed = [n for n, i in said.items() if i.kind == "container"]
            machines = said.keys() - set(listed)
            names = dict.fromkeys([*home.monitors, *home.names, *listed])
            found += [_sighting(ctx, home, n, said.get(n)) for n in names if n not in machines]
        return found

    def close(self) -> None:
        """Nothing is kept open."""

    def _homes(self, ctx: Context) -> Iterable[_Home]:
        homes = {folder: _Home(folder, engine) for folder, engine in self._folders.items()}
        for process in ctx.processes:
            engine = DAEMONS.get(program(process))
            if engine is not None and _is_daemon(ctx, process):
                folder = _folder_of(ctx, process, engine)
                home = homes.setdefault(folder, _Home(folder, engine))
                home.daemon = home.through = process
                self._folders[folder] = engine
        for monitor in find_monitors(ctx):
            folder, slash, last = monitor.lxcpath.rpartition("/")
            if monitor.engine == "lxc" or not slash or last != "containers":
                continue
            process = monitor.process
            namespace = None if _of_host(ctx, process) else process.namespaces.mnt
            fresh = _Home(folder, monitor.engine, namespace, process)
            home = homes.setdefault(fresh.instance, fresh)
            home.monitors.setdefault(monitor.name, monitor)
            home.through = home.through or process
            if namespace is None:
                self._folders[folder] = monitor.engine
        return homes.values()

    def _ask(self, ctx: Context, home: _Home) -> Mapping[str, Instance]:
        """Ask the API in a full pass and when the folder shows somebody new."""
        if home.daemon is None:
            self._said.pop(home.folder, None)
            return {}
        known = self._said.get(home.folder)
        if known is not None and not ctx.full and known.keys() >= {*home.names, *home.monitors}:
            return known
        path = f"{home.folder}/unix.socket"
        try:
            answer = list_instances(ctx.host.host_path(path), _TIMEOUT)
        except CollectorError as error:
            # The folder and the processes still show who is there: counted, and nobody is lost.
            ctx.host.root.malformed(path.lstrip("/"), str(error))
            return known or {}
        self._said[home.folder] = dict(map(from_api, answer))
        return self._said[home.folder]


def _of_host(ctx: Context, process: Process) -> bool:
    # The mount namespace does not tell: a daemon out of a snap has one of its own.
    return process.namespaces.pid in (None, ctx.facts.namespaces.pid)


def _is_daemon(ctx: Context, process: Process) -> bool:
    """Return whether this is the daemon itself, not a helper (``incusd forkproxy``) or monitor."""
    words = process.argv[1:2]
    is_helper = bool(words) and not words[0].startswith("-")
    titled = process.argv[:1] and process.argv[0].startswith("[")
    return not (is_helper or titled) and process.uid == 0 and _of_host(ctx, process)


def _folder_of(ctx: Context, daemon: Process, engine: str) -> str:
    """Return the folder that a daemon works in: its variable's, else the default."""
    with suppress(HostReadError):
        for entry in ctx.host.proc.read(f"{daemon.pid}/environ").split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == _VARIABLES[engine] and value.startswith(b"/"):
                return value.decode("utf-8", "replace").rstrip("/")
    return f"/var/lib/{engine}"


def _views(ctx: Context, home: _Home) -> Iterable[Dir]:
    """Return the root filesystems in which to look: the host's, then the daemon's own view."""
    if home.namespace is None:
        yield ctx.host.root
        if home.through is not None:
            with suppress(HostReadError), ctx.host.container_root(home.through.pid) as root:
                yield root
    else:
        with suppress(HostReadError), files_of(ctx, home.through) as root:
            yield root


def _names_on_disk(ctx: Context, home: _Home) -> list[str]:
    """List the containers by the links that the daemon makes to where each is stored."""
    path = f"{home.folder}/containers".lstrip("/")
    for root in _views(ctx, home):
        with suppress(HostReadError), root.open_dir(path) as directory:
            return sorted(n for n in directory.listdir() if _is_link(directory, n))
    return []


def _is_link(directory: Dir, name: str) -> bool:
    try:
        return bool(directory.readlink(name))
    except HostReadError:
        return False


def _read_backup(ctx: Context, home: _Home, name: str) -> tuple[Instance | None, float | None]:
    """Read backup.yaml and the age of its folder, where the storage is mounted."""
    path = f"{home.folder}/containers/{name}".lstrip("/")
    for root in _views(ctx, home):
        with suppress(HostReadError):
            instance = parse_backup(root.read_text(f"{path}/backup.yaml", BACKUP_LIMIT))
            return instance, made_at(root, path)
    return None, None


def _sighting(ctx: Context, home: _Home, name: str, said: Instance | None) -> Sighting:
    made = None
    if said is None:
        said, made = _read_backup(ctx, home, name)
    monitor = home.monitors.get(name)
    init = monitor.init if monitor else None
    state, cgroup = State.EXITED, f"/lxc.payload.{name}"
    if monitor is not None and init is not None:
        state = running_state(ctx, init)
        cgroup = payload_cgroup(init, monitor.process, name) or cgroup
    boots = said.boots if said else None
    said = said or Instance()
    project, _, short = name.rpartition("_")
    labels = dict(said.labels)
    if project:
        labels[f"{home.engine}.project"] = project
    return Sighting(
        collector="incus",
        engine=home.engine,
        instance=home.instance,
        engine_id=name,
        name=short,
        state=state,
        image=said.image,
        init=init.id if init else None,
        cgroup=cgroup,
        hostname=short,
        created=said.created or made,
        started=started_at(ctx.facts, init.id) if init else None,
        labels=labels,
        boots=boots,
        image_facts=ImageFacts(reference=said.image, id=said.fingerprint)
        if said.fingerprint
        else None,
        auto_remove=said.ephemeral,
        rootfs=f"{home.folder}/containers/{name}/rootfs",
    )
