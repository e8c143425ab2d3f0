"""One Docker daemon: asked when something changed, and read from disk when it does not answer."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from collectors.engines.docker.container import (
    CgroupRule,
    Described,
    describe,
    describe_image,
    describe_listed,
    fingerprint,
)
from collectors.engines.docker.disk import DiskReader, read_image
from collectors.engines.docker.errors import ApiError, NotFound, RemoteDaemon
from collectors.engines.docker.events import Follower
from collectors.engines.shared.cgroup_paths import cgroup_of, user_manager
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import alive, host_numbers
from collectors.engines.shared.views import (
    cgroup_prefix,
    on_host,
    open_root,
    root_opener,
)
from collectors.facts import ImageFacts, State
from collectors.formats.documents import JsonObject
from collectors.hostfs import HostReadError, Malformed
from collectors.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from collectors.contract import Context
    from collectors.engines.docker.api import Client, Dial
    from collectors.engines.docker.discovery import Daemon
    from collectors.facts import Process, ProcessId, Sighting
    from collectors.hostfs import Dir

_ANSWER_SECONDS = 10.0
_REFRESH_SECONDS = 8.0
_BROKEN_LIMIT = 3
"""Containers that may fail to be inspected in one refresh before the daemon counts as failing."""
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class _CachedContainer:
    """A container as it was last described, with the sighting that was made of it."""

    described: Described
    mark: tuple[object, ...] | None
    """Its fingerprint in the list; None: it must be inspected again."""
    log_bytes: int | None = None
    sighting: Sighting | None = None
    basis: tuple[object, ...] = ()


class DaemonReader:
    """Reads one daemon's containers; keeps what it read, and inspects only what changed."""

    def __init__(self) -> None:
        self.daemon: Daemon | None = None
        self.data_root = ""
        """The daemon's own answer to where it keeps its files."""
        self._client: Client | None = None
        self._client_of: ProcessId | None = None
        self._follower: Follower | None = None
        self._rule: CgroupRule | None = None
        self._containers: dict[str, _CachedContainer] = {}
        self._last_seen: list[Sighting] = []
        self._images: dict[str, ImageFacts] = {}
        self._disk = DiskReader()
        self._broken = 0
        self._error = ""
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def refresh(self, ctx: Context, daemon: Daemon) -> list[Sighting]:
        """Ask the daemon what changed. Raises ApiError; then ``fallback`` is what is left."""
        if monotonic() < self._not_before:
            raise ApiError(self._error)
        try:
            self._update(ctx, self._connected(ctx, daemon))
        except ApiError as error:
            self.close()
            self._error = str(error)
            self._not_before = monotonic() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            raise
        self._pause = _FIRST_PAUSE
        return self._sightings(ctx, daemon)

    def fallback(self, ctx: Context, daemon: Daemon) -> list[Sighting]:
        """Return the containers as last described, brought up to date from the daemon's files."""
        self.daemon = daemon
        rule = self._rule or daemon.rule
        try:
            path = self.data_root or daemon.data_root
            with open_root(ctx, daemon.view) as top, top.open_dir(path, confined=True) as root:
                self._take_from_disk(self._disk.read(root, rule))
                for cached in self._containers.values():
                    image = cached.described.image_id
                    facts = None if image in self._images else read_image(root, image)
                    if facts is not None:
                        self._images[image] = facts
                self._forget_images()
        except HostReadError:
            if daemon.process is None:
                self._containers.clear()  # the daemon is gone with its files
        return self._sightings(ctx, daemon)

    def _take_from_disk(self, containers: list[Described]) -> None:
        before, self._containers = self._containers, {}
        for described in containers:
            engine_id = described.sighting.engine_id
            cached = before.get(engine_id)
            if cached is None or _life(cached.described) != _life(described):
                cached = _CachedContainer(described, None)
            self._containers[engine_id] = cached

    def _connected(self, ctx: Context, daemon: Daemon) -> Client:
        process = daemon.process.id if daemon.process is not None else None
        if process != self._client_of or self.daemon is None or self.daemon != daemon:
            self.close()
        self.daemon = daemon
        self._client_of = process
        if self._client is None:
            self._client = _connector(ctx, daemon)()
            server = self._client.server()
            self._rule = replace(daemon.rule, systemd=server.systemd_cgroups)
            if daemon.must_be_here and server.name != ctx.facts.nodename:
                raise RemoteDaemon(f"{daemon.instance} is the Docker of {server.name}")
            if server.data_root.startswith("/"):
                self.data_root = server.data_root
            # The next refresh follows the events; a single one needs none.
            ctx.wake()
        elif self._follower is None and daemon.sockets:
            self._follower = Follower(_connector(ctx, daemon), daemon.instance, ctx.wake)
            self._follower.start()
        return self._client

    def _update(self, ctx: Context, client: Client) -> None:
        missed, changed = self._follower.take() if self._follower is not None else (True, set())
        self._broken = 0
        if missed or ctx.full:
            self._list(ctx, client, changed)
        else:
            for engine_id in changed:
                self._inspect(ctx, client, engine_id, JsonObject())
        for cached in self._containers.values():
            self._inspect_image(client, cached.described.image_id)

    def _list(self, ctx: Context, client: Client, changed: set[str]) -> None:
        listed = {entry.text("Id"): entry for entry in client.containers()}
        for engine_id in [i for i in self._containers if i not in listed]:
            self._forget(engine_id)
        deadline = monotonic() + _REFRESH_SECONDS
        for engine_id, entry in listed.items():
            cached = self._containers.get(engine_id)
            is_current = cached is not None and cached.mark == fingerprint(entry)
            if is_current and engine_id not in changed and not _has_lost_its_process(ctx, cached):
                continue
            if monotonic() < deadline:
                self._inspect(ctx, client, engine_id, entry)
            elif cached is None:
                self._keep_listed(entry)
                ctx.wake()
        self._forget_images()

    def _forget_images(self) -> None:
        """Forget the images that no container has any more."""
        images = {cached.described.image_id for cached in self._containers.values()}
        self._images = {i: facts for i, facts in self._images.items() if i in images}

    def _inspect(self, ctx: Context, client: Client, engine_id: str, entry: JsonObject) -> None:
        try:
            document = client.container(engine_id)
        except NotFound:
            # Created and removed since it was listed.
            self._forget(engine_id)
            return
        except ApiError as error:
            self._broken += 1
            if self._broken >= _BROKEN_LIMIT:
                raise
            self._not_inspected(ctx, engine_id, entry, str(error))
            return
        described = describe(document, document.object("HostConfig"), self._rule or CgroupRule())
        if described is None or described.sighting.engine_id != engine_id:
            self._not_inspected(ctx, engine_id, entry, "inspect: another container")
        else:
            self._containers[engine_id] = _CachedContainer(
                described, fingerprint(entry) if entry else None
            )

    def _ooms_of(self, cached: _CachedContainer) -> int | None:
        follower, engine_id = self._follower, cached.described.sighting.engine_id
        return follower.ooms_of(engine_id) if follower is not None else None

    def _forget(self, engine_id: str) -> None:
        """Forget a container; one whose end was an event is reported once more, as it ended."""
        cached = self._containers.pop(engine_id, None)
        ooms = self._ooms_of(cached) if cached is not None else None
        end = self._follower.end_of(engine_id) if self._follower is not None else None
        if cached is not None and cached.sighting is not None and end is not None:
            last = replace(cached.sighting, state=State.EXITED, init=None, exit_code=end.exit_code)
            self._last_seen.append(
                replace(
                    last,
                    finished=end.finished,
                    oom_killed=end.oom_killed or last.oom_killed,
                    oom_events=last.oom_events if ooms is None else ooms,
                )
            )

    def _not_inspected(self, ctx: Context, engine_id: str, entry: JsonObject, why: str) -> None:
        ctx.host.tally.count(Malformed(f"docker/containers/{engine_id}", why))
        if engine_id not in self._containers:
            self._keep_listed(entry)

    def _keep_listed(self, entry: JsonObject) -> None:
        """Keep what the list has of a container that cannot be inspected."""
        sighting = describe_listed(entry)
        if sighting is not None:
            described = Described(
                sighting=sighting, pid=None, image_id=entry.text("ImageID"), log_path=""
            )
            self._containers[sighting.engine_id] = _CachedContainer(described, None)

    def _inspect_image(self, client: Client, image_id: str) -> None:
        if not image_id or image_id in self._images:
            return
        try:
            self._images[image_id] = describe_image(client.image(image_id))
        except NotFound:
            # Removed by force under its containers, or in a store that looks it up by layers.
            self._images[image_id] = ImageFacts(id=image_id)

    def _sightings(self, ctx: Context, daemon: Daemon) -> list[Sighting]:
        view = daemon.view
        numbers = host_numbers(ctx, view)
        prefix = _cgroup_prefix(ctx, daemon, self._rule or daemon.rule)
        with ExitStack() as stack:
            root = None
            if ctx.full and not daemon.is_untrusted:
                with suppress(HostReadError):
                    root = stack.enter_context(open_root(ctx, view))
            for cached in self._containers.values():
                if root is not None:
                    cached.log_bytes = _size(root, cached.described.log_path)
                process = _first_process(ctx, daemon, cached, numbers)
                if process is None and cached.described.pid and cached.sighting is None:
                    ctx.wake()  # most likely younger than the table of processes
                facts = self._images.get(cached.described.image_id)
                ooms = self._ooms_of(cached)
                basis = (process and process.id, facts, cached.log_bytes, prefix, ooms)
                if cached.sighting is None or cached.basis != basis:
                    cached.basis = basis
                    cached.sighting = _sighting(daemon, cached, process, facts, prefix)
                    cached.sighting = replace(cached.sighting, oom_events=ooms)
                    if view is not None and not on_host(ctx, view):
                        # Paths of a daemon in a container are not paths of the host.
                        cached.sighting = replace(cached.sighting, rootfs="", mounts=())
        last_seen, self._last_seen = self._last_seen, []
        return [
            *last_seen,
            *(k.sighting for k in self._containers.values() if k.sighting is not None),
        ]


