from __future__ import annotations

import os
from pathlib import Path

from collectors.engines.shared.birth import made_at
from collectors.hostfs import HostFS


def test_birth_is_not_moved_by_changes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    host = HostFS("/proc", "/sys", str(tmp_path))
    before = made_at(host.root, "d")
    os.utime(tmp_path / "d", (1, 1))
    assert made_at(host.root, "d") == before
    assert before is not None
    assert before <= (tmp_path / "d").stat().st_ctime
    assert made_at(host.root, "nowhere") is None
