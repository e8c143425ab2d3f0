"""``python -m agent.api`` prints the documentation of the API."""

from __future__ import annotations

import sys

from agent.api.docs import page

sys.stdout.write(page())
