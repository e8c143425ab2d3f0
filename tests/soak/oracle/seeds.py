"""Seeds that are always run, and what each of them once found."""

from __future__ import annotations

ALWAYS: dict[int, str] = {
    1: "a container of Docker's that was started again was said to be created for a moment",
}
"""Each of them is run for some steps by the tests. ``make soak`` takes another one each time."""
