"""OpenVZ's own limits in the terms of a cgroup's, as the verdict and the page know them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.facts import Limits, OpenvzFacts

_PERIOD_US = 100_000
_SHARES_OF_1000_UNITS = 1024
"""What vzctl writes into cpu.shares for its 1000 CPU units."""


def with_openvz_limits(limits: Limits, facts: OpenvzFacts | None) -> Limits:
    """Fill in what the cgroup does not say: OpenVZ 6's kernel has no cgroups for it.

    Memory is vSwap's physpages; before vSwap, it was privvmpages that a container was promised.
    Where both the cgroup and OpenVZ limit something, the smaller limit holds.
    """
    if facts is None:
        return limits
    counters = {counter.resource: counter for counter in facts.beancounters}
    pages, processes = counters.get("physpages"), counters.get("numproc")
    if pages is None or pages.limit is None:
        pages = counters.get("privvmpages") or pages
    memory = _smaller(limits.memory_bytes, pages.limit if pages else None)
    swap = limits.memory_swap_bytes
    if swap is None and memory is not None and facts.swap_limit_bytes is not None:
        swap = memory + facts.swap_limit_bytes  # as memory.memsw counts: both together
    quota, period = limits.cpu_quota_us, limits.cpu_period_us
    if quota is None and facts.cpu_limit_ratio:
        quota, period = round(facts.cpu_limit_ratio * _PERIOD_US), _PERIOD_US
    shares = limits.cpu_shares
    if shares is None and facts.cpu_units is not None:
        shares = facts.cpu_units * _SHARES_OF_1000_UNITS // 1000
    has_answer = {
        "memory": pages is not None,
        "swap": swap is not None,
        # Where the weight is known, so is the limit: both are in one line.
        "cpu": facts.cpu_units is not None or quota is not None,
        "pids": processes is not None,
    }
    return replace(
        limits,
        memory_bytes=memory,
        memory_swap_bytes=swap,
        cpu_quota_us=quota,
        cpu_period_us=period,
        cpu_shares=shares,
        own_quota=limits.own_quota or quota is not limits.cpu_quota_us,
        pids=_smaller(limits.pids, processes.limit if processes else None),
        seen=limits.seen | {name for name, answered in has_answer.items() if answered},
    )


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)
