"""``python -m agent.metrics`` prints the documentation of all metrics."""

from __future__ import annotations

import sys

from agent.metrics.docs import page

sys.stdout.write(page())
