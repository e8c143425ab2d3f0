"""Runs of the cgroup v2 guest beside the tests that need no engine, in a process of their own.

A run takes minutes. Each module of tests that needs one has a function ``make_report``, which runs
the guest; the runs begin with the test session, and a test waits for what it judges.

python -m tests.engines.harness.guest_runs FOLDER MODULE...
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness.guest import CLONE, RUN_IN_VM, need_guest
from tests.engines.harness.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_LONGEST = 6000
"""Seconds for all of them; ten minutes are enough on a quiet machine."""


class GuestRuns:
    """Those of one test session."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, modules: Sequence[str]) -> None:
        """Begin to run the guest for these modules of tests, for one after the other."""
        if not modules or os.geteuid() != 0 or not RUN_IN_VM.exists():
            return
        self._folder = Path(tempfile.mkdtemp(prefix="tallyman-guest-runs-"))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.engines.harness.guest_runs", self._folder, *modules],
                cwd=CLONE,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def report(self, module: str) -> dict[str, Any]:
        """Wait for the report for a module of tests; skip the test where there is no guest."""
        need_guest()
        folder, process = self._folder, self._process
        assert folder is not None
        assert process is not None
        file = folder / module

        def ended() -> bool:
            # In this order: its last deed may be the file.
            return process.poll() is not None or file.exists()

        wait_until(ended, f"the guest's report for {module}", _LONGEST)
        if not file.exists():
            pytest.fail(f"the guest's run for {module} failed:\n{(folder / 'log').read_text()}")
        report: dict[str, Any] = json.loads(file.read_text())
        return report

    def end(self) -> None:
        """End what still runs, and forget the reports."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder)


GUEST_RUNS = GuestRuns()


def main(folder: Path, modules: Sequence[str]) -> None:
    """Write the report for each module into a file of its name; none where its run failed."""
    signal.signal(signal.SIGTERM, _leave)
    for name in modules:
        unfinished = folder / f"{name}.new"
        try:
            unfinished.write_text(json.dumps(importlib.import_module(name).make_report()))
        except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: BLE001
            traceback.print_exc()  # into the log; the next one may succeed
        else:
            unfinished.rename(folder / name)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
