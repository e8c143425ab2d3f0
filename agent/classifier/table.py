"""The table of all rules."""

from __future__ import annotations

from agent.classifier.axes import (
    filesystem,
    init,
    lifecycle,
    network,
    provenance,
    services,
    users,
)

RULES = (
    *init.RULES,
    *services.RULES,
    *users.RULES,
    *filesystem.RULES,
    *network.RULES,
    *provenance.RULES,
    *lifecycle.RULES,
)
CHEAP = frozenset(rule.name for rule in RULES if rule.cheap)
"""The names of the rules whose evidence is cheap to forge."""
