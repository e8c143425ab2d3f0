"""Runs the engines' collectors in parallel: one that fails or hangs affects no other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.model import CollectorHealth
from collectors.contract import CollectorError, PartlySeen
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.contract import Collector, Context
    from collectors.facts import Sighting
    from collectors.hostfs import HostFS

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """One collector, its thread, and its last good answer."""

    collector: Collector
    host: HostFS
    task: Context | None = None
    busy_since: float | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    sightings: tuple[Sighting, ...] = ()
    daemons: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    success: bool = False
    error: str = "has not answered yet"
    duration: float = 0.0
    last_success: float | None = None


class Runner:
    """Asks all collectors, each in a thread of its own, and waits for them for a limited time.

    A thread cannot be stopped. A collector that has not answered in time keeps its thread and its
    last answer, counts as failed, and is not asked again until it has answered; ``hung`` names one
    that has been busy for so long that only a new process helps.
    """

    def __init__(self, collectors: Iterable[Collector], host: HostFS) -> None:
        self._slots = [_Slot(c, host.with_tally()) for c in collectors]
        self._done = threading.Condition()
        self._closing = False
        for slot in self._slots:
            threading.Thread(
                target=self._work, args=(slot,), name=slot.collector.name, daemon=True
            ).start()

    def run(self, context: Callable[[HostFS], Context], timeout: float) -> None:
        """Ask every collector that is idle, and wait at most ``timeout`` seconds for all."""
        deadline = time.monotonic() + timeout
        asked = []
        with self._done:
            for slot in self._slots:
                if slot.busy_since is None:
                    slot.task = context(slot.host)
                    slot.busy_since = time.monotonic()
                    slot.asked.set()
                    asked.append(slot)
            while any(s.busy_since is not None for s in asked):
                left = deadline - time.monotonic()
                if left <= 0 or not self._done.wait(left):
                    break
            for slot in asked:
                if slot.busy_since is not None:
                    self._failed(slot, f"did not answer within {timeout:g} s")

    def sightings(self) -> list[Sighting]:
        """Return the last answers of all collectors."""
        with self._done:
            return [s for slot in self._slots for s in slot.sightings]

    def health(self) -> tuple[CollectorHealth, ...]:
        """Return how each collector did when it last ran."""
        with self._done:
            return tuple(
                CollectorHealth(
                    name=slot.collector.name,
                    success=slot.success,
                    duration_seconds=slot.duration,
                    last_success=slot.last_success,
                    denied=slot.host.tally.denied.total(),
                    malformed=slot.host.tally.malformed.total(),
                    error=slot.error,
                    containers=len(slot.sightings),
                    daemons=slot.daemons,
                )
                for slot in self._slots
            )

    def hung(self, seconds: float) -> str:
        """Return the name of a collector that has been busy for longer than that; "" for none."""
        now = time.monotonic()
        for slot in self._slots:
            since = slot.busy_since  # read once: its thread may change it at any time
            if since is not None and now - since > seconds:
                return slot.collector.name
        return ""

    def close(self) -> None:
        """End the threads, and close the collectors that are not busy."""
        self._closing = True
        for slot in self._slots:
            slot.asked.set()
            if slot.busy_since is None:
                slot.collector.close()

    def _work(self, slot: _Slot) -> None:
        while True:
            slot.asked.wait()
            slot.asked.clear()
            task = slot.task
            if self._closing or task is None:
                return
            started = time.monotonic()
            try:
                sightings = tuple(slot.collector.collect(task))
            except PartlySeen as error:
                slot.daemons = task.daemons
                self._finished(slot, started, error.sightings, str(error))
            except (CollectorError, HostReadError) as error:
                self._finished(slot, started, None, str(error))
            except Exception as error:
                # An error that a collector did not foresee must cost its own answer only.
                if slot.success or slot.last_success is None:
                    log.exception("collector %s failed", slot.collector.name)
                self._finished(slot, started, None, f"{type(error).__name__}: {error}")
            else:
                slot.daemons = task.daemons
                self._finished(slot, started, sightings, "")

    def _finished(
        self, slot: _Slot, started: float, sightings: tuple[Sighting, ...] | None, error: str
    ) -> None:
        with self._done:
            slot.duration = time.monotonic() - started
            slot.busy_since = None
            if sightings is not None:
                slot.sightings = sightings
            if error:
                self._failed(slot, error)
            else:
                slot.success, slot.error, slot.last_success = True, "", time.time()
            self._done.notify_all()

    def _failed(self, slot: _Slot, error: str) -> None:
        if slot.success or slot.error != error:
            log.warning("collector %s: %s", slot.collector.name, error)
        slot.success, slot.error = False, error
