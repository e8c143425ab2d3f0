"""What several tests build on: made-up hosts, processes and snapshots, and fakes of programs."""

from __future__ import annotations

from pathlib import Path

CLONE = Path(__file__).parents[2]
FIXTURES = CLONE / "tests" / "fixtures"
