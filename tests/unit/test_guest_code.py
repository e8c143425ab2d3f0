from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import CLONE


@pytest.mark.parametrize(
    "module", ["tests.engines.guest.report", "tests.engines.guest.work", "tests.deploy.guest"]
)
def test_what_runs_in_the_guest_imports_without_pytest(module: str) -> None:
    code = f"import sys; sys.modules['pytest'] = None; import {module}"
    subprocess.run([sys.executable, "-c", code], cwd=CLONE, check=True, timeout=60)
