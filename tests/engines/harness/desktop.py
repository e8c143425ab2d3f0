"""Flatpak and LXD, each with all that it keeps in a place of its own."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from tests.engines.harness import bare, roots
from tests.engines.harness.made import Made, unique
from tests.engines.harness.programs import CommandError, Daemon, remove_cgroups, run, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ARCH = platform.machine()


@contextmanager
def flatpak() -> Iterator[Made]:
    """Give an application that ``flatpak run`` has started, over a runtime made of busybox."""
    runtime, app = f"org.tallyman.Platform/{_ARCH}/1", "org.tallyman.Sleeper"
    with workplace("flatpak") as place:
        home = {"HOME": str(place), "FLATPAK_USER_DIR": f"{place}/flatpak"}
        home |= {"XDG_RUNTIME_DIR": str(place / "run"), "XDG_DATA_HOME": str(place / "share")}
        (place / "run").mkdir()
        below = place / "runtime"
        below.mkdir()
        (below / "metadata").write_text(f"[Runtime]\nname={runtime.split('/', maxsplit=1)[0]}\n")
        roots.make_busybox(below / "usr")
        # The first is what the runtime is made of, the second what a build directory has to have.
        run("cp", "-a", below / "usr", below / "files")
        above = place / "app"
        (above / "files/bin").mkdir(parents=True)
        (above / "export").mkdir()
        program = above / "files/bin/sleeper"
        program.write_text('#!/bin/sh\nexec /bin/sleep "$1"\n')
        program.chmod(0o755)
        metadata = f"[Application]\nname={app}\nruntime={runtime}\ncommand=sleeper\n"
        (above / "metadata").write_text(metadata)
        command = ("flatpak", "--user")
        run("flatpak", "build-export", "--runtime", place / "repo", below, "1", env=home)
        run("flatpak", "build-export", place / "repo", above, "stable", env=home)
        run(*command, "remote-add", "--no-gpg-verify", "here", place / "repo", env=home)
        run(*command, "install", "--noninteractive", "here", app, env=home)
        sleep = bare.sleep()
        daemon = Daemon(*command, "run", app, sleep[1], log=place / "log", env=home)
        try:
            pid = daemon.wait_for(partial(bare.running, *sleep), "the application", 60)
            yield Made(name=app, engine="flatpak", handle=app, pid=bare.outermost(pid))
        finally:
            if left := bare.running(*sleep):
                os.kill(left, 9)
            daemon.stop()


@contextmanager
def lxd() -> Iterator[tuple[Made, Made]]:
    """Give a container of an LXD of its own that runs, and one that was never started."""
    name, idle = unique("lxd"), unique("idle")
    with workplace("lxd") as place:
        folder = place / "lxd"
        folder.mkdir()
        env = {"LXD_DIR": str(folder), "HOME": str(place)}
        lxc = partial(run, "lxc", env=env)
        daemon = Daemon("lxd", "--group=root", log=place / "log", env=env)
        try:
            daemon.wait_for(partial(_answers, env), "LXD's answer", 60)
            lxc("storage", "create", "default", "dir")
            lxc("profile", "device", "add", "default", "root", "disk", "path=/", "pool=default")
            lxc("image", "import", _image(place), "--alias=small")
            lxc("init", "small", idle)
            lxc("init", "small", name, "--config=security.privileged=true")
            lxc("start", name)
            info = lxc("info", name).splitlines()
            pid = next(int(line.split()[1]) for line in info if line.startswith("PID:"))
            yield (
                Made(name=name, engine="lxd", handle=name, pid=pid, place=folder),
                Made(name=idle, engine="lxd", handle=idle, pid=None),
            )
        finally:
            for one in (name, idle):
                with suppress(CommandError, subprocess.TimeoutExpired):
                    lxc("delete", "--force", one, timeout=30)
            daemon.stop()
            remove_cgroups(f"lxc.payload.{name}", f"lxc.monitor.{name}")


def _answers(env: dict[str, str]) -> bool:
    try:
        run("lxc", "info", env=env, timeout=10)
    except (CommandError, subprocess.TimeoutExpired):
        return False
    return True


def _image(place: Path) -> Path:
    content = place / "image"
    root = roots.make_busybox(content / "rootfs")
    (root / "sbin").mkdir(exist_ok=True)
    (root / "sbin/init").symlink_to("/bin/busybox")
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/inittab").write_text("::respawn:/bin/sleep 86400\n")
    (content / "metadata.yaml").write_text(f"architecture: {_ARCH}\ncreation_date: 1700000000\n")
    run("tar", "-C", content, "-cf", place / "image.tar", ".")
    return place / "image.tar"
