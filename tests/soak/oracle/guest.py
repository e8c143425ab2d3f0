"""``python -m tests.soak.oracle.guest``: the same in the cgroup v2 guest; takes the same arguments.

It needs run-in-vm, see docs/development.md. The guest is slow: read the page less often there
(``--pause=3``), and do not take its seconds for those of a machine.
"""

from __future__ import annotations

import shlex
import sys

from tests.engines.harness.guest import run_in_guest
from tests.engines.harness.programs import workplace

_COMMAND = r"""printf '#!/bin/sh\nexec python3 -m agent "$@"\n' > /usr/bin/tallyman"""
"""There the agent is code beside the tests, and this the command."""


def main() -> int:
    """Run it there, and print what it printed; return its exit status."""
    with workplace("oracle") as place:
        words = shlex.join(("python3", "-m", "tests.soak.oracle", *sys.argv[1:]))
        run_in_guest(
            place,
            f"{_COMMAND} && chmod 755 /usr/bin/tallyman",
            f"{{ {words} > {place}/output 2>&1; echo $? > {place}/status; }}",
        )
        sys.stdout.write((place / "output").read_text())
        return int((place / "status").read_text())


if __name__ == "__main__":
    sys.exit(main())
