"""Root filesystems for containers: busybox made on the fly, Debian made once and cached."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness.programs import run, sweep

if TYPE_CHECKING:
    from collections.abc import Iterable

CACHE = Path(os.environ.get("TALLYMAN_TEST_CACHE", Path(__file__).parents[3] / ".cache"))

_APPLETS = (
    "cat chroot crond date echo env false hostname httpd id ls mkdir nc ps sh sleep tail top true"
)
_PACKAGES = [
    "cron",
    "dbus",
    "iproute2",
    "login",
    "nginx-light",
    "openssh-server",
    "procps",
    "redis-server",
    "rsyslog",
    "runit",
    "supervisor",
    "systemd",
    "systemd-sysv",
    "tini",
]


def make_busybox(root: Path) -> Path:
    """Make a root of 2 MB with a shell and its applets."""
    for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(_static_busybox(), root / "bin/busybox")
    for applet in _APPLETS.split():
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/os-release").write_text('ID=busybox\nPRETTY_NAME="Busybox"\n')
    return root


def debian() -> Path:
    """Return the cached Debian root with systemd, sshd, cron, rsyslog; do not write to it.

    It is built once, in about a minute, and again when the list of packages changes.
    """
    return debian_with(_PACKAGES)


def debian_with(packages: list[str]) -> Path:
    """Return a cached Debian root with these packages; do not write to it."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:10]
    place = CACHE / "roots"
    place.mkdir(parents=True, exist_ok=True)
    root = place / f"debian-{key}"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _make_debian(root, packages)
    return root


def _make_debian(root: Path, packages: Iterable[str]) -> None:
    unfinished = root.with_suffix(".new")
    if unfinished.exists():  # a run was ended in the middle of it, and what it had mounted is left
        sweep(unfinished)
        shutil.rmtree(unfinished)
    without = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "info", "locale", "man")]
    sources = [p for p in (Path("/etc/apt/sources.list.d/debian.sources"),) if p.exists()]
    run(
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        "--dpkgopt=force-unsafe-io",
        *without,
        "bookworm",
        unfinished,
        *sources,
        timeout=600,
    )
    (unfinished / "etc/machine-id").write_text("")
    (unfinished / "etc/hostname").write_text("debian\n")
    unfinished.rename(root)


def _static_busybox() -> Path:
    found = shutil.which("busybox")
    if found is None:
        raise FileNotFoundError("busybox (Debian: busybox-static)")
    return Path(found)
