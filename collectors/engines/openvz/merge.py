"""Joins what vzlist, the kernel and the configuration say of one container."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from collectors.facts import Beancounter, OpenvzFacts

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed

FRESH = 300.0
"""Seconds for which vzlist's word counts more than what the kernel's files say by now."""

RUNNING = ("running", "paused")
_AT_REST = ("stopped", "suspended", "mounted")

_BY_RULE = ("ctid", "status", "beancounters", "as_of", "without_cgroup")
_ONLY_ALIVE = (
    "load",
    "uptime_seconds",
    "cpu_seconds",
    "cpu_user_seconds",
    "cpu_system_seconds",
    "swap_used_bytes",
    "processes",
)
_UNLIMITED_IF_NONE = (
    "cpu_limit_ratio",
    "disk_soft_bytes",
    "disk_hard_bytes",
    "inodes_soft",
    "inodes_hard",
    "swap_limit_bytes",
    "io_limit_bytes_per_second",
    "io_limit_operations_per_second",
)
"""Fields of which vzlist's None means that there is no limit, whatever the configuration says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What is known of one container, by source."""

    ctid: str
    now: float
    """Seconds since the epoch."""
    listed: Listed | None = None
    listed_at: float = 0.0
    """When vzlist was asked."""
    kernel: OpenvzFacts | None = None
    """What the kernel's files say of it while it runs."""
    configured: OpenvzFacts | None = None
    alive: bool | None = None
    """The kernel has it; None where the agent may not know."""
    frozen: bool | None = None

    @property
    def fresh(self) -> bool:
        """Vzlist has spoken of it not long ago."""
        return self.listed is not None and self.now - self.listed_at <= FRESH


def status_of(views: Views, at_rest: str | None) -> str:
    """Return the status in vzlist's words.

    ``at_rest`` is what the disk says of a container that does not run. The kernel decides whether
    it runs: vzlist's answer may be older.
    """
    said = views.listed.facts.status if views.listed else ""
    if views.alive:
        if views.frozen or (said == "paused" and views.frozen is None):
            return "paused"
        # vzlist does not judge a container that has no configuration.
        return "unknown" if said == "unknown" and views.configured is None else "running"
    if views.alive is False and said not in _AT_REST:
        return at_rest or "unknown"
    return said if said not in ("", "unknown") else at_rest or "unknown"


def counters_of(
    views: Views, status: str, remembered: tuple[float, tuple[Beancounter, ...]] | None
) -> tuple[tuple[Beancounter, ...], float | None]:
    """Return the beancounters, and when they were counted; None: only limits are known.

    What was counted last is kept while the container is paused, as a counter that fell to 0 and
    came back would look like a reset; of what does not run there are no counts at all. Of several
    sources the newest counts, so that no failure is ever taken back.
    """
    listed = views.listed
    known = [remembered] if remembered is not None else []
    if views.kernel is not None and views.kernel.beancounters:
        known.append((views.now, views.kernel.beancounters))
    if listed is not None and listed.counted:
        known.append((views.listed_at, listed.facts.beancounters))
    if known and (views.alive or status in RUNNING):
        counted_at, counters = max(known, key=lambda item: item[0])
        return counters, counted_at
    limits = {b.resource: b for b in (views.configured.beancounters if views.configured else ())}
    for counter in listed.facts.beancounters if listed is not None else ():
        if (counter.barrier, counter.limit) != (None, None) or counter.resource not in limits:
            limits[counter.resource] = counter
    unmeasured = (replace(b, held=None, maxheld=None, failures=None) for b in limits.values())
    return tuple(b for b in unmeasured if (b.barrier, b.limit) != (None, None)), None


def merge(views: Views, status: str, beancounters: Sequence[Beancounter]) -> OpenvzFacts:
    """Take each fact from the best source that has it."""
    listed = views.listed.facts if views.listed else None
    sources = [listed, views.kernel] if views.fresh else [views.kernel, listed]
    sources.append(views.configured)
    alive = views.alive or status in RUNNING
    found: dict[str, object] = {}
    for field in fields(OpenvzFacts):
        name = field.name
        if name in _BY_RULE or (name in _ONLY_ALIVE and not alive):
            continue
        for facts in sources:
            configured_limit = facts is views.configured and name in _UNLIMITED_IF_NONE
            if facts is None or (configured_limit and listed is not None):
                continue
            value = getattr(facts, name)
            if value not in (None, "", ()):
                found[name] = value
                break
    if views.listed is not None and not found.get("addresses"):
        found["addresses"] = views.listed.partial_addresses
    if not found.get("addresses") and views.configured is not None:
        found["addresses"] = views.configured.configured_addresses
    found |= _from_counters(beancounters)
    merged = OpenvzFacts(
        ctid=views.ctid,
        status=status,
        beancounters=tuple(beancounters),
        as_of=views.listed_at if views.listed is not None else views.now,
    )
    return replace(merged, **found)  # type: ignore[arg-type]


def _from_counters(beancounters: Sequence[Beancounter]) -> dict[str, object]:
    """Return the facts that are beancounters themselves, so that they agree with them."""
    by_name = {b.resource: b for b in beancounters}
    swap, processes = by_name.get("swappages"), by_name.get("numproc")
    found: dict[str, object] = {}
    if swap is not None:
        found = {"swap_used_bytes": swap.held, "swap_limit_bytes": swap.limit}
    if processes is not None and processes.held is not None:
        found["processes"] = processes.held
    return found
