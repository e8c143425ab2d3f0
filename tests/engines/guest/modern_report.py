"""Builds the scene of the engines of 2026 inside the guest, and writes what the agent says of it.

python3 -m tests.engines.guest.modern_report FILE
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

from tests.engines.guest.modern import Modern
from tests.engines.guest.report import AGENT
from tests.engines.guest.scene import cases, make
from tests.engines.harness.programs import CommandError, run

if TYPE_CHECKING:
    from tests.engines.harness.made import Made


def main(file: Path) -> None:
    """Write a JSON document: what was made, what failed, and what the agent says of each."""
    report: dict[str, Any] = {"failed": {}, "seconds": {}, "explained": {}}
    everything: dict[str, Made] = {}
    scene = Modern(ExitStack())
    for name in cases(Modern):
        started = time.monotonic()
        try:
            everything[name] = make(scene, name)
        except Exception:  # noqa: BLE001 - a test says what failed
            report["failed"][name] = traceback.format_exc()
        report["seconds"][name] = round(time.monotonic() - started, 1)
    report["made"] = {
        name: dataclasses.asdict(dataclasses.replace(made, noted=tuple(made.pids())))
        for name, made in everything.items()
    }
    report["rows"] = json.loads(run(*AGENT, "ls", "--all", "--json", "--timeout=3m", timeout=400))
    file.write_text(json.dumps(report, default=str))
    for name, made in everything.items():
        subject = str(made.pid or made.name)
        try:
            words = (*AGENT, "explain", subject)
            report["explained"][name] = json.loads(run(*words, "--json", "--timeout=3m"))
        except (CommandError, subprocess.SubprocessError):
            report["failed"][f"explain {name}"] = traceback.format_exc()
    file.write_text(json.dumps(report, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    # The VM is discarded, so nothing is cleaned up.
    os._exit(0)
