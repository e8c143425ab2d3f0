"""Containers whose content a test writes byte by byte, as an attacker would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.engines.harness import oci, roots
from tests.engines.harness.made import Made, unique
from tests.engines.harness.programs import (
    CommandError,
    Daemon,
    mounts_below,
    remove_cgroups,
    run,
    workplace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLEEP = ("/bin/sleep", "86400")

_FOLDERS = ("run", "usr/lib", "lib/apk/db", "var/lib/dpkg/info", "var/lib/rpm")


def root_in(place: Path) -> Path:
    """Make a busybox root with the folders that the agent reads."""
    root = roots.make_busybox(place / "root")
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def stranger(
    *command: str,
    prepare: Callable[[Path], None] = lambda _: None,
    root: Path | None = None,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    cgroup: str = "",
) -> Iterator[Made]:
    """Return a container of bare runc.

    ``prepare`` changes its root once it runs, ``change`` its configuration before.
    """
    name = unique("stranger")
    with workplace("stranger") as place:
        if root is None:
            root = root_in(place)
        group = cgroup or f"/{name}"
        bundle = oci.make_bundle(place, *(command or SLEEP), cgroup=group, root=root)
        file = bundle / "config.json"
        config = json.loads(file.read_text())
        change(config)
        file.write_text(json.dumps(config))
        pid_file = place / "pid"
        words = ("runc", "run", "--detach", "--bundle", bundle, "--pid-file", pid_file, name)
        # The container inherits runc's output, so a pipe would never end.
        starter = Daemon(*words, log=place / "log")
        try:
            assert starter.process.wait(60) == 0, starter.output()
            pid = int(pid_file.read_text())
            # Only now: runc itself would wait forever on a FIFO in place of passwd.
            prepare(root)
            yield Made(name=name, engine="runc", handle=name, pid=pid, place=place)
        finally:
            with suppress(CommandError, subprocess.TimeoutExpired):
                run("runc", "delete", "--force", name)
            remove_cgroups(group.strip("/").split("/")[0])


@dataclass(frozen=True, slots=True)
class Fuse:
    """A root filesystem on FUSE."""

    root: Path
    stop: Path

    def hang(self) -> None:
        """Make it stop answering."""
        self.stop.touch()


@contextmanager
def fuse_root() -> Iterator[Fuse]:
    """Mount a busybox root on a FUSE filesystem that can be made to hang."""
    with workplace("fuse") as place:
        mount = place / "mount"
        mount.mkdir()
        folder = root_in(place)
        words = ("-m", "tests.hostile.hung_fuse", folder, mount)
        server = Daemon(sys.executable, *words, log=place / "log")
        try:
            server.wait_for(lambda: mounts_below(mount), "the mount of FUSE", 30)
            yield Fuse(mount, folder.with_name(f"{folder.name}.hang"))
        finally:
            # Processes that hang in it get an error.
            abort_fuse(mount)
            server.stop()
            with suppress(CommandError):
                run("umount", "-l", mount)


def abort_fuse(mount: Path) -> None:
    """End a FUSE connection: whoever hangs in it gets an error."""
    device = os.minor(_device(mount))
    with suppress(OSError):
        Path(f"/sys/fs/fuse/connections/{device}/abort").write_text("1")


def _device(mount: Path) -> int:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if fields[4] == str(mount):
            major, _, minor = fields[2].partition(":")
            return os.makedev(int(major), int(minor))
    return 0
