"""Prometheus's own tools, which know better than we do what is right."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.engines.harness.need import lacking

if TYPE_CHECKING:
    from pathlib import Path


def tool(name: str, *arguments: str, place: Path) -> str:
    """Run promtool or amtool in a folder, and give what it says; a failure fails the test."""
    if shutil.which(name) is None:
        lacking(f"{name} is not installed")
    done = subprocess.run(
        [name, *arguments], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
