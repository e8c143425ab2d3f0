"""One Docker daemon: asked when something changed, and read from disk while it does not answer."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from collectors.engines.docker.conversation import Answer, Conversation
from collectors.engines.docker.disk import DiskReader, containers_of, read_image
from collectors.engines.docker.errors import ApiError, Late, Refused
from collectors.engines.shared.background import Background, wake_after
from collectors.engines.shared.cgroup_paths import cgroup_of, user_manager
from collectors.engines.shared.first_process import recorded_process
from collectors.engines.shared.processes import alive, host_numbers, started_at
from collectors.engines.shared.views import cgroup_prefix, on_host, open_root
from collectors.facts import ImageFacts, State
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.engines.docker.container import CgroupRule, Described
    from collectors.engines.docker.discovery import Daemon
    from collectors.facts import Process, Sighting
    from collectors.hostfs import Dir

log = logging.getLogger(__name__)

_NEVER = float("inf")
_UNTRUSTED = "docker untrusted"
_UNTRUSTED_LIMIT = 64
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0

_START_SECONDS = 30.0
"""A daemon that started less than so many seconds ago may not answer yet: it reads its containers
before it does."""


@dataclass(slots=True)
class _CachedContainer:
    """A container as it was last described, with the sighting that was made of it."""

    described: Described
    log_bytes: int | None = None
    sighting: Sighting | None = None
    basis: tuple[object, ...] = ()


class DaemonReader:
    """Reads one daemon's containers: what its API told last, and what its files tell meanwhile.

    In each pass ``begin``, ``finish``, and then ``sightings`` or ``fallback``; of a daemon that
    does not run ``fallback`` alone.
    """

    def __init__(self) -> None:
        self.daemon: Daemon | None = None
        self.data_root = ""
        """The daemon's own answer to where it keeps its files."""
        self._conversation = Conversation()
        self._asked: Background[Answer] = Background()
        self._taken: Answer | None = None
        self._rule: CgroupRule | None = None
        self._containers: dict[str, _CachedContainer] = {}
        self._last_seen: list[Sighting] = []
        self._images: dict[str, ImageFacts] = {}
        self._images_on_disk: dict[str, ImageFacts] = {}
        self._disk = DiskReader()
        self._error = ""
        self._is_refused = False
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0
        self._has_logged = False

    def close(self) -> None:
        """Close the connections and end the threads."""
        self._conversation.close()
        self._conversation = Conversation()
        self._asked = Background()
        self._taken = None

    def begin(self, ctx: Context, daemon: Daemon) -> None:
        """Begin to ask the daemon, if anything may have changed."""
        if self.daemon is not None and self._has_been_replaced(daemon):
            self.close()
            self._pause, self._not_before = _FIRST_PAUSE, 0.0
        self.daemon = daemon
        if self._asked.is_busy or monotonic() < self._not_before:
            return
        self._error = ""
        conversation = self._conversation
        if conversation.has_news(ctx, daemon) and not _too_many_are_asked(daemon):
            lost = {i for i, known in self._containers.items() if _has_lost_its_process(ctx, known)}
            name = _UNTRUSTED if daemon.is_untrusted else "docker"
            self._asked.begin(name, lambda: conversation.update(ctx, daemon, lost), ctx.wake)

    def finish(self, ctx: Context, until: float) -> bool:
        """Take in what the daemon has told by ``until``, on the monotonic clock.

        Return whether that is all; if not, ``fallback`` is to be used in this pass, as it is when
        this raises ApiError.
        """
        if not self._asked.is_busy:
            if self._error or self._taken is None:
                raise ApiError(self._error or "too many others are being asked")
            return True
        was_slow = self._asked.is_slow
        is_answered = self._asked.finish(until - monotonic())
        if self._asked.seconds > ctx.options.docker_timeout:
            self._log_once()
        if is_answered:
            try:
                self._take(self._asked.take())
            except ApiError as error:
                self._error = str(error)
                self._is_refused = isinstance(error, Refused)
                self._not_before = monotonic() + self._pause
                if self.is_starting(ctx):
                    wake_after(self._pause, ctx.wake)
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)
                raise
            self._pause = _FIRST_PAUSE
            # What was asked in an earlier pass may have changed since.
            return not (was_slow and self._has_files())
        if self._taken is None:
            raise Late("it has not answered yet; its files are read meanwhile")
        return not self._has_files()

    def is_starting(self, ctx: Context) -> bool:
        """Return whether the daemon is so young that it need not answer yet."""
        if self.daemon is None or self.daemon.process is None or self._taken is not None:
            return False
        if self._is_refused:
            return False
        started = started_at(ctx, self.daemon.process)
        return started is not None and abs(ctx.now - started) < _START_SECONDS

    def fallback(self, ctx: Context, daemon: Daemon, until: float = _NEVER) -> list[Sighting]:
        """Return the containers as last described, brought up to date from the daemon's files.

        ``until`` is when to stop reading, on the monotonic clock.
        """
        self.daemon = daemon
        rule = self._rule or daemon.rule
        try:
            path = self.data_root or daemon.data_root
            with open_root(ctx, daemon.view) as top, top.open_dir(path, confined=True) as root:
                if _is_anothers(ctx, daemon, root):
                    return []
                self._take_from_disk(self._disk.read(root, rule, until))
                if not daemon.is_untrusted and not daemon.prefix:
                    # Created and removed ones have neither a process nor a cgroup.
                    ctx.watch(f"{path}/{containers_of(root)}")
                self._read_images(root, until)
        except HostReadError:
            is_silent = not daemon.sockets and not daemon.address
            if daemon.process is None and (self._error or is_silent):
                self._containers.clear()  # the daemon is gone with its files
        return self.sightings(ctx, daemon)

    def _has_files(self) -> bool:
        """Return whether the daemon's files are certainly where it says, on this host."""
        return self.daemon is not None and self.daemon.process is not None

    def _log_once(self) -> None:
        if self.daemon is not None and not self.daemon.is_untrusted and not self._has_logged:
            self._has_logged = True
            log.warning(
                "docker %s answers late; its files are read meanwhile", self.daemon.instance
            )

    def _has_been_replaced(self, daemon: Daemon) -> bool:
        before = self.daemon.process if self.daemon is not None else None
        return (before and before.id) != (daemon.process and daemon.process.id)

    def _take(self, answer: Answer) -> None:
        """Replace what is known by the daemon's word."""
        self._taken = answer
        self._rule = answer.rule
        self.data_root = answer.data_root or self.data_root
        self._images = {**answer.images}
        before, self._containers = self._containers, {}
        for engine_id, described in answer.containers.items():
            cached = before.pop(engine_id, None)
            is_better = cached is not None and engine_id in answer.listed
            if cached is None or not (is_better or cached.described is described):
                cached = _CachedContainer(described, cached.log_bytes if cached else None)
            self._containers[engine_id] = cached
        for engine_id, end in answer.ends.items():
            cached = before.get(engine_id)
            if cached is not None and cached.sighting is not None:
                # Reported once more, as it ended.
                last = cached.sighting
                ooms = self._conversation.ooms_of(engine_id)
                self._last_seen.append(
                    replace(
                        last,
                        state=State.EXITED,
                        init=None,
                        exit_code=end.exit_code,
                        finished=end.finished,
                        oom_killed=end.oom_killed or last.oom_killed,
                        oom_events=last.oom_events if ooms is None else ooms,
                    )
                )

    def _take_from_disk(self, containers: list[Described]) -> None:
        before, self._containers = self._containers, {}
        for on_disk in containers:
            engine_id = on_disk.sighting.engine_id
            cached = before.pop(engine_id, None)
            described = _with_what_only_the_api_tells(on_disk, cached)
            if cached is None or cached.described != described:
                cached = _CachedContainer(described, cached.log_bytes if cached else None)
            self._containers[engine_id] = cached
        if not self._disk.is_complete:
            self._containers |= before

    def _read_images(self, root: Dir, until: float) -> None:
        """Read the images that the API has not told of."""
        wanted = {cached.described.image_id for cached in self._containers.values()}
        before, self._images_on_disk = self._images_on_disk, {}
        for image in wanted - self._images.keys():
            facts = before.get(image)
            if facts is None and monotonic() < until:
                facts = read_image(root, image)
            if facts is not None:
                self._images_on_disk[image] = facts

    def sightings(self, ctx: Context, daemon: Daemon) -> list[Sighting]:
        """Return the containers as last described."""
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
                image = cached.described.image_id
                facts = self._images.get(image) or self._images_on_disk.get(image)
                ooms = self._conversation.ooms_of(cached.described.sighting.engine_id)
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


