"""Docker: every daemon that runs on the host, also in containers, and the files of dead ones."""

from __future__ import annotations

import logging
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from collectors.contract import PartlySeen
from collectors.engines.docker.daemon import DaemonReader
from collectors.engines.docker.discovery import (
    Daemon,
    DaemonFinder,
    absent_hosts,
    operators_daemons,
)
from collectors.engines.docker.errors import ApiError, Late, RemoteDaemon
from collectors.engines.shared.files import remember
from collectors.hostfs import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.contract import Context
    from collectors.facts import Sighting

log = logging.getLogger(__name__)

_NEVER = float("inf")
_UNTRUSTED_SHARE = 1 / 3
"""How much of the time for root's own daemons all untrusted ones together are waited for."""
_UNTRUSTED_SECONDS = 1.0
"""For the files of all untrusted daemons in one pass."""


_MOST_INSTANCES = 100
"""Daemons that ran and are remembered: any user, and any container, can start more of them."""


class DockerCollector:
    """Finds the containers of every Docker daemon; ``instance`` is the socket of its API.

    For a daemon in a container that one's cgroup comes first: ``/docker/<id>:/run/docker.sock``.
    For one that was never seen alive it is the data root.
    """

    name = "docker"

    def __init__(self) -> None:
        self._finder = DaemonFinder()
        self._readers: dict[str, DaemonReader] = {}
        self._instances: dict[tuple[str, str], str] = {}
        """Instances that ran, by prefix and data root: their containers keep the instance."""

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
        running += operators_daemons(ctx, running)
        failures = [
            f"{path}: configured, but nobody listens" for path in absent_hosts(ctx, running)
        ]
        for daemon in running:
            reader_of(daemon).begin(ctx, daemon)
        own = self._read_all(ctx, [d for d in running if not d.is_untrusted], failures)
        untrusted = self._read_all(ctx, [d for d in running if d.is_untrusted], failures)
        silent = list(self._silent(ctx, running))
        for daemon in silent:
            reader_of(daemon).close()
        own += self._read_files(ctx, [d for d in silent if not d.is_untrusted])
        untrusted += self._read_files(ctx, [d for d in silent if d.is_untrusted])
        for left in before.values():
            if left is not None:
                left.close()
        # An untrusted daemon may claim any id: it cannot replace a container of the host's own.
        by_id = {s.engine_id: s for s in reversed(own)}
        sightings = [*by_id.values(), *(s for s in untrusted if s.engine_id not in by_id)]
        if failures:
            raise PartlySeen("; ".join(failures), tuple(sightings))
        return sightings

    def _read_all(self, ctx: Context, daemons: list[Daemon], failures: list[str]) -> list[Sighting]:
        """Return the containers of daemons that are being asked: root's own, or the untrusted.

        All of them share the time for which they are waited for: one that is late costs itself.
        """
        is_untrusted = any(daemon.is_untrusted for daemon in daemons)
        until = monotonic() + ctx.options.docker_timeout * (_UNTRUSTED_SHARE if is_untrusted else 1)
        answered: list[Daemon] = []
        late: list[Daemon] = []
        for daemon in daemons:
            reader = self._readers[daemon.instance]
            try:
                (answered if reader.finish(ctx, until) else late).append(daemon)
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
        sightings = [s for d in answered for s in self._readers[d.instance].sightings(ctx, d)]
        return sightings + self._read_files(ctx, late)

    def _read_files(self, ctx: Context, daemons: list[Daemon]) -> list[Sighting]:
        """Return the containers of daemons that do not answer, as their files show them."""
        sightings: list[Sighting] = []
        end = monotonic() + _UNTRUSTED_SECONDS
        for index, daemon in enumerate(daemons):
            until = _NEVER
            if daemon.is_untrusted:
                # An equal share each of the time that is left for all of them.
                now = monotonic()
                until = now + max(0.0, end - now) / (len(daemons) - index)
            sightings += self._readers[daemon.instance].fallback(ctx, daemon, until)
        return sightings

    def _silent(self, ctx: Context, running: list[Daemon]) -> Iterator[Daemon]:
        """Return the daemons that do not run: of shims, of the usual place, and those that ran."""
        seen = set()
        for daemon in running:
            key = (daemon.prefix, self._readers[daemon.instance].data_root or daemon.data_root)
            remember(self._instances, key, daemon.instance, most=_MOST_INSTANCES)
            seen.add(key)
        ran = [
            Daemon(instance=instance, data_root=root)
            for (prefix, root), instance in self._instances.items()
            if not prefix
        ]
        for daemon in (*self._finder.find_silent(ctx), *ran):
            key = (daemon.prefix, daemon.data_root)
            if key in seen:
                continue
            seen.add(key)
            instance = self._instances.get(key, daemon.instance)
            if instance in self._readers:
                instance = daemon.prefix + daemon.data_root
            yield replace(daemon, instance=instance)