def _sighting(
    daemon: Daemon,
    cached: _CachedContainer,
    process: Process | None,
    facts: ImageFacts | None,
    prefix: str | None,
) -> Sighting:
    base = cached.described.sighting
    cgroup = None
    if process is not None:
        cgroup = cgroup_of(process, base.cgroup, base.engine_id)
    elif prefix is not None and base.cgroup is not None:
        cgroup = prefix + base.cgroup
    return replace(
        base,
        instance=daemon.instance,
        init=process.id if process is not None else None,
        cgroup=cgroup,
        image_facts=replace(facts, reference=base.image) if facts is not None else None,
        log_bytes=cached.log_bytes,
    )


def _first_process(
    ctx: Context, daemon: Daemon, cached: _CachedContainer, numbers: Mapping[int, Process]
) -> Process | None:
    sighting, pid = cached.described.sighting, cached.described.pid
    process = numbers.get(pid) if pid is not None else None
    if process is not None and cached.sighting is not None and cached.sighting.init == process.id:
        return process  # checked before
    owner = daemon.view.uid if daemon.view is not None and on_host(ctx, daemon.view) else None
    return recorded_process(
        ctx, numbers, pid, sighting.engine_id, recorded=sighting.started, owner=owner
    )


def _has_lost_its_process(ctx: Context, cached: _CachedContainer | None) -> bool:
    """Return whether a container's first process has ended: it may be running again by now."""
    init = cached.sighting.init if cached is not None and cached.sighting is not None else None
    if init is None:
        return False
    process = alive(ctx, init.pid)
    return process is None or process.id != init


