from __future__ import annotations

from pathlib import Path

from agent.serve.privileges import readable_by_all


def test_whether_everybody_can_read_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    file = folder / "file"
    file.touch(mode=0o644)
    open_to_all = Path("/etc/passwd")
    assert readable_by_all(str(open_to_all))
    file.chmod(0o640)
    assert not readable_by_all(str(open_to_all), str(file))
    file.chmod(0o644)
    folder.chmod(0o700)
    assert not readable_by_all(str(file))
