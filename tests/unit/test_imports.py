"""What ``tallyman ls`` costs to start: the heavy packages are loaded where they are needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset(
    {"docker", "cheroot", "prometheus_client", "psutil", "pyroute2", "requests", "urllib3"}
)

# Each process of the command, also the scout that it starts, writes what it has loaded when it
# ends. The scout is killed as soon as it has said that it has sent all, so it writes before that.
HOOK = """
import os, pickle, sys
dumps = pickle.dumps
def write():
    with open(os.path.join(os.environ["LOADED"], str(os.getpid())), "w") as file:
        file.write("\\n".join(sys.orig_argv) + "\\n\\n" + "\\n".join(sys.modules))
def send(message, *more, **named):
    if type(message).__name__ == "Ended":
        write()
    return dumps(message, *more, **named)
pickle.dumps = send
import atexit
atexit.register(write)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Run ``tallyman ls`` on a small host without an engine; give the modules of each process."""
    tmp_path = tmp_path_factory.mktemp("host")
    for directory in ("hooks", "loaded", "root", "container/etc", "sys", "proc"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "hooks/sitecustomize.py").write_text(HOOK)
    make_process(tmp_path, 1, "systemd", 0, mount_namespace=1, root=tmp_path / "root")
    make_process(tmp_path, 100, "nginx", 1, mount_namespace=2, root=tmp_path / "container")
    (tmp_path / "proc/self").symlink_to("1")
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "agent", "ls", "--json", "--config.file="),
            f"--path.rootfs={tmp_path / 'root'}",
            f"--path.procfs={tmp_path / 'proc'}",
            f"--path.sysfs={tmp_path / 'sys'}",
        ],
        env={
            **environment,
            "PYTHONPATH": os.pathsep.join((str(tmp_path / "hooks"), *sys.path)),
            "LOADED": str(tmp_path / "loaded"),
        },
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    # It did its work: the modules are those of finding and judging a container.
    (container,) = json.loads(done.stdout)
    assert container["pid"] == 100
    assert container["style"] == "app"
    modules = {}
    for file in (tmp_path / "loaded").iterdir():
        command, _, names = file.read_text().partition("\n\n")
        modules["scout" if "agent.scout" in command else "ls"] = set(names.split("\n"))
    return modules


def make_process(  # noqa: PLR0917
    host: Path, pid: int, name: str, parent: int, mount_namespace: int, root: Path
) -> None:
    """Make /proc/<pid> as far as finding containers needs it."""
    directory = host / "proc" / str(pid)
    (directory / "ns").mkdir(parents=True)
    numbers = f"{parent} {pid} {pid} 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {pid} 1000000 100 "
    (directory / "stat").write_text(f"{pid} ({name}) S {numbers}" + "0 " * 28)
    status = f"Name:\t{name}\nUid:\t0\t0\t0\t0\nNSpid:\t{pid}\nCapEff:\t0\nSeccomp:\t0\n"
    (directory / "status").write_text(status)
    (directory / "cmdline").write_text(f"/usr/sbin/{name}\0")
    (directory / "cgroup").write_text("0::/\n")
    (directory / "mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    (directory / "exe").symlink_to(root / f"usr/sbin/{name}")
    (directory / "root").symlink_to(root)
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"):
        number = mount_namespace if kind == "mnt" else 1
        (directory / "ns" / kind).symlink_to(f"{kind}:[{4026531840 + number}]")


def test_ls_does_without_the_heavy_packages(loaded: dict[str, set[str]]) -> None:
    assert loaded.keys() == {"ls", "scout"}
    for process, modules in loaded.items():
        assert "agent" in modules
        packages = {name.partition(".")[0] for name in modules}
        assert (process, packages & HEAVY) == (process, set())


def test_ls_itself_does_not_even_load_the_collectors(loaded: dict[str, set[str]]) -> None:
    engines = {name for name in loaded["ls"] if name.startswith("collectors.engines.")}
    assert engines == set()
