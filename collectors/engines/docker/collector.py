"""Docker: every daemon that runs on the host, also in containers, and what dead ones left."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.contract import PartlySeen
from collectors.engines.docker.daemon import Engine
from collectors.engines.docker.discovery import Daemon, DaemonFinder, operators_daemons
from collectors.engines.docker.errors import ApiError, Elsewhere
from collectors.hostfs import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.contract import Context
    from collectors.facts import Sighting

log = logging.getLogger(__name__)


class DockerCollector:
    """Finds the containers of every Docker daemon; ``instance`` is the socket of its API.

    For a daemon in a container that one's cgroup comes first: ``/docker/<id>:/run/docker.sock``.
    For one that was never seen alive it is the data root.
    """

    name = "docker"

    def __init__(self) -> None:
        self._finder = DaemonFinder()
        self._engines: dict[str, Engine] = {}
        self._names: dict[tuple[str, str], str] = {}
        """Instances that ran by place and data root, to know their containers again."""

    def close(self) -> None:
        """Let go of every daemon."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Ask every daemon what changed, and read from disk what the others left.

        Raises PartlySeen when one of the host's own does not answer as it should. One in a
        container, or a user's, which could fail on purpose, is only counted.
        """
        before: dict[str, Engine | None] = {**self._engines}
        self._engines = {}

        def engine_of(daemon: Daemon) -> Engine:
            return self._engines.setdefault(
                daemon.instance, before.pop(daemon.instance, None) or Engine()
            )

        failures: list[str] = []
        own: list[Sighting] = []
        strangers: list[Sighting] = []
        running = self._finder.find(ctx)
        running += operators_daemons(ctx, running)
        for daemon in running:
            found = strangers if daemon.is_stranger else own
            found += _asked(ctx, engine_of(daemon), daemon, failures)
        for daemon in self._silent(ctx, running):
            engine = engine_of(daemon)
            engine.close()
            found = strangers if daemon.is_stranger else own
            found += engine.fallback(ctx, daemon)
        for left in before.values():
            if left is not None:
                left.close()
        # Nobody else's word counts for a container that is known, whatever id he invents.
        known = {s.engine_id: s for s in reversed(own)}
        answer = (*known.values(), *(s for s in strangers if s.engine_id not in known))
        if failures:
            raise PartlySeen("; ".join(failures), answer)
        return answer

    def _silent(self, ctx: Context, running: list[Daemon]) -> Iterator[Daemon]:
        """Return the daemons that do not run: of shims, of the usual place, and those that ran."""
        seen = set()
        for daemon in running:
            key = (daemon.place, self._engines[daemon.instance].data_root or daemon.data_root)
            self._names[key] = daemon.instance
            seen.add(key)
        ran = [
            Daemon(instance=instance, data_root=root)
            for (place, root), instance in self._names.items()
            if not place
        ]
        for daemon in (*self._finder.find_silent(ctx), *ran):
            key = (daemon.place, daemon.data_root)
            if key in seen:
                continue
            seen.add(key)
            instance = self._names.get(key, daemon.instance)
            if instance in self._engines:
                instance = daemon.place + daemon.data_root
            yield replace(daemon, instance=instance)


def _asked(ctx: Context, engine: Engine, daemon: Daemon, failures: list[str]) -> Iterable[Sighting]:
    try:
        return engine.look(ctx, daemon)
    except Elsewhere as error:
        log.debug("%s", error)
        return ()
    except ApiError as error:
        message = f"{daemon.instance}: {error}"
        if daemon.is_stranger:
            ctx.host.tally.count(Malformed("docker/daemon", message))
        else:
            failures.append(message)
        return engine.fallback(ctx, daemon)
