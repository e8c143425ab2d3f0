"""Says which containers have more network interfaces than the page shows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from collectors.kernel.counters import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.exposition.rows import Row
    from collectors.kernel.counters import Counters

log = logging.getLogger(__name__)

_WARNING_INTERVAL = 60.0
"""Least time in seconds between two warnings."""


class LeftOutInterfaces:
    """Counts the interfaces that are left out, and remembers what it has warned of."""

    def __init__(self) -> None:
        self._warned_of: frozenset[str] = frozenset()
        self._warned_at = float("-inf")

    def count(self, counted: Iterable[tuple[Row, Counters]], now: float) -> int:
        """Return how many are left out of a page; ``now`` is monotonic."""
        left_out = {
            row: int(counters.scalars[Scalar.INTERFACES_LEFT_OUT] or 0)
            for row, counters in counted
            if counters.scalars[Scalar.INTERFACES_LEFT_OUT] is not None
        }
        ids = frozenset(row.id for row in left_out)
        if not ids:
            self._warned_of = ids
        elif not ids <= self._warned_of and now - self._warned_at >= _WARNING_INTERVAL:
            row = next(row for row in left_out if row.id not in self._warned_of)
            log.warning(
                "left out the %d quietest network interfaces of %r, which has too many; "
                "%d containers have",
                left_out[row],
                row.container.name or row.container.id,
                len(ids),
            )
            self._warned_of, self._warned_at = ids, now
        return sum(left_out.values())
