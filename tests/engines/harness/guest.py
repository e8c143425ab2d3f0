"""The cgroup v2 guest: a Debian with systemd in a virtual machine, made by run-in-vm."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.engines.harness.need import lacking, need
from tests.engines.harness.programs import run, workplace
from tests.engines.harness.roots import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE = Path(__file__).parents[3]
RUN_IN_VM = Path(os.environ.get("TALLYMAN_VMLAB", CLONE.parent / "shared/vmlab")) / "run-in-vm"


def need_guest() -> None:
    """Go on only where the guest can be started."""
    need("qemu-system-x86_64", "mmdebstrap", "cpio", "mke2fs")
    if not RUN_IN_VM.exists():
        lacking("there is no run-in-vm (TALLYMAN_VMLAB names its folder)")


def guest_report(module: str = "tests.engines.guest.report") -> dict[str, Any]:
    """Run a module in the guest, once, and give what it has written down."""
    cache = os.environ.get("LAB_VM_CACHE", str(CACHE / "vmlab"))
    with workplace("guest") as place:
        run(
            *(RUN_IN_VM, "-d", place, "-r", CLONE, "-r", dependencies(), "-C", CLONE, "-t", "1400"),
            *("-e", f"PYTHONPATH={CLONE}:{dependencies()}", "-e", "PYTHONDONTWRITEBYTECODE=1"),
            f"python3 -m {module} {place}/report.json",
            timeout=1500,
            env={"LAB_VM_CACHE": cache},
        )
        report: dict[str, Any] = json.loads((place / "report.json").read_text())
    return report


def dependencies() -> Path:
    """Give a folder with what the agent and this harness import; the guest has no network."""
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