def _life(described: Described) -> tuple[object, ...]:
    """Return what differs when a container was started or has ended since."""
    sighting = described.sighting
    return (sighting.state, sighting.started, sighting.finished, sighting.name)


def _cgroup_prefix(ctx: Context, daemon: Daemon, rule: CgroupRule) -> str | None:
    """Return what precedes the cgroups that a daemon names; None: its containers get none."""
    view = daemon.view
    if view is None:
        return ""
    if not on_host(ctx, view):
        return cgroup_prefix(ctx, view)
    if view.uid in (0, None):
        return ""
    return user_manager(view.uid) if rule.systemd else None


def _size(root: Dir, path: str) -> int | None:
    try:
        return root.stat(path).st_size if path.startswith("/") else None
    except HostReadError:
        return None


def _connector(ctx: Context, daemon: Daemon) -> Callable[[], Client]:
    """Return a function that connects, now or later; it keeps no reference to the context."""
    from collectors.engines.docker.api import Client  # noqa: PLC0415 - loads the SDK

    options = ctx.options
    dials = [_dial(ctx, daemon, path) for path in daemon.sockets]
    addresses: list[Dial | str] = [*dials, *filter(None, (daemon.address,))]

    def connect() -> Client:
        error = ApiError("it does not listen on any socket yet")
        for address in addresses:
            try:
                return Client(
                    address,
                    wait=options.docker_timeout,
                    seconds=_ANSWER_SECONDS,
                    environment=options.environment,
                )
            except ApiError as failure:
                error = failure
        raise error

    return connect


def _dial(ctx: Context, daemon: Daemon, path: str) -> Dial:
    opened = root_opener(ctx, daemon.view)

    def dial(connection: socket.socket) -> None:
        with opened() as root:
            if not root.confined:
                connection.connect(path)  # the host's own root
                return
            # Held only while connecting: it would keep the container's mounts alive.
            file = openat2(root.fd, path, os.O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        try:
            connection.connect(f"/proc/self/fd/{file}")
        finally:
            os.close(file)

    return dial
