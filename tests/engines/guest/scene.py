"""Containers of a host with systemd and a pure cgroup v2 hierarchy.

It is meant for the guest, which is discarded afterwards, so nothing is cleaned up.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.guest.user import USER, as_user, home
from tests.engines.harness import bare, oci, systems
from tests.engines.harness.made import Made, namespace
from tests.engines.harness.programs import descendants, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

SLEEP = ("/bin/sleep", "86400")
LONG = 300.0
"""In seconds: the guest's processor is emulated, on a machine that may be busy."""
SMALL = Path("/srv/bb")
"""The guest's busybox root; the image lab/busybox of docker and podman is the same."""

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
    """Makes the containers, and records the facts of each."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._docker_system: Made | None = None

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
        shutil.copytree(SMALL, root / "srv/inner", symlinks=True)
        run("tar", "-C", root, "-cf", "/srv/image.tar", ".")
        run("docker", "import", "/srv/image.tar", "lab/system")
        options = ("--privileged", "--stop-signal=SIGRTMIN+3", "--volume=/usr:/usr:ro")
        tmpfs = ("--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp")
        made = self._docker(
            "system", "lab/system", "/lib/systemd/systemd", options=(*options, *tmpfs)
        )
        self._docker_system = made
        return made.wait_for("sshd", "cron", "rsyslogd", seconds=LONG)

    def unshare_in_docker_system(self) -> Made:
        """Nested: a container created by an exec into another one."""
        outer = self._docker_system
        assert outer is not None
        words = (
            *("docker", "exec", outer.name, "unshare", "--mount", "--pid", "--fork"),
            "--root=/srv/inner",
        )
        return self._stack.enter_context(bare.sleeping_in("unshare", *words, parent=outer))

    def docker_in_the_hosts_namespaces(self) -> Made:
        kinds = ("cgroupns", "ipc", "network", "pid", "uts")
        options = tuple(f"--{kind}=host" for kind in kinds)
        return self._docker("open", "lab/busybox", *SLEEP, options=options)

    def docker_in_a_slice(self) -> Made:
        options = ("--cgroup-parent=customers.slice", "--network=none")
        return self._docker("sliced", "lab/busybox", *SLEEP, options=options)

    def podman_app(self) -> Made:
        run("podman", "run", "--detach", "--name=pod-app", "--network=none", "lab/busybox", *SLEEP)
        return self._podman_made("pod-app")

    def podman_stopped(self) -> Made:
        run("podman", "create", "--name=pod-created", "--network=none", "lab/busybox", *SLEEP)
        return self._podman_made("pod-created")

    def podman_in_a_unit(self) -> Made:
        """As with podman's Quadlet: the unit's cgroup is split between conmon and the container."""
        unit = ("Delegate=yes", "KillMode=mixed", "NotifyAccess=all", "Type=notify")
        command = ("podman", "run", "--cgroups=split", "--sdnotify=conmon", "--name=pod-unit")
        run(
            *("systemd-run", "--unit=quadlet", *(f"--property={text}" for text in unit)),
            *(*command, "--detach", "--network=none", "lab/busybox", *SLEEP),
        )
        return self._podman_made("pod-unit")

    def podman_in_a_pod(self) -> Made:
        infra = ("--infra-image=localhost/lab/busybox", "--infra-command=/bin/sleep 86401")
        run("podman", "pod", "create", "--name=thepod", "--network=none", *infra)
        words = ("run", "--detach", "--name=pod-member", "--pod=thepod")
        run("podman", *words, "lab/busybox", *SLEEP)
        return self._podman_made("pod-member")

    def podman_infra_of_the_pod(self) -> Made:
        handle = run("podman", "pod", "inspect", "-f", "{{.InfraContainerID}}", "thepod").strip()
        return self._podman_made(handle)

    def lxc_system(self) -> Made:
        root = second_debian(Path("/srv/lxc-root"))
        here = Path("/var/lib/lxc/lxcsystem")
        here.mkdir(parents=True)
        (here / "config").write_text(
            f"lxc.rootfs.path = dir:{root}\nlxc.uts.name = lxcsystem\nlxc.net.0.type = empty\n"
            "lxc.include = /usr/share/lxc/config/common.conf\n"
        )
        run("lxc-start", "--name=lxcsystem")
        pid = int(run("lxc-info", "--name=lxcsystem", "--pid", "--no-humanize"))
        made = Made(name="lxcsystem", engine="lxc", handle="lxcsystem", pid=pid)
        return made.wait_for(*_ALL_UP, seconds=LONG)

    def lxc_app(self) -> Made:
        return self._stack.enter_context(systems.lxc(*SLEEP))

    def lxc_with_users_of_its_own(self) -> Made:
        return self._stack.enter_context(systems.lxc(*SLEEP, unprivileged=True))

    def lxc_stopped(self) -> Made:
        here = Path("/var/lib/lxc/lxcstopped")
        here.mkdir(parents=True)
        (here / "config").write_text(f"lxc.rootfs.path = dir:{SMALL}\nlxc.uts.name = lxcstopped\n")
        return Made(name="lxcstopped", engine="lxc", handle="lxcstopped", pid=None)

    def nspawn_of_machined(self) -> Made:
        second_debian(Path("/var/lib/machines/machsystem"))
        settings = Path("/etc/systemd/nspawn/machsystem.nspawn")
        settings.parent.mkdir(exist_ok=True)
        settings.write_text("[Exec]\nPrivateUsers=no\n[Network]\nVirtualEthernet=no\n")
        run("machinectl", "start", "machsystem")
        return _machine("machsystem").wait_for("systemd", "cron", "rsyslogd", seconds=LONG)

    def nspawn_in_a_service(self) -> Made:
        return self._nspawn("machapp")

    def nspawn_with_users_of_its_own(self) -> Made:
        return self._nspawn("machusers", "--private-users=pick", "--private-users-ownership=chown")

    def runc_with_a_cgroup_of_its_own(self) -> Made:
        return self._stack.enter_context(oci.runc(*SLEEP))

    def runc_in_a_scope(self) -> Made:
        return self._stack.enter_context(oci.runc(*SLEEP, in_slice="system.slice"))

    def containerd(self) -> Made:
        return self._stack.enter_context(oci.containerd(*SLEEP))

    def unshare_in_a_service(self) -> Made:
        """A program under a name that no host has: a captured tree has no programs."""
        program = SMALL / "opt/tiny/sleep"
        program.parent.mkdir(parents=True)
        shutil.copy(SMALL / "bin/busybox", program)
        service = ("systemd-run", "--wait", "--pipe", "unshare", "--mount", "--pid", "--fork")
        words = (*service, "--mount-proc", f"--root={SMALL}")
        command = ("/opt/tiny/sleep", bare.sleep()[1])
        return self._stack.enter_context(bare.program_in("unshare", words, command))

    def unshare_in_a_scope(self) -> Made:
        words = ("systemd-run", "--scope", "unshare", "--mount", "--pid", "--fork")
        return self._stack.enter_context(
            bare.sleeping_in("unshare", *words, "--mount-proc", f"--root={SMALL}")
        )

    def podman_of_a_user(self) -> Made:
        """The user's systemd puts it in a scope of its own, in the user's slice.

        Containers of users come last: the systems above share the guest's root, with its users.
        """
        archive = home() / "busybox.tar"
        run("tar", "-C", SMALL, "-cf", archive, ".")
        as_user("podman", "import", archive, "lab/busybox")
        words = ("run", "--detach", "--name=pod-user", "--network=none")
        as_user("podman", *words, "lab/busybox", *SLEEP)
        return self._podman_made("pod-user", as_user)

    def lxc_of_a_user(self) -> Made:
        """In a scope of the user's own systemd, which has delegated it."""
        place = home() / "lxc"
        root = place / "lxcuser/rootfs"
        shutil.copytree(SMALL, root, symlinks=True)
        first = systems.subordinate_ids(USER)
        run("chown", "--recursive", f"{first}:{first}", root)
        (root.parent / "config").write_text(
            f"lxc.uts.name = lxcuser\nlxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\n"
            f"lxc.init.cmd = {' '.join(SLEEP)}\nlxc.apparmor.profile = unconfined\n"
            f"lxc.idmap = u 0 {first} 65536\nlxc.idmap = g 0 {first} 65536\n"
        )
        for path in (place, root.parent):
            shutil.chown(path, USER, USER)
        where = (f"--lxcpath={place}", "--name=lxcuser")
        scope = ("systemd-run", "--user", "--scope", "--property=Delegate=yes")
        as_user(*scope, "lxc-start", *where)
        pid = int(as_user("lxc-info", *where, "--pid", "--no-humanize"))
        return Made(name="lxcuser", engine="lxc", handle="lxcuser", pid=pid)

    def _docker(self, name: str, image: str, *command: str, options: tuple[str, ...] = ()) -> Made:
        name = f"dock-{name}"
        run("docker", "run", "--detach", f"--name={name}", *options, image, *command)
        return self._docker_made(name)

    def _docker_made(self, name: str) -> Made:
        handle, pid = run("docker", "inspect", "-f", "{{.Id}} {{.State.Pid}}", name).split()
        return Made(name=name, engine="docker", handle=handle, pid=int(pid) or None)

    def _podman_made(self, name: str, by: Callable[..., str] = run) -> Made:
        facts = "{{.Name}} {{.Id}} {{.State.Pid}}"
        name, handle, pid = by("podman", "inspect", "-f", facts, name).split()
        return Made(name=name, engine="podman", handle=handle, pid=int(pid) or None)

    def _nspawn(self, name: str, *options: str) -> Made:
        root = Path("/srv") / name
        shutil.copytree(SMALL, root, symlinks=True)
        run(
            *("systemd-run", f"--unit=of-{name}", "--property=KillMode=mixed"),
            *("systemd-nspawn", f"--machine={name}", f"--directory={root}", "--console=pipe"),
            *(*options, *SLEEP),
        )
        return wait_until(lambda: _machine_or_none(name), f"machine {name}", LONG)


def cases(of: type) -> list[str]:
    """Return the names of the containers that a scene can make."""
    return [name for name in vars(of) if not name.startswith("_")]


def make(of: object, name: str) -> Made:
    """Make one of them."""
    maker: Callable[[], Made] = getattr(of, name)
    return maker()


def second_debian(root: Path) -> Path:
    """Return a writable view of the guest's own root, without what only a host needs."""
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
