"""Watches the counters of an agent's pages: none may fall."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.engines.harness.agent import Page

_KEPT_OVER_RESTARTS = ("container_oom_events_total", "tallyman_container_style_changes_total")
_OF_A_SCOUT = ("tallyman_process_", "tallyman_collector_")
"""Begin again with each scout."""

Key = tuple[str, frozenset[tuple[str, str]]]


class CounterWatch:
    """Compares each page with those before it.

    A container that was started again counts from zero, and its counters may do so a moment before
    the page shows its new start: what fell is wrong only where no new start or end follows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scrapes = 0.0
        self._values: dict[Key, float] = {}
        self._starts: dict[str, float | None] = {}
        self._excusable: dict[str, list[str]] = defaultdict(list)
        """What fell, by the id of its container."""
        self._wrong: list[str] = []

    def see(self, page: Page) -> None:
        """Compare a page with those before it; pages of concurrent scrapes come in any order."""
        with self._lock:
            scrapes = page.value("tallyman_scrapes_total")
            if scrapes is not None and scrapes > self._scrapes:
                self._scrapes = scrapes
                self._excuse(page)
                self._compare(page)

    def fallen(self) -> list[str]:
        """Return what fell and should not have."""
        with self._lock:
            return [*self._wrong, *(text for texts in self._excusable.values() for text in texts)]

    def forget(self) -> None:
        """Forget what fell, once somebody else has reported it."""
        with self._lock:
            self._wrong.clear()
            self._excusable.clear()

    def _excuse(self, page: Page) -> None:
        starts = {
            s.labels["id"]: s.value for s in page.samples.get("container_start_time_seconds", [])
        }
        for one in self._starts.keys() | starts.keys():
            if self._starts.get(one) != starts.get(one):
                self._excusable.pop(one, None)
                self._values = {
                    key: value
                    for key, value in self._values.items()
                    if ("id", one) not in key[1] or key[0] in _KEPT_OVER_RESTARTS
                }
        self._starts = dict(starts)

    def _compare(self, page: Page) -> None:
        for family in page.families:
            if family.type != "counter" or family.name.startswith(_OF_A_SCOUT):
                continue
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                before = self._values.get(key, 0.0)
                self._values[key] = sample.value
                if sample.value >= before:
                    continue
                text = f"{sample.name}{sample.labels} fell from {before} to {sample.value}"
                container = sample.labels.get("id", "/")
                if container == "/" and sample.name.startswith("container_network_"):
                    continue  # interfaces of the host are made and removed under the same name
                if container == "/" or sample.name in _KEPT_OVER_RESTARTS:
                    self._wrong.append(text)
                else:
                    self._excusable[container].append(text)
