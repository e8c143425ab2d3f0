"""Requirements of tests: without them a test is skipped, and in CI it fails."""

from __future__ import annotations

import os
import shutil

IN_CI = bool(os.environ.get("TALLYMAN_CI"))
"""Set by .ci/run, which installs every engine: there a skip is a failure."""


def need(*programs: str) -> None:
    """Skip the test unless it runs as root and all ``programs`` are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if os.geteuid() != 0:
        lacking("it needs root")
    if missing:
        lacking(f"not installed: {', '.join(missing)} (.ci/run names the packages)")


def lacking(why: str) -> None:
    """Skip the test, or fail it in CI."""
    import pytest  # noqa: PLC0415 - this is imported in the cgroup v2 guest, too, which has none

    if IN_CI:
        pytest.fail(f"in CI nothing may be skipped: {why}")
    pytest.skip(why)
