"""The cgroup v2 guest: a Debian with systemd in a virtual machine, made by run-in-vm."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.guest.look_alikes import IMAGE
from tests.engines.harness import roots
from tests.engines.harness.need import need
from tests.engines.harness.programs import run, workplace
from tests.engines.harness.roots import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE = Path(__file__).parents[3]
LONGEST = 2400
"""Seconds for the tests; five minutes are enough on a quiet machine."""
RUN_IN_VM = Path(os.environ.get("TALLYMAN_VMLAB", CLONE.parent / "shared/vmlab")) / "run-in-vm"
MODERN = Path(os.environ.get("TALLYMAN_VMLAB_MODERN", CLONE.parent / "shared/vmlab-modern"))
RUN_IN_MODERN_VM = MODERN / "run-in-vm"
"""The same for the engines of newer Debians, each suite a machine of its own."""


def need_guest() -> None:
    """Skip the test where the guest cannot be started.

    run-in-vm is not in this repository: where it is missing, CI skips, too.
    """
    if not RUN_IN_VM.exists():
        pytest.skip(f"there is no {RUN_IN_VM} (TALLYMAN_VMLAB names its folder)")
    need("qemu-system-x86_64", "mmdebstrap", "cpio", "modprobe", "mke2fs", "busybox")


def guest_report(module: str = "tests.engines.guest.report") -> dict[str, Any]:
    """Run a module in the guest, once, and return the JSON that it wrote."""
    with workplace("guest") as place:
        root = roots.make_busybox(place / "root")
        run("mke2fs", "-q", "-t", "ext4", "-d", root, place / "root.img", "16M")
        run_in_guest(
            place,
            f"cp {place}/root.img {IMAGE}",
            f"python3 -m {module} {place}/report.json",
        )
        report: dict[str, Any] = json.loads((place / "report.json").read_text())
    return report


def modern_report(suite: str) -> dict[str, Any]:
    """Make the scene of newer engines in the guest of a Debian, once; return its report."""
    if not RUN_IN_MODERN_VM.exists():
        pytest.skip(f"there is no {RUN_IN_MODERN_VM} (TALLYMAN_VMLAB_MODERN names its folder)")
    need("qemu-system-x86_64", "mmdebstrap", "cpio", "modprobe", "mke2fs", "zstd")
    with workplace("guest") as place:
        command = f"python3 -m tests.engines.guest.modern_report {place}/report.json"
        run_in_guest(place, command, suite=suite)
        report: dict[str, Any] = json.loads((place / "report.json").read_text())
    return report


def run_in_guest(place: Path, *commands: str, suite: str = "", seconds: int = LONGEST) -> str:
    """Run shell commands in the guest, where the agent and the tests can be imported.

    ``suite`` names a newer Debian than the usual guest's. ``place`` is mounted there under the same
    path. All code is one file: each access to a file of the host takes the guest a millisecond, and
    an import needs thousands.
    """
    code = place / "code.tar"
    with tarfile.open(code, "w") as tar:
        for name in ("agent", "collectors", "tests"):
            for file in sorted((CLONE / name).rglob("*.py*")):
                if file.suffix in (".py", ".pyc"):  # no unfinished ones of other processes
                    tar.add(file, file.relative_to(CLONE))
        tar.add(dependencies(), "dependencies")
    inside = "/srv/tallyman"
    path = f"PYTHONPATH={inside}:{inside}/dependencies"
    cache = Path(os.environ.get("LAB_VM_CACHE", CACHE / "vmlab"))
    environment = {"LAB_VM_CACHE": str(cache)}
    if suite:
        environment = {"LAB_VM_CACHE": f"{cache}-{suite}", "LAB_VM_SUITE": suite}
    return run(
        *(RUN_IN_MODERN_VM if suite else RUN_IN_VM, "-d", place, "-t", str(seconds), "-e", path),
        " && ".join((f"mkdir {inside}", f"cd {inside}", f"tar -xf {code}", *commands)),
        timeout=seconds + 900,  # the guest may have to be built first
        env=environment,
    )


def dependencies() -> Path:
    """Return a folder with what the agent and this harness import, because the guest is offline."""
    wanted = sorted(_declared())
    key = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:10]
    folder = CACHE / f"dependencies-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "dependencies.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".new")
            pip = (sys.executable, "-m", "pip", "install", "--quiet")
            run(*pip, "--upgrade", "--target", unfinished, *wanted, timeout=300)
            unfinished.rename(folder)
    return folder


def _declared() -> Iterator[str]:
    declared = tomllib.loads((CLONE / "pyproject.toml").read_text())
    yield from declared["project"]["dependencies"]
    for wanted in declared["dependency-groups"]["dev"]:
        if wanted.startswith("prometheus-client"):
            yield wanted
