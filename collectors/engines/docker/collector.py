"""Docker: every daemon that runs on the host, also in containers, and the files of dead ones."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from collectors.contract import LATER_PATIENCE, PartlySeen
from collectors.engines.docker.daemon import DaemonReader
from collectors.engines.docker.discovery import (
    Daemon,
    DaemonFinder,
    absent_hosts,
    operators_daemons,
)
from collectors.engines.docker.errors import ApiError, Late, RemoteDaemon
from collectors.engines.shared.files import remember
from collectors.engines.shared.turns import Turns, owner_of
from collectors.hostfs import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from collectors.contract import Context
    from collectors.facts import Sighting

log = logging.getLogger(__name__)

_UNTRUSTED_SHARE = 1 / 3
"""How much of the time for root's own daemons all untrusted ones together are waited for."""
_SECONDS_OF_ONE = 0.2
"""For the files of one untrusted daemon at a time."""

_MOST_INSTANCES = 100
"""Daemons that ran and are remembered: any user, and any container, can start more of them."""


_Place = tuple[str, int | None, str]
"""Prefix of the container around a daemon, its user, data root; root's own has no prefix and 0."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the daemons have answered."""

    own: list[Sighting] = field(default_factory=list)
    untrusted: list[Sighting] = field(default_factory=list)
    late: list[Daemon] = field(default_factory=list)
    """Those that have not."""
    failures: list[str] = field(default_factory=list)


