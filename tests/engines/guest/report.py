"""Builds the scene inside the guest, runs the agent on it, and writes a report.

python3 -m tests.engines.guest.report FILE
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.engines.guest.look_alikes import LookAlikes
from tests.engines.guest.scene import Scene, cases, make
from tests.engines.harness.programs import CommandError

if TYPE_CHECKING:
    from tests.engines.harness.made import Made

AGENT = (sys.executable, "-m", "agent")


def main(file: Path) -> None:
    """Write a JSON document: what was made, what failed, and what the agent reports."""
    stack = ExitStack()
    report: dict[str, Any] = {"failed": {}, "seconds": {}}
    everything: dict[str, Made] = {}
    for of in (Scene, LookAlikes):
        scene = of(stack)
        for name in cases(of):
            started = time.monotonic()
            try:
                everything[name] = make(scene, name)
            except (AssertionError, CommandError, OSError, subprocess.SubprocessError):
                report["failed"][name] = traceback.format_exc()
            report["seconds"][name] = round(time.monotonic() - started, 1)
    report["made"] = {
        name: dataclasses.asdict(dataclasses.replace(made, noted=tuple(made.pids())))
        for name, made in everything.items()
    }
    report["rows"] = json.loads(_run(*AGENT, "ls", "--all", "--json", "--timeout=3m"))
    report["page"] = _page()
    report["podman_service"] = _run("systemctl", "is-active", "podman.service", check=False)
    file.write_text(json.dumps(report, default=str))


def _run(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=check, timeout=400)
    return done.stdout.strip()


def _page() -> str:
    from tests.engines.harness.agent import running_agent  # noqa: PLC0415

    with running_agent(command=AGENT, start_seconds=300) as agent:
        agent.wait_ready(300)
        return agent.get("/metrics").text


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    # The VM is discarded, so nothing is cleaned up.
    os._exit(0)
