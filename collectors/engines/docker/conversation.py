"""What one Docker daemon says through its API: asked when something changed, in the background."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from collectors.confined import open_in_root
from collectors.engines.docker.container import (
    CgroupRule,
    Described,
    describe,
    describe_image,
    describe_listed,
    fingerprint,
)
from collectors.engines.docker.errors import ApiError, NotFound, RemoteDaemon
from collectors.engines.docker.events import End, Follower
from collectors.engines.shared.views import root_opener
from collectors.facts import ImageFacts
from collectors.formats.documents import JsonObject
from collectors.hostfs import Malformed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from collectors.contract import Context
    from collectors.engines.docker.api import Client, Dial
    from collectors.engines.docker.discovery import Daemon
    from collectors.facts import ProcessId

ANSWER_SECONDS = 20.0
"""For one answer. No pass waits for so long: the files of the daemon are read meanwhile."""

_UPDATE_SECONDS = 8.0
"""For all that is asked at once; what is left is asked in the next pass."""
_UNTRUSTED_ANSWER = 4 << 20
"""Largest answer of an untrusted daemon that is read, in bytes: many may be asked at once."""
_UNTRUSTED_CONTAINERS = 1000
_BROKEN_LIMIT = 3
"""Containers that may fail to be inspected in one update before the daemon counts as failing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a daemon has told until now."""

    containers: Mapping[str, Described] = field(default_factory=dict)
    listed: Collection[str] = frozenset()
    """Those among them that could not be inspected: little is known of them."""
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    ends: Mapping[str, End] = field(default_factory=dict)
    """How those ended that are gone since the last answer, where an event told."""
    rule: CgroupRule = field(default_factory=CgroupRule)
    data_root: str = ""


@dataclass(slots=True)
class _Known:
    """A container as it was last described."""

    described: Described
    mark: tuple[object, ...] | None
    """Its fingerprint in the list; None: it must be inspected again."""
    is_listed: bool = False


class Conversation:
    """A connection to one daemon, and what it has told: inspects only what changed.

    ``update`` may be called from any thread, by one at a time; ``close`` by any at any time.
    """

    def __init__(self) -> None:
        self._daemon: Daemon | None = None
        self._client: Client | None = None
        self._client_of: ProcessId | None = None
        self._follower: Follower | None = None
        self._rule = CgroupRule()
        self._data_root = ""
        self._known: dict[str, _Known] = {}
        self._images: dict[str, ImageFacts] = {}
        self._ends: dict[str, End] = {}
        self._broken = 0
        self._is_unfinished = False
        self._updating = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        """Close the connections and end the follower's thread; an update that runs fails."""
        self._is_closed = True
        client, follower = self._client, self._follower
        if client is not None:
            client.abort()
        if follower is not None:
            follower.close()
        if self._updating.acquire(blocking=False):
            self._hang_up()
            self._updating.release()

    def has_news(self, ctx: Context, daemon: Daemon) -> bool:
        """Return whether anything may have changed; only while no update runs."""
        follower = self._follower
        is_same = self._daemon == daemon and self._client is not None
        return (
            ctx.full
            or not is_same
            or self._is_unfinished
            or follower is None
            or follower.has_news()
        )

    def ooms_of(self, engine_id: str) -> int | None:
        """Return how many OOM kills of a container the events have told; None without events."""
        follower = self._follower
        return follower.ooms_of(engine_id) if follower is not None else None

    def update(self, ctx: Context, daemon: Daemon, lost: Collection[str]) -> Answer:
        """Ask the daemon what changed; ``lost`` are containers whose first process has ended.

        Raises ApiError.
        """
        with self._updating:
            try:
                self._update(ctx, self._connected(ctx, daemon), lost)
                self._raise_if_closed()
            except BaseException:
                self._is_unfinished = True
                self._hang_up()
                raise
            ends, self._ends = self._ends, {}
            return Answer(
                containers={i: known.described for i, known in self._known.items()},
                listed=frozenset(i for i, known in self._known.items() if known.is_listed),
                images=dict(self._images),
                ends=ends,
                rule=self._rule,
                data_root=self._data_root,
            )

    def _raise_if_closed(self) -> None:
        if self._is_closed:
            raise ApiError("the conversation was closed")

    def _hang_up(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self, ctx: Context, daemon: Daemon) -> Client:
        process = daemon.process.id if daemon.process is not None else None
        if process != self._client_of or self._daemon is None or self._daemon != daemon:
            self._hang_up()
        self._daemon = daemon
        self._client_of = process
        if self._client is None:
            self._client = connector(ctx, daemon)()
            self._raise_if_closed()
            server = self._client.server()
            self._rule = replace(daemon.rule, systemd=server.systemd_cgroups)
            if daemon.must_be_here and server.name != ctx.facts.nodename:
                raise RemoteDaemon(f"{daemon.instance} is the Docker of {server.name}")
            if server.data_root.startswith("/"):
                self._data_root = server.data_root
            # The next update follows the events; a single one needs none.
            ctx.wake()
        elif self._follower is None and daemon.sockets:
            self._follower = Follower(connector(ctx, daemon), daemon.instance, ctx.wake)
            self._follower.start()
        return self._client

    def _update(self, ctx: Context, client: Client, lost: Collection[str]) -> None:
        missed, changed = self._follower.take() if self._follower is not None else (True, set())
        self._broken = 0
        deadline = monotonic() + _UPDATE_SECONDS
        if missed or ctx.full or self._is_unfinished:
            self._is_unfinished = False
            self._list(ctx, client, {*changed, *lost}, deadline)
        else:
            for engine_id in changed:
                self._inspect(ctx, client, engine_id, JsonObject())
        images = {known.described.image_id for known in self._known.values()}
        for image_id in filter(None, images - self._images.keys()):
            if monotonic() < deadline:
                self._inspect_image(ctx, client, image_id)
            else:
                self._continue_later(ctx)

    def _continue_later(self, ctx: Context) -> None:
        if not self._is_unfinished:
            self._is_unfinished = True
            ctx.wake()

    def _list(self, ctx: Context, client: Client, changed: set[str], deadline: float) -> None:
        entries = client.containers()
        if self._daemon is not None and self._daemon.is_untrusted:
            del entries[_UNTRUSTED_CONTAINERS:]
        listed = {entry.text("Id"): entry for entry in entries}
        for engine_id in [i for i in self._known if i not in listed]:
            self._forget(engine_id)
        for engine_id, entry in listed.items():
            known = self._known.get(engine_id)
            is_current = known is not None and known.mark == fingerprint(entry)
            if is_current and engine_id not in changed:
                continue
            if monotonic() < deadline:
                self._inspect(ctx, client, engine_id, entry)
            else:
                if known is None:
                    self._keep_listed(entry)
                self._continue_later(ctx)
        images = {known.described.image_id for known in self._known.values()}
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
        described = describe(document, document.object("HostConfig"), self._rule)
        if described is None or described.sighting.engine_id != engine_id:
            self._not_inspected(ctx, engine_id, entry, "inspect: another container")
        else:
            self._known[engine_id] = _Known(described, fingerprint(entry) if entry else None)

    def _forget(self, engine_id: str) -> None:
        """Forget a container; how it ended is part of the next answer where an event told."""
        self._known.pop(engine_id, None)
        end = self._follower.end_of(engine_id) if self._follower is not None else None
        if end is not None:
            self._ends[engine_id] = end

    def _not_inspected(self, ctx: Context, engine_id: str, entry: JsonObject, why: str) -> None:
        ctx.host.tally.count(Malformed(f"docker/containers/{engine_id}", why))
        self._is_unfinished = True  # it is asked again with the next update
        known = self._known.get(engine_id)
        if known is None:
            self._keep_listed(entry)
        else:
            known.mark = None

    def _keep_listed(self, entry: JsonObject) -> None:
        """Keep what the list has of a container that cannot be inspected."""
        sighting = describe_listed(entry)
        if sighting is not None:
            described = Described(
                sighting=sighting, pid=None, image_id=entry.text("ImageID"), log_path=""
            )
            self._known[sighting.engine_id] = _Known(described, None, is_listed=True)

    def _inspect_image(self, ctx: Context, client: Client, image_id: str) -> None:
        try:
            self._images[image_id] = describe_image(client.image(image_id))
        except NotFound:
            # Removed by force under its containers, or in a store that looks it up by layers.
            self._images[image_id] = ImageFacts(id=image_id)
        except ApiError as error:
            self._broken += 1
            if self._broken >= _BROKEN_LIMIT:
                raise
            self._is_unfinished = True  # it is asked again with the next update
            ctx.host.tally.count(Malformed(f"docker/images/{image_id}", str(error)))


def connector(ctx: Context, daemon: Daemon) -> Callable[[], Client]:
    """Return a function that connects, now or later; it keeps no reference to the context."""
    from collectors.engines.docker.api import ANSWER_LIMIT, Client  # noqa: PLC0415 - the SDK

    limit = _UNTRUSTED_ANSWER if daemon.is_untrusted else ANSWER_LIMIT
    environment = ctx.options.environment
    dials = [_dial(ctx, daemon, path) for path in daemon.sockets]
    addresses: list[Dial | str] = [*dials, *filter(None, (daemon.address,))]

    def connect() -> Client:
        error = ApiError("it does not listen on any socket yet")
        for address in addresses:
            try:
                return Client(
                    address,
                    wait=ANSWER_SECONDS,
                    seconds=ANSWER_SECONDS,
                    limit=limit,
                    environment=environment,
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
            file = open_in_root(root.fd, path, os.O_PATH)
        try:
            connection.connect(f"/proc/self/fd/{file}")
        finally:
            os.close(file)

    return dial
