"""``python -m tests.soak.day``: a day of churn in minutes, and what the agent holds of the machine.

A real agent looks at a host of files (tests/support/churn.py) whose containers are replaced all the
time, until as many have come and gone as in a day in which one is replaced each half a minute. Some
hundred of those that are gone are kept on the page. The exit status is 1 when memory, descriptors
or threads have grown between the first quarter of the day and its end. Needs no root, no engine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.engines.harness.agent import Agent, running_agent
from tests.engines.harness.programs import wait_until
from tests.soak.holds import holds
from tests.support.churn import Churn

_A_DAY = 2880
_KEPT = 300
_REPLACED = 4
_ALLOWED = {"descriptors": 0, "threads": 0, "megabytes": 6}
"""Growth that is none: of memory the fragments that the allocators of three processes keep. Python
has as many blocks of its own in serve at both times; the heap of glibc was 1.4 MB larger, of which
1.1 MB were free."""


def run(seconds: float) -> bool:
    """Let a day pass in so many seconds; return whether nothing has grown."""
    with tempfile.TemporaryDirectory(prefix="tm-day-") as folder:
        place = Path(folder)
        churn = Churn(place)
        flags = (
            *(f"--path.{n}={place / d}" for n, d in _PATHS.items()),
            "--containers.retention=1d",
            f"--containers.max-retained={_KEPT}",
            "--config.file=",
        )
        with running_agent(*flags) as agent:
            agent.wait_ready(60)
            begin, quarter = time.monotonic(), {}
            rounds = _A_DAY // _REPLACED
            for number in range(rounds):
                churn.replace(_REPLACED)
                if number % 5 == 0:
                    agent.scrape()
                if number % (rounds // 8) == 0:
                    _print(agent, number * _REPLACED)
                if number == rounds // 4:
                    quarter = _at_rest(agent)
                time.sleep(max(0.0, begin + number * seconds / rounds - time.monotonic()))
            wait_until(lambda: _gone(agent) == _KEPT, "as many kept as are allowed", 60)
            end = _at_rest(agent)
        sys.stdout.write(f"after a quarter {quarter}, in the end {end}\n")
        return all(end[what] <= quarter[what] + more for what, more in _ALLOWED.items())


_PATHS = {"procfs": "proc", "sysfs": "sys", "rootfs": "root"}


def _at_rest(agent: Agent) -> dict[str, int]:
    """Return the least that it holds within some seconds: passes and scrapes need more."""
    several = []
    for _ in range(8):
        agent.scrape()
        several.append(holds(agent.pid))
        time.sleep(0.5)
    return {what: min(one[what] for one in several) for what in _ALLOWED}


def _gone(agent: Agent) -> int:
    return sum(1 for row in agent.scrape().rows() if row.state == "dead")


def _print(agent: Agent, replaced: int) -> None:
    sys.stdout.write(f"{replaced:6} replaced, {_gone(agent):4} kept, holds {holds(agent.pid)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak.day")
    parser.add_argument("--seconds", type=float, default=240)
    sys.exit(0 if run(parser.parse_args().seconds) else 1)
