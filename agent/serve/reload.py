"""Reading the configuration again while the agent runs: all of it, or none."""

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
    """Does one reload after the other, and knows how the last one went."""

    def __init__(
        self,
        starter: ScoutStarter,
        prepare_web: Callable[[], Callable[[], None]],
        take: Callable[[Config], None],
        notifier: Notifier,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with what was read at the start.

        ``prepare_web`` reads the web configuration and gives what puts it in force, or raises
        ``ConfigError``; ``take`` puts the rest in force.
        """
        self._starter = starter
        self._prepare_web = prepare_web
        self._take = take
        self._notifier = notifier
        self._clock = clock
        self._turn = threading.Lock()
        self._successful = True
        self._succeeded_at = clock()

    def reload(self) -> tuple[str, ...]:
        """Read everything again; gives what is wrong, and then everything is as it was before."""
        with self._turn:
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
        """Say how the last one went, as Prometheus does of itself."""
        yield Sample("tallyman_config_last_reload_successful", self._successful)
        name = "tallyman_config_last_reload_success_timestamp_seconds"
        yield Sample(name, self._succeeded_at)
