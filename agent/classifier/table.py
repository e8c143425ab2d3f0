"""The table of all rules."""

from __future__ import annotations

from agent.classifier.context_rules import FILESYSTEM, LIFECYCLE, NETWORK, PROVENANCE
from agent.classifier.process_rules import INIT, SERVICES, USERS

RULES = (*INIT, *SERVICES, *USERS, *FILESYSTEM, *NETWORK, *PROVENANCE, *LIFECYCLE)
CHEAP = frozenset(rule.name for rule in RULES if rule.cheap)
"""Rules whose evidence is cheap to forge."""