class DockerCollector:
    """Finds the containers of every Docker daemon; ``instance`` is the socket of its API.

    For a daemon in a container that one's cgroup comes first: ``/docker/<id>:/run/docker.sock``.
    For one that was never seen alive it is the data root.
    """

    name = "docker"

    def __init__(self) -> None:
        self._finder = DaemonFinder()
        self._readers: dict[str, DaemonReader] = {}
        self._turns: Turns[Sighting] = Turns()
        self._instances: dict[_Place, str] = {}
        """Instances that ran, by where they keep their files: their containers keep them."""

    def close(self) -> None:
        """Close the connections to every daemon."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Ask every daemon what changed, and read the files of those that do not run.

        Raises PartlySeen when one of the host's own does not answer as it should, or one that the
        configuration names is not there. A failure of one in a container, or of a user's, which
        could fail on purpose, is only counted.
        """
        before: dict[str, DaemonReader | None] = {**self._readers}
        self._readers = {}

        def reader_of(daemon: Daemon) -> DaemonReader:
            return self._readers.setdefault(
                daemon.instance, before.pop(daemon.instance, None) or DaemonReader()
            )

        running = self._finder.find(ctx)
        asked = _Asked(late=[*running])
        if ctx.options.engine_sockets:
            running += operators_daemons(ctx, running)
            asked = self._ask(ctx, running, reader_of)
        else:
            for daemon in running:
                reader_of(daemon)
        own, untrusted, late, failures = asked.own, asked.untrusted, asked.late, asked.failures
        for daemon in self._silent(ctx, running):
            reader = reader_of(daemon)
            if not self._is_read_still(ctx, daemon):
                reader.close()
            late.append(daemon)
        _say_that_they_run(ctx, running)
        own += [s for d in late if not d.is_untrusted for s in self._fallback(ctx, d)]
        untrusted += self._read_files(ctx, [d for d in late if d.is_untrusted])
        for left in before.values():
            if left is not None:
                left.close()
        # An untrusted daemon may claim any id: it cannot replace a container of the host's own.
        by_id = {s.engine_id: s for s in reversed(own)}
        of_strangers = {(s.instance, s.engine_id): s for s in reversed(untrusted)}
        sightings = [
            *by_id.values(),
            *(s for s in of_strangers.values() if s.engine_id not in by_id),
        ]
        if failures:
            raise PartlySeen("; ".join(failures), tuple(sightings))
        return sightings

    def _ask(
        self, ctx: Context, running: list[Daemon], reader_of: Callable[[Daemon], DaemonReader]
    ) -> _Asked:
        """Ask the daemons that run, root's own first."""
        failures = [
            f"{path}: configured, but nobody listens" for path in absent_hosts(ctx, running)
        ]
        for daemon in running:
            reader = reader_of(daemon)
            if not self._is_read_still(ctx, daemon):
                reader.begin(ctx, daemon)
        own, late = self._read_all(ctx, [d for d in running if not d.is_untrusted], failures)
        untrusted, others = self._read_all(ctx, [d for d in running if d.is_untrusted], failures)
        return _Asked(own, untrusted, late + others, failures)

    def _is_read_still(self, ctx: Context, daemon: Daemon) -> bool:
        """Return whether a thread still reads the files of a stranger's daemon."""
        view = daemon.view
        return daemon.is_untrusted and view is not None and self._turns.is_busy(owner_of(ctx, view))

    def _read_all(
        self, ctx: Context, daemons: list[Daemon], failures: list[str]
    ) -> tuple[list[Sighting], list[Daemon]]:
        """Return the containers of daemons that are being asked: root's own, or the untrusted.

        Besides, those daemons that do not answer now. All share the time for which they are waited
        for: one that is late costs itself.
        """
        is_untrusted = any(daemon.is_untrusted for daemon in daemons)
        patience = ctx.options.docker_timeout
        if not ctx.first:
            patience = min(patience, LATER_PATIENCE)
        until = monotonic() + patience * (_UNTRUSTED_SHARE if is_untrusted else 1)
        answered: list[Daemon] = []
        late: list[Daemon] = []
        for daemon in daemons:
            reader = self._readers[daemon.instance]
            try:
                is_all = not self._is_read_still(ctx, daemon) and reader.finish(ctx, until)
                (answered if is_all else late).append(daemon)
            except RemoteDaemon as error:
                log.debug("%s", error)
            except ApiError as error:
                late.append(daemon)
                message = f"{daemon.instance}: {error}"
                if reader.is_starting(ctx):
                    log.debug("%s", message)
                elif not daemon.is_untrusted:
                    failures.append(message)
                elif not isinstance(error, Late):
                    ctx.host.tally.count(Malformed("docker/daemon", message))
        return [s for d in answered for s in self._readers[d.instance].sightings(ctx, d)], late

    def _fallback(self, ctx: Context, daemon: Daemon) -> list[Sighting]:
        """Return the containers of a daemon of root's that does not answer, or does not run."""
        found = self._readers[daemon.instance].fallback(ctx, daemon)
        if found:
            ctx.daemons.setdefault((self.name, daemon.instance), False)
        return found

    def _read_files(self, ctx: Context, daemons: list[Daemon]) -> list[Sighting]:
        """Return the containers of strangers' daemons that do not answer, as their files show."""
        by_owner: dict[str, list[Daemon]] = {}
        for daemon in daemons:
            if daemon.view is not None:
                by_owner.setdefault(owner_of(ctx, daemon.view), []).append(daemon)
        readers = {
            owner: partial(_fallback_of, ctx, [(d, self._readers[d.instance]) for d in found])
            for owner, found in by_owner.items()
        }
        return self._turns.read(readers, ctx.wake, first=ctx.first)

    def _silent(self, ctx: Context, running: list[Daemon]) -> Iterator[Daemon]:
        """Return the daemons that do not run: of shims, of the usual place, and those that ran."""
        seen = set()
        for daemon in running:
            key = _place_of(daemon, self._readers[daemon.instance].data_root)
            remember(self._instances, key, daemon.instance, most=_MOST_INSTANCES)
            seen.add(key)
        # Without a process of a stranger's there is nobody as whom to read what he names.
        ran = [
            Daemon(instance=instance, data_root=root)
            for (prefix, uid, root), instance in self._instances.items()
            if (prefix, uid) == ("", 0)
        ]
        for daemon in (*self._finder.find_silent(ctx), *ran):
            key = _place_of(daemon)
            if key in seen:
                continue
            seen.add(key)
            instance = self._instances.get(key, daemon.instance)
            if instance in self._readers:
                instance = daemon.prefix + daemon.data_root
            yield replace(daemon, instance=instance)


def _place_of(daemon: Daemon, told: str = "") -> _Place:
    """Return where a daemon keeps its files; ``told`` is what it said of that itself.

    A stranger may name any directory, root's too: it is another place than that of its owner.
    """
    uid = daemon.view.uid if daemon.is_untrusted and daemon.view is not None else 0
    return daemon.prefix, uid, told or daemon.data_root


def _say_that_they_run(ctx: Context, running: Iterable[Daemon]) -> None:
    for daemon in running:
        # Behind a mere address there may be nobody.
        if not daemon.is_untrusted and (daemon.process or daemon.sockets):
            ctx.daemons["docker", daemon.instance] = True


def _fallback_of(
    ctx: Context, daemons: Iterable[tuple[Daemon, DaemonReader]]
) -> Iterator[Sighting | None]:
    for daemon, reader in daemons:
        yield from reader.fallback(ctx, daemon, monotonic() + _SECONDS_OF_ONE)
        yield None
