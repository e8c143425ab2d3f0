"""cpu.weight of cgroup v2 as the shares of v1, in which engines and cAdvisor count.

A runtime turns the shares that it is given into a weight, in one of two ways. Which one cannot be
read, but shares are round numbers: 512, 1024, 2048.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain

_DEFAULT_WEIGHT = 100
_DEFAULT_SHARES = 1024
_LEAST, _MOST = 2, 262_144
"""Of shares."""


@lru_cache(maxsize=1024)
def shares_of_weight(weight: int, configured: int | None = None) -> int:
    """Return the shares that a weight (1 to 10,000) stands for.

    ``configured`` are the shares by the engine's own word. They hold if a runtime writes this
    weight for them; if not, the weight was changed since.
    """
    if configured and weight in (curved_weight(configured), linear_weight(configured)):
        return configured
    if weight == _DEFAULT_WEIGHT:
        return _DEFAULT_SHARES  # the default of both, and what the curve makes of the default
    if weight <= 1:
        return _LEAST
    return max(chain(_curved_shares(weight), _linear_shares(weight)), key=_roundness)


def linear_weight(shares: int) -> int:
    """Return the weight that runc before 1.3.2 and crun before 1.23 write.

    ConvertCPUSharesToCgroupV2Value in opencontainers/cgroups, utils.go, as it was until 2025.
    """
    return 1 + (_clamp(shares) - _LEAST) * 9999 // 262142


def curved_weight(shares: int) -> int:
    """Return the weight that they write since then: a curve through both ends and both defaults.

    The same function after opencontainers/cgroups pull request 20; crun pull request 1767.
    """
    shares = _clamp(shares)
    if shares in (_LEAST, _MOST):
        return 1 if shares == _LEAST else 10_000  # what rounding may miss
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def _linear_shares(weight: int) -> range:
    """Return all shares for which ``linear_weight`` is this weight."""
    first = _LEAST - (1 - weight) * 262142 // 9999
    last = _LEAST - -weight * 262142 // 9999 - 1
    return range(_clamp(first), _clamp(last) + 1)


def _curved_shares(weight: int) -> range:
    """Return all shares for which ``curved_weight`` is this weight."""
    first = _clamp(_on_curve(weight - 1) - 1)
    last = _clamp(_on_curve(weight) + 1)
    fitting = [s for s in range(first, last + 1) if curved_weight(s) == weight]
    return range(fitting[0], fitting[-1] + 1) if fitting else range(0)


def _on_curve(weight: int) -> int:
    """Return the shares, rounded down, at which the curve reaches a weight."""
    if weight < 1:
        return _LEAST
    exponent = math.log10(weight) + 7 / 34
    return int(2 ** ((math.sqrt(125 * 125 + 4 * 612 * exponent) - 125) / 2))


def _roundness(shares: int) -> tuple[int, int]:
    """Return a key that is greatest for a round number, by powers of 2 or of 10: 1024, 3000."""
    power = shares & -shares
    digits = int(str(shares).rstrip("0"))
    return -min(shares // power, digits), power


def _clamp(shares: int) -> int:
    return min(max(shares, _LEAST), _MOST)
