"""Podman as root, and as an ordinary user who is created for the test and removed afterwards."""

from __future__ import annotations

import pwd
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness import roots
from tests.engines.harness.made import Made, unique
from tests.engines.harness.programs import SYSTEMD, CommandError, run, sweep, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMITS = ("--ulimit=nofile=4096:8192", "--ulimit=nproc=4096:8192")
"""Podman's defaults are higher than a machine without CAP_SYS_RESOURCE may set."""


class Podman:
    """Podman with its default storage: root's in /var/lib/containers, a user's in their home."""

    def __init__(self, place: Path, user: str = "") -> None:
        self._place = place
        self._user = user
        self._image = f"localhost/{unique('image')}:latest"
        self._names: list[str] = []
        root = roots.make_busybox(place / "busybox")
        archive = place / "busybox.tar"
        run("tar", "-C", root, "-cf", archive, ".")
        self.cli("import", archive, self._image)

    def cli(
        self, *words: str | Path, without_unified: bool = False, below: tuple[str, ...] = ()
    ) -> str:
        """Run podman as its user; ``below`` is a command that starts it."""
        # Where it is started, conmon leaves a file "oom" when memory runs out on cgroup v1.
        there = ("env", f"--chdir={self._place}")
        # A user of ours has no systemd.
        manager = "systemd" if SYSTEMD and not self._user else "cgroupfs"
        command: list[str | Path] = [*below, *there, "podman", f"--cgroup-manager={manager}"]
        if self._user:
            entry = pwd.getpwnam(self._user)
            command += ["--storage-driver=vfs"]
            command = [
                *("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups"),
                *("env", f"--chdir={entry.pw_dir}", f"HOME={entry.pw_dir}"),
                f"XDG_RUNTIME_DIR=/run/user/{entry.pw_uid}",
                *command,
            ]
        if without_unified:
            command = ["unshare", "--mount", "sh", "-c", _WITHOUT_UNIFIED, "sh", *command]
        return run(*command, *words).strip()

    def run(self, *command: str, options: tuple[str, ...] = (), name: str = "") -> Made:
        """Start a container in the background."""
        name = name or unique("podman")
        self._names.append(name)
        # Only crun works without cgroups, and it refuses a hybrid hierarchy.
        without = "--cgroups=disabled" in options
        runtime = "crun" if without else "runc"
        network = () if "--network=host" in options else ("--network=none",)
        self.cli(
            f"--runtime={runtime}",
            *("run", "--detach", "--name", name, *network, *_LIMITS, *options),
            *(self._image, *command),
            without_unified=without and Path("/sys/fs/cgroup/unified").exists(),
        )
        return self.made(name)

    def make(
        self,
        verb: str,
        name: str,
        *options: str,
        command: tuple[str, ...],
        below: tuple[str, ...] = (),
    ) -> None:
        """Run (in the background) or create a container under a name, which others remove."""
        self._names.append(name)
        detach = ("--detach",) if verb == "run" else ()
        words = (verb, *detach, "--name", name, "--network=none", *_LIMITS, *options)
        self.cli("--runtime=runc", *words, self._image, *command, below=below)

    def made(self, name: str) -> Made:
        """Return the facts of a container as they are now."""
        handle, pid = self.cli(
            "inspect", "--type=container", "--format={{.Id}} {{.State.Pid}}", name
        ).split()
        return Made(name=name, engine="podman", handle=handle, pid=int(pid) or None)

    def run_to_end(self, name: str, *command: str) -> None:
        """Run a container that is removed when it ends, and wait for that."""
        words = ("run", "--rm", "--name", name, "--network=none", *_LIMITS, self._image, *command)
        self.cli("--runtime=runc", *words)

    def close(self) -> None:
        """Remove the containers that were started, and the image."""
        for name in self._names:
            with suppress(CommandError, subprocess.TimeoutExpired):
                self.cli("rm", "--force", "--time=0", name)
        with suppress(CommandError, subprocess.TimeoutExpired):
            self.cli("rmi", "--force", self._image)


_WITHOUT_UNIFIED = 'umount -l /sys/fs/cgroup/unified; exec "$@"'


@contextmanager
def podman() -> Iterator[Podman]:
    """Return root's podman."""
    with workplace("podman") as place:
        engine = Podman(place)
        try:
            yield engine
        finally:
            engine.close()


@contextmanager
def podman_of_a_user() -> Iterator[Podman]:
    """Return the podman of a user who is created for the test."""
    with workplace("rootless") as place, _user(place) as user:
        engine = Podman(place, user)
        try:
            yield engine
        finally:
            engine.close()


@contextmanager
def _user(place: Path) -> Iterator[str]:
    name = unique("user")
    home = place / "home"
    run("useradd", "--create-home", "--home-dir", home, "--shell", "/bin/sh", name)
    entry = pwd.getpwnam(name)
    runtime = Path(f"/run/user/{entry.pw_uid}")
    runtime.mkdir(parents=True, mode=0o700)
    shutil.chown(runtime, name, name)
    try:
        yield name
    finally:
        subprocess.run(["pkill", "--signal=KILL", "--uid", name], check=False)
        sweep(runtime)
        sweep(home)
        shutil.rmtree(runtime)
        run("userdel", "--force", name)
