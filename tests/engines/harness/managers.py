"""Flatpak, LXD and libvirt, each with a private folder for all its data."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness import bare, roots
from tests.engines.harness.made import Made, unique
from tests.engines.harness.programs import (
    CommandError,
    Daemon,
    hierarchies,
    remove_cgroups,
    run,
    workplace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ARCH = platform.machine()
DAEMONS = {"lxd": "lxd", "incus": shutil.which("incusd") or "/usr/libexec/incus/incusd"}
"""The daemons' programs; Debian has that of Incus in no PATH."""


@contextmanager
def flatpak() -> Iterator[Made]:
    """Return an application started by ``flatpak run``, on a runtime made of busybox."""
    runtime, app = f"org.tallyman.Platform/{_ARCH}/1", "org.tallyman.Sleeper"
    with workplace("flatpak") as place:
        home = {"HOME": str(place), "FLATPAK_USER_DIR": f"{place}/flatpak"}
        home |= {"XDG_RUNTIME_DIR": str(place / "run"), "XDG_DATA_HOME": str(place / "share")}
        (place / "run").mkdir()
        below = place / "runtime"
        below.mkdir()
        (below / "metadata").write_text(f"[Runtime]\nname={runtime.split('/', maxsplit=1)[0]}\n")
        roots.make_busybox(below / "usr")
        # The first becomes the runtime, the second is required in a build directory.
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
    """Return a running container of a private LXD, and one that was never started."""
    name, idle = unique("lxd"), unique("idle")
    with instances("lxd", "lxc") as manager:
        try:
            manager.cli("init", manager.image, idle)
            manager.cli("init", manager.image, name, "--config=security.privileged=true")
            manager.cli("start", name)
            info = manager.cli("info", name).splitlines()
            pid = next(int(line.split()[1]) for line in info if line.startswith("PID:"))
            yield (
                Made(name=name, engine="lxd", handle=name, pid=pid, place=manager.folder),
                Made(name=idle, engine="lxd", handle=idle, pid=None),
            )
        finally:
            manager.remove(name, idle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """A private LXD or Incus with an image; both take the same commands."""

    engine: str
    client: str
    folder: Path
    env: Mapping[str, str]
    image = "small"

    def cli(self, *words: str | Path, timeout: float = 300) -> str:
        """Run its client."""
        return run(self.client, *words, env=self.env, timeout=timeout)

    def answers(self) -> bool:
        """Return whether the daemon answers now."""
        try:
            self.cli("info", timeout=10)
        except (CommandError, subprocess.TimeoutExpired):
            return False
        return True

    def remove(self, *names: str) -> None:
        """Remove containers, if they are there."""
        for name in names:
            with suppress(CommandError, subprocess.TimeoutExpired):
                self.cli("delete", "--force", name, timeout=60)
            remove_cgroups(f"lxc.payload.{name}", f"lxc.monitor.{name}")


@contextmanager
def instances(engine: str, client: str) -> Iterator[Manager]:
    """Return a private LXD (client ``lxc``) or Incus (client ``incus``), without containers."""
    with workplace(engine) as place:
        folder = place / engine
        folder.mkdir()
        env = {f"{engine.upper()}_DIR": str(folder), "HOME": str(place)}
        manager = Manager(engine=engine, client=client, folder=folder, env=env)
        daemon = Daemon(DAEMONS[engine], "--group=root", log=place / "log", env=env)
        try:
            daemon.wait_for(manager.answers, f"{engine}'s answer", 60)
            manager.cli("storage", "create", "default", "dir")
            disk = ("default", "root", "disk", "path=/", "pool=default")
            manager.cli("profile", "device", "add", *disk)
            manager.cli("image", "import", _image(place), f"--alias={manager.image}")
            yield manager
        finally:
            daemon.stop()


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


@contextmanager
def libvirt() -> Iterator[tuple[Made, Made]]:
    """Return a running container of a private libvirtd, and one that is only defined.

    Its controller refuses a hybrid hierarchy, like crun, so it is hidden from libvirtd. The QEMU
    driver, where it is installed, needs more than this machine has.
    """
    name, idle, sleep = unique("libvirt"), unique("defined"), bare.sleep()
    script = 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
    with workplace("libvirt") as place:
        socket = place / "libvirt-sock"
        drivers = place / "drivers"
        drivers.mkdir()
        for driver in Path("/usr/lib").glob("*/libvirt/*/libvirt_driver_lxc.so"):
            (drivers / driver.name).symlink_to(driver)
        config = place / "libvirtd.conf"
        config.write_text(f'unix_sock_dir = "{place}"\nauth_unix_rw = "none"\n')
        words = ("libvirtd", f"--config={config}", f"--pid-file={place}/pid")
        virsh = partial(run, "virsh", f"--connect=lxc:///system?socket={socket}")
        root = roots.make_busybox(place / "root")
        daemon = Daemon(
            *("unshare", "--mount", "sh", "-c", script, "sh"),
            *words,
            log=place / "log",
            env={"LIBVIRT_DRIVER_DIR": str(drivers)},
        )
        try:
            daemon.wait_for(socket.exists, "libvirtd's socket", 60)
            for one, action in ((name, "create"), (idle, "define")):
                (place / f"{one}.xml").write_text(_domain(one, root, *sleep))
                virsh(action, place / f"{one}.xml")
            pid = daemon.wait_for(partial(bare.running, *sleep), "the container", 30)
            yield (
                Made(name=name, engine="libvirt-lxc", handle=name, pid=bare.outermost(pid)),
                Made(name=idle, engine="libvirt-lxc", handle=idle, pid=None),
            )
        finally:
            for action, one in (("destroy", name), ("undefine", idle)):
                with suppress(CommandError, subprocess.TimeoutExpired):
                    virsh(action, one, timeout=30)
            daemon.stop()
            for hierarchy in hierarchies():
                with suppress(OSError):  # it may belong to another daemon
                    (hierarchy / "machine").rmdir()


def _domain(name: str, root: Path, program: str, argument: str) -> str:
    return f"""<domain type='lxc'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type>exe</type><init>{program}</init><initarg>{argument}</initarg></os>
  <devices>
    <filesystem type='mount'><source dir='{root}'/><target dir='/'/></filesystem>
    <console type='pty'/>
  </devices>
</domain>
"""
