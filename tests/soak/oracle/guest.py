"""``python -m tests.soak.oracle.guest``: the same in the cgroup v2 guest; takes the same arguments.

It needs run-in-vm, see docs/development.md. The guest is slow, and pages are read less often there:
its seconds are not those of a machine. An hour of it, on a machine that does nothing else:
``--minutes=60``. What it prints stands, while it runs, in the file that it names first.
"""

from __future__ import annotations

import argparse
import shlex
import sys

from tests.engines.harness.guest import LONGEST, run_in_guest
from tests.engines.harness.programs import workplace

_COMMAND = r"""printf '#!/bin/sh\nexec python3 -m agent "$@"\n' > /usr/bin/tallyman"""
"""There the agent is code beside the tests, and this the command."""
_SLOWLY = ("--pause=5",)


def main() -> int:
    """Run it there, and print what it printed; return its exit status."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_known_args()[0].minutes
    with workplace("oracle") as place:
        sys.stderr.write(f"{place}/output\n")
        words = shlex.join(("python3", "-m", "tests.soak.oracle", *_SLOWLY, *sys.argv[1:]))
        run_in_guest(
            place,
            f"{_COMMAND} && chmod 755 /usr/bin/tallyman",
            f"{{ {words} > {place}/output 2>&1; echo $? > {place}/status; }}",
            seconds=round(minutes * 60) + LONGEST,
        )
        sys.stdout.write((place / "output").read_text())
        return int((place / "status").read_text())


if __name__ == "__main__":
    sys.exit(main())
