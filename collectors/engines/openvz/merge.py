"""Joins what vzlist, the kernel and the configuration have of one container."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from collectors.facts import Beancounter, OpenvzFacts

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed

FRESH = 300.0
"""Seconds for which vzlist's answer is preferred to the kernel's files."""

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


_OF_IO = {
    "io_limit_bytes_per_second": "iolimit",
    "io_limit_operations_per_second": "iopslimit",
}
"""vzlist's field by limit of I/O."""


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
    """From the kernel's files, while it runs."""
    configured: OpenvzFacts | None = None
    alive: bool | None = None
    """The kernel has it; None where the agent cannot tell."""
    frozen: bool | None = None

    @property
    def fresh(self) -> bool:
        """Vzlist has listed it not long ago."""
        return self.listed is not None and self.now - self.listed_at <= FRESH


def status_of(views: Views, at_rest: str | None) -> str:
    """Return the status in vzlist's words.

    ``at_rest`` is its status by the disk while it does not run. The kernel decides whether it runs:
    vzlist's answer may be older.
    """
    listed = views.listed.facts.status if views.listed else ""
    if views.alive:
        if views.frozen or (listed == "paused" and views.frozen is None):
            return "paused"
        # vzlist does not judge a container that has no configuration.
        return "unknown" if listed == "unknown" and views.configured is None else "running"
    if views.alive is False and listed not in _AT_REST:
        return at_rest or "unknown"
    return listed if listed not in ("", "unknown") else at_rest or "unknown"


def counters_of(
    views: Views, status: str, remembered: tuple[float, tuple[Beancounter, ...]] | None
) -> tuple[tuple[Beancounter, ...], float | None]:
    """Return the beancounters, and when they were counted; None: only limits are known.

    The last counts are kept while the container is paused, as a counter that fell to 0 and came
    back would look like a reset; a container that does not run has no counts. Of several sources
    the newest is used, so that failures never decrease.
    """
    listed = views.listed
    counts = [remembered] if remembered is not None else []
    if views.kernel is not None and views.kernel.beancounters:
        counts.append((views.now, views.kernel.beancounters))
    if listed is not None and listed.counted:
        counts.append((views.listed_at, listed.facts.beancounters))
    if counts and (views.alive or status in RUNNING):
        counted_at, counters = max(counts, key=lambda item: item[0])
        return counters, counted_at
    limits = {b.resource: b for b in (views.configured.beancounters if views.configured else ())}
    for counter in listed.facts.beancounters if listed is not None else ():
        if (counter.barrier, counter.limit) != (None, None) or counter.resource not in limits:
            limits[counter.resource] = counter
    unmeasured = (replace(b, held=None, maxheld=None, failures=None) for b in limits.values())
    return tuple(b for b in unmeasured if (b.barrier, b.limit) != (None, None)), None


def doubtful(views: Views) -> tuple[str, ...]:
    """Return the limits of I/O that vzlist alone has, by vzlist's names.

    vzlist of 7 prints what happens to be in memory where it cannot read them from the cgroup of a
    running container: ns_get_iolimit() in lib/env_nsops.c of libvzctl ignores that.
    """
    if views.listed is None or views.configured is None:
        return ()
    return tuple(
        name
        for field, name in _OF_IO.items()
        if (value := getattr(views.listed.facts, field)) is not None
        and value != getattr(views.configured, field)
        and (views.kernel is None or value != getattr(views.kernel, field))
    )


def merge(views: Views, status: str, beancounters: Sequence[Beancounter]) -> OpenvzFacts:
    """Take each fact from the best source that has it."""
    listed = views.listed.facts if views.listed else None
    sources = [listed, views.kernel] if views.fresh else [views.kernel, listed]
    sources.append(views.configured)
    doubted = doubtful(views)
    alive = views.alive or status in RUNNING
    values: dict[str, object] = {}
    for field in fields(OpenvzFacts):
        name = field.name
        if name in _BY_RULE or (name in _ONLY_ALIVE and not alive):
            continue
        is_doubted = _OF_IO.get(name) in doubted
        for facts in sources:
            configured_limit = facts is views.configured and name in _UNLIMITED_IF_NONE
            if facts is None or (configured_limit and listed is not None and not is_doubted):
                continue
            if is_doubted and facts is listed:
                continue
            value = getattr(facts, name)
            if value not in (None, "", ()):
                values[name] = value
                break
    if views.listed is not None and not values.get("addresses"):
        values["addresses"] = views.listed.partial_addresses
    if not values.get("addresses") and views.configured is not None:
        values["addresses"] = views.configured.configured_addresses
    values |= _from_counters(beancounters)
    merged = OpenvzFacts(
        ctid=views.ctid,
        status=status,
        beancounters=tuple(beancounters),
        as_of=views.listed_at if views.listed is not None else None,
    )
    return replace(merged, **values)  # type: ignore[arg-type]


def _from_counters(beancounters: Sequence[Beancounter]) -> dict[str, object]:
    """Return the facts that are beancounters themselves, so that they agree with them."""
    by_name = {b.resource: b for b in beancounters}
    swap, processes = by_name.get("swappages"), by_name.get("numproc")
    values: dict[str, object] = {}
    if swap is not None:
        values = {"swap_used_bytes": swap.held, "swap_limit_bytes": swap.limit}
    if processes is not None and processes.held is not None:
        values["processes"] = processes.held
    return values
