"""``python -m tests.soak.oracle``: does at random what can be done with containers, and compares.

Needs root, and the engines that are named; without ``--engines`` all that can be started. It prints
each step and, at the end, how long the page took to show each kind of change. The exit status is 1
if anything that was shown was false. The same seed makes the same choices.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.soak.oracle.engines import installed
from tests.soak.oracle.run import run


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.oracle")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--steps", type=int, default=0, help="end after so many (default: never)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--engines", default=",".join(installed()), help="comma-separated")
    parser.add_argument("--most", type=int, default=10, help="containers at a time")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two pages")
    options = parser.parse_args()
    until = 0.0

    def end(number: int) -> bool:
        nonlocal until
        until = until or time.monotonic() + options.minutes * 60  # from the first step on
        return time.monotonic() >= until or number == int(options.steps)

    engines = [name for name in options.engines.split(",") if name]
    _say(f"seed {options.seed}, engines {', '.join(engines)}")
    found = run(options.seed, engines, end, most=options.most, pause=options.pause, say=_say)
    _say(f"\n{found.table()}\n")
    for where, log in found.logs.items():
        _say(f"log of {where}:\n{log}")
    for text in found.refusals:
        _say(f"refused: {text}")
    looks = ", ".join(f"{number} of {where}" for where, number in found.looks.items())
    lost = ", ".join(f"{seconds:.0f} s {kind}" for kind, seconds in found.lost.items())
    _say(f"seed {found.seed}: {looks}; waited {lost}")
    for text in found.differences:
        _say(f"FALSE {text}")
    _say(f"{len(found.differences)} differences")
    return 1 if found.differences else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
