"""Containers and look-alikes of a host with systemd and a pure cgroup v2 tree.

It is meant for the guest, which is thrown away afterwards, so nothing is cleaned up.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness import bare, oci, systems
from tests.engines.harness.made import Made, namespace
from tests.engines.harness.programs import descendants, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

SLEEP = ("/bin/sleep", "86400")
SMALL = Path("/srv/bb")
"""The guest's busybox root; the image lab/busybox of docker and podman is the same."""

_HEX = "fedcba9876543210" * 4
_NOT_INSIDE = [
    "containerd.service",
    "docker.service",
    "docker.socket",
    "lab-agent.service",
    "podman.socket",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-udevd.service",
]
_ALL_UP = ("sshd", "cron", "rsyslogd", "dbus-daemon")


class Scene:
    """Makes the containers, and says what is true of each."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def docker_app(self) -> Made:
        return self._docker("app", "lab/busybox", *SLEEP)

    def docker_paused(self) -> Made:
        made = self._docker("paused", "lab/busybox", *SLEEP)
        run("docker", "pause", made.name)
        return made

    def docker_stopped(self) -> Made:
        made = self._docker("stopped", "lab/busybox", "true")
        run("docker", "wait", made.name)
        return self._docker_made(made.name)

    def docker_system(self) -> Made:
        """A systemd in a privileged container, over the guest's own /usr."""
        root = Path("/srv/image")
        for name in ("dev", "proc", "root", "run", "sys", "tmp", "usr", "var/lib", "var/log"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            (root / name).symlink_to(f"usr/{name}")
        shutil.copytree("/etc", root / "etc", symlinks=True)
        _leave_out_what_only_a_host_needs(root)
        run("tar", "-C", root, "-cf", "/srv/image.tar", ".")
        run("docker", "import", "/srv/image.tar", "lab/system")
        options = ("--privileged", "--stop-signal=SIGRTMIN+3", "--volume=/usr:/usr:ro")
        tmpfs = ("--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp")
        made = self._docker(
            "system", "lab/system", "/lib/systemd/systemd", options=(*options, *tmpfs)
        )
        return made.wait_for("sshd", "cron", "rsyslogd", seconds=120)

    def podman_app(self) -> Made:
        run("podman", "run", "--detach", "--name=pod-app", "--network=none", "lab/busybox", *SLEEP)
        return self._podman_made("pod-app")

    def podman_stopped(self) -> Made:
        run("podman", "create", "--name=pod-created", "--network=none", "lab/busybox", *SLEEP)
        return self._podman_made("pod-created")

    def lxc_system(self) -> Made:
        root = _second_debian(Path("/srv/lxc-root"))
        here = Path("/var/lib/lxc/lxcsystem")
        here.mkdir(parents=True)
        (here / "config").write_text(
            f"lxc.rootfs.path = dir:{root}\nlxc.uts.name = lxcsystem\nlxc.net.0.type = empty\n"
            "lxc.include = /usr/share/lxc/config/common.conf\n"
        )
        run("lxc-start", "--name=lxcsystem")
        pid = int(run("lxc-info", "--name=lxcsystem", "--pid", "--no-humanize"))
        made = Made(name="lxcsystem", engine="lxc", handle="lxcsystem", pid=pid)
        return made.wait_for(*_ALL_UP, seconds=120)

    def lxc_app(self) -> Made:
        return self._stack.enter_context(systems.lxc(*SLEEP))

    def lxc_stopped(self) -> Made:
        here = Path("/var/lib/lxc/lxcstopped")
        here.mkdir(parents=True)
        (here / "config").write_text(f"lxc.rootfs.path = dir:{SMALL}\nlxc.uts.name = lxcstopped\n")
        return Made(name="lxcstopped", engine="lxc", handle="lxcstopped", pid=None)

    def nspawn_of_machined(self) -> Made:
        _second_debian(Path("/var/lib/machines/machsystem"))
        settings = Path("/etc/systemd/nspawn/machsystem.nspawn")
        settings.parent.mkdir(exist_ok=True)
        settings.write_text("[Exec]\nPrivateUsers=no\n[Network]\nVirtualEthernet=no\n")
        run("machinectl", "start", "machsystem")
        return _machine("machsystem").wait_for("systemd", "cron", "rsyslogd", seconds=120)

    def nspawn_in_a_service(self) -> Made:
        root = Path("/srv/nspawn-app")
        shutil.copytree(SMALL, root, symlinks=True)
        run(
            *("systemd-run", "--unit=spawned", "--property=KillMode=mixed"),
            *("systemd-nspawn", "--machine=machapp", f"--directory={root}", "--console=pipe"),
            *SLEEP,
        )
        return wait_until(lambda: _machine_or_none("machapp"), "machine machapp", 60)

    def runc_in_a_scope(self) -> Made:
        return self._stack.enter_context(oci.runc(*SLEEP))

    def unshare_in_a_service(self) -> Made:
        """A program that no other host has under this name: a captured tree has no programs."""
        program = SMALL / "opt/tiny/sleep"
        program.parent.mkdir(parents=True)
        shutil.copy(SMALL / "bin/busybox", program)
        service = ("systemd-run", "--wait", "--pipe", "unshare", "--mount", "--pid", "--fork")
        words = (*service, "--mount-proc", f"--root={SMALL}")
        command = ("/opt/tiny/sleep", bare.sleep()[1])
        return self._stack.enter_context(bare.program_in("unshare", words, command))

    def _docker(self, name: str, image: str, *command: str, options: tuple[str, ...] = ()) -> Made:
        name = f"dock-{name}"
        run("docker", "run", "--detach", f"--name={name}", *options, image, *command)
        return self._docker_made(name)

    def _docker_made(self, name: str) -> Made:
        handle, pid = run("docker", "inspect", "-f", "{{.Id}} {{.State.Pid}}", name).split()
        return Made(name=name, engine="docker", handle=handle, pid=int(pid) or None)

    def _podman_made(self, name: str) -> Made:
        handle, pid = run("podman", "inspect", "-f", "{{.Id}} {{.State.Pid}}", name).split()
        return Made(name=name, engine="podman", handle=handle, pid=int(pid) or None)


class LookAlikes:
    """Makes what is no container."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def service_with_private_mounts(self) -> Made:
        return self._service("PrivateTmp=yes", "PrivateNetwork=yes", "ProtectSystem=strict")

    def service_with_a_dynamic_user(self) -> Made:
        return self._service("DynamicUser=yes", "PrivateUsers=yes", "PrivateDevices=yes")

    def service_with_a_root_of_its_own(self) -> Made:
        return self._service(f"RootDirectory={SMALL}", "MountAPIVFS=yes", "PrivateTmp=yes")

    def service_in_a_chroot(self) -> Made:
        words = ("systemd-run", "--wait", "--pipe", "chroot", SMALL)
        return self._stack.enter_context(bare.sleeping_in("none", *words))

    def session_of_a_user(self) -> Made:
        words = ("systemd-run", "--wait", "--pipe", "--property=PAMName=login", "--uid=root")
        return self._stack.enter_context(bare.sleeping_in("none", *words))

    def service_of_a_users_manager(self) -> Made:
        run("systemctl", "start", "user@0.service")
        # Without --wait it speaks to the manager itself: there is no bus for users here.
        words = ("env", "XDG_RUNTIME_DIR=/run/user/0", "systemd-run", "--user")
        return self._stack.enter_context(
            bare.sleeping_in("none", *words, "--property=PrivateTmp=yes")
        )

    def scope_with_dockers_name_and_a_host_process(self) -> Made:
        words = ("systemd-run", "--scope", f"--unit=docker-{_HEX}.scope")
        return self._stack.enter_context(bare.sleeping_in("none", *words))

    def empty_cgroup_with_dockers_name(self) -> Made:
        path = f"system.slice/docker-{_HEX[::-1]}.scope"
        return self._stack.enter_context(bare.cgroup(path))

    def bare_namespaces(self) -> Made:
        words = ("unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc")
        return self._stack.enter_context(bare.sleeping_in("none", *words))

    def _service(self, *properties: str) -> Made:
        settings = [f"--property={text}" for text in properties]
        words = ("systemd-run", "--wait", "--pipe", *settings)
        return self._stack.enter_context(bare.sleeping_in("none", *words))


def cases(of: type) -> list[str]:
    """Give the names of what a scene can make."""
    return [name for name in vars(of) if not name.startswith("_")]


def make(of: object, name: str) -> Made:
    """Make one of them."""
    maker: Callable[[], Made] = getattr(of, name)
    return maker()


def _second_debian(root: Path) -> Path:
    """Give a writable view of the guest's own root, with what only a host needs left out."""
    changes = Path("/run") / root.name
    changes.mkdir()
    run("mount", "-t", "tmpfs", "changes", changes)
    for path in (changes / "upper", changes / "work", root):
        path.mkdir(parents=True)
    options = f"lowerdir=/,upperdir={changes}/upper,workdir={changes}/work"
    run("mount", "-t", "overlay", "overlay", "-o", options, root)
    _leave_out_what_only_a_host_needs(root)
    return root


def _leave_out_what_only_a_host_needs(root: Path) -> None:
    for unit in _NOT_INSIDE:
        mask = root / "etc/systemd/system" / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")
    (root / "etc/machine-id").write_text("")


def _machine(name: str) -> Made:
    leader = int(run("machinectl", "show", name, "--property=Leader", "--value"))
    return Made(name=name, engine="nspawn", handle=name, pid=leader)


def _machine_or_none(name: str) -> Made | None:
    # The leader is nspawn's own child until it has become the command.
    if name not in run("machinectl", "list", "--no-legend"):
        return None
    made = _machine(name)
    assert made.pid
    os.kill(made.pid, 0)
    own = namespace(made.pid, "pid") != namespace(os.getpid(), "pid")
    return made if own and not descendants(made.pid) else None
