from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent.serve.privileges import readable_by_all

LOCKED_OUT = """
import importlib.machinery, sys
from agent.web.app import App
from agent.config import load
from agent.serve.daemon import _import_all
from tests.support.snapshots import LEGACY as ONE, picture

_import_all(load("", {"web.config_file": "x"}))
# What is not there by now comes neither from a file nor from anywhere else.
sys.path_importer_cache.clear()
sys.path_hooks.clear()

class State:
    ready = True
    snapshot = staticmethod(picture)

app = App(State(), load("", {}))
for path in ("/", "/containers" + ONE.id, "/-/ready", "/nowhere"):
    got = []
    app({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *head: got.append(head))
    print(got[0][0])
"""


def test_who_may_not_read_pythons_files_any_more_shows_every_page() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOCKED_OUT], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["200 OK", "200 OK", "200 OK", "404 Not Found"], done.stderr


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