def _is_anothers(ctx: Context, daemon: Daemon, root: Dir) -> bool:
    """Return whether a user's daemon names a data root that is not his: only root may."""
    view = daemon.view
    if view is None or not daemon.is_untrusted or not on_host(ctx, view):
        return False
    return root.stat().st_uid != view.uid


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


def _too_many_are_asked(daemon: Daemon) -> bool:
    """Return whether no more untrusted daemons may be asked now.

    A thread that asks one ends by itself, but later than the daemon may want.
    """
    if not daemon.is_untrusted:
        return False
    return sum(t.name == _UNTRUSTED for t in threading.enumerate()) >= _UNTRUSTED_LIMIT


def _has_lost_its_process(ctx: Context, cached: _CachedContainer | None) -> bool:
    """Return whether a container's first process has ended: it may be running again by now."""
    init = cached.sighting.init if cached is not None and cached.sighting is not None else None
    if init is None:
        return False
    process = alive(ctx, init.pid)
    return process is None or process.id != init


def _with_what_only_the_api_tells(on_disk: Described, before: _CachedContainer | None) -> Described:
    """Return a container as its file describes it, and where its root is if that is known."""
    if before is None or not before.described.sighting.rootfs:
        return on_disk
    sighting = replace(on_disk.sighting, rootfs=before.described.sighting.rootfs)
    return replace(on_disk, sighting=sighting)


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
