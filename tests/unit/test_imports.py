"""What ``tallyman ls`` costs to start: the heavy packages are loaded where they are needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset({"docker", "cheroot", "prometheus_client", "pyroute2", "requests", "urllib3"})

# Each process of the command, also the scout that it starts, writes what it has loaded when it
# ends. The scout leaves by os._exit, so that alone is where it can be asked.
HOOK = """
import os, sys
leave = os._exit
def write():
    with open(os.path.join(os.environ["LOADED"], str(os.getpid())), "w") as file:
        file.write("\\n".join(sys.orig_argv) + "\\n\\n" + "\\n".join(sys.modules))
def left(code):
    write()
    leave(code)
os._exit = left
import atexit
atexit.register(write)
"""


@pytest.fixture
def loaded(tmp_path: Path) -> dict[str, set[str]]:
    """Run ``tallyman ls`` on a small host without an engine; give the modules of each process."""
    hooks, found, host = tmp_path / "hooks", tmp_path / "loaded", tmp_path / "host"
    for directory in (hooks, found, host):
        directory.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    path = os.pathsep.join((str(hooks), *sys.path))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "agent", "ls", "--json", "--config.file="),
            # No /run and no /var/lib of any engine, only the processes of this machine.
            f"--path.rootfs={host}",
        ],
        env={**environment, "PYTHONPATH": path, "LOADED": str(found)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert isinstance(json.loads(done.stdout), list)
    modules = {}
    for file in found.iterdir():
        command, _, names = file.read_text().partition("\n\n")
        modules["scout" if "agent.scout" in command else "ls"] = set(names.split("\n"))
    return modules


def test_ls_does_without_the_heavy_packages(loaded: dict[str, set[str]]) -> None:
    assert loaded.keys() == {"ls", "scout"}
    for process, modules in loaded.items():
        assert "agent" in modules
        packages = {name.partition(".")[0] for name in modules}
        assert (process, packages & HEAVY) == (process, set())


def test_ls_itself_does_not_even_load_the_collectors(loaded: dict[str, set[str]]) -> None:
    engines = {name for name in loaded["ls"] if name.startswith("collectors.engines.")}
    assert engines == set()
