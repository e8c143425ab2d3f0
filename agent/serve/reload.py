"""Reads the configuration again while the agent runs: all of it takes effect, or none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from agent.config import ConfigError
from agent.exposition.samples import Sample
from agent.serve.starter import LauncherGone

if TYPE_CHECKING:
    from agent.config import Config
    from agent.serve.notify import Notifier
    from agent.serve.starter import ScoutStarter

log = logging.getLogger(__name__)


class Reloader:
    """Reloads, one request at a time, and remembers how the last one went."""

    def __init__(
        self,
        starter: ScoutStarter,
        prepare_web: Callable[[], Callable[[], None]],
        take: Callable[[Config], None],
        notifier: Notifier,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with what was read at the start.

        ``prepare_web`` reads the web configuration and returns what puts it into effect, or raises
        ``ConfigError``; ``take`` puts the rest into effect.
        """
        self._starter = starter
        self._prepare_web = prepare_web
        self._take = take
        self._notifier = notifier
        self._clock = clock
        self._lock = threading.Lock()
        self._successful = True
        self._succeeded_at = clock()

    def reload(self) -> tuple[str, ...]:
        """Read everything again; return what is wrong, and then nothing has changed."""
        with self._lock:
            self._notifier.reloading()
            try:
                return self._read()
            finally:
                self._notifier.ready()

    def _read(self) -> tuple[str, ...]:
        try:
            install_web = self._prepare_web()
            new = self._starter.reload()
        except (ConfigError, LauncherGone) as error:
            self._successful = False
            problems = error.problems if isinstance(error, ConfigError) else (str(error),)
            for problem in problems:
                log.error("the configuration stays as it was: %s", problem)  # noqa: TRY400
            return problems
        install_web()
        self._take(new)
        self._successful, self._succeeded_at = True, self._clock()
        log.info("the configuration was read again")
        return ()

    def samples(self) -> Iterator[Sample]:
        """Return how the last reload went, in the metrics that Prometheus has of itself."""
        yield Sample("tallyman_config_last_reload_successful", self._successful)
        name = "tallyman_config_last_reload_success_timestamp_seconds"
        yield Sample(name, self._succeeded_at)
