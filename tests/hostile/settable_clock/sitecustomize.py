"""Python imports this as it starts (see ``site``): the wall clock goes wrong by what a file says.

Only the wall clock, as clock_settime(2) sets it: everything else the kernel still tells.
"""

import os
import time
from pathlib import Path

_OFFSET = Path(os.environ["TALLYMAN_TEST_CLOCK"])
"""Holds the seconds by which the clock is fast."""

_true_time = time.time


def _time() -> float:
    return _true_time() + float(_OFFSET.read_text())


time.time = _time
