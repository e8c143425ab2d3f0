"""Makes look-alikes of containers on a host with systemd and a pure cgroup v2 hierarchy.

Like the scene it is meant for the guest only: nothing is cleaned up.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.guest.scene import SMALL
from tests.engines.guest.user import as_user, home
from tests.engines.harness import bare
from tests.engines.harness.made import Made, unique
from tests.engines.harness.programs import run

if TYPE_CHECKING:
    from contextlib import ExitStack

_HEX = "fedcba9876543210" * 4
IMAGE = Path("/srv/root.img")
"""A root filesystem in a file, for RootImage=; the guest has no mke2fs to create one."""


class LookAlikes:
    """Makes look-alikes, which are not containers."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def service_with_private_mounts(self) -> Made:
        return self._service("PrivateTmp=yes", "PrivateNetwork=yes", "ProtectSystem=strict")

    def service_with_a_dynamic_user(self) -> Made:
        return self._service("DynamicUser=yes", "PrivateUsers=yes", "PrivateDevices=yes")

    def service_with_a_root_of_its_own(self) -> Made:
        return self._service(f"RootDirectory={SMALL}", "MountAPIVFS=yes", "PrivateTmp=yes")

    def service_with_a_root_and_users_of_its_own(self) -> Made:
        return self._service(f"RootDirectory={SMALL}", "PrivateUsers=yes", "DynamicUser=yes")

    def service_with_an_image(self) -> Made:
        return self._service(f"RootImage={IMAGE}", "MountAPIVFS=yes")

    def service_with_an_empty_root_and_the_hosts_programs(self) -> Made:
        bound = "BindReadOnlyPaths=/usr /lib /lib64 /bin"
        return self._service("TemporaryFileSystem=/:ro", bound)

    def service_that_forks_in_a_root_of_its_own(self) -> Made:
        """Its first process has exited, and systemd has adopted the others."""
        command = bare.sleep()
        run(
            *("systemd-run", f"--property=RootDirectory={SMALL}", "--property=Type=forking"),
            *("/bin/sh", "-c", f"{' '.join(command)} & {' '.join(bare.sleep())} &"),
        )
        return _nameless(bare.running(*command))

    def service_with_a_root_and_cgroups_of_its_own(self) -> Made:
        """Its processes are in a cgroup below the unit's, which systemd has delegated to it."""
        made = self._service(f"RootDirectory={SMALL}", "Delegate=yes")
        unit = Path(f"/proc/{made.pid}/cgroup").read_text().strip().partition("::/")[2]
        below = Path("/sys/fs/cgroup") / unit / "workers"
        below.mkdir()
        (below / "cgroup.procs").write_text(str(made.pid))
        return made

    def portable_service(self) -> Made:
        root = Path("/srv/portable")
        shutil.copytree(SMALL, root, symlinks=True)
        for name in ("tmp", "var/tmp", "usr/lib/systemd/system"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("etc/machine-id", "etc/resolv.conf"):
            (root / name).touch()
        unit = root / "usr/lib/systemd/system/portable.service"
        unit.write_text("[Service]\nExecStart=/bin/sleep 86402\n")
        run("portablectl", "attach", "--runtime", "--now", "--profile=trusted", root, "portable")
        return _nameless(_main_pid("portable.service"))

    def service_in_a_chroot(self) -> Made:
        words = ("systemd-run", "--wait", "--pipe", "chroot", SMALL)
        return self._stack.enter_context(bare.sleeping_in("none", *words))

    def session_of_a_user(self) -> Made:
        words = ("systemd-run", "--wait", "--pipe", "--property=PAMName=login", "--uid=root")
        return self._stack.enter_context(bare.sleeping_in("none", *words))

    def service_of_a_users_manager(self) -> Made:
        # An ordinary user's manager grants private mounts only with private users.
        return _service_of_a_user("PrivateUsers=yes", "PrivateTmp=yes")

    def service_of_a_users_manager_with_a_root(self) -> Made:
        root = home() / "root"
        shutil.copytree(SMALL, root, symlinks=True)
        return _service_of_a_user("PrivateUsers=yes", f"RootDirectory={root}")

    def virtual_machine_of_machined(self) -> Made:
        """As libvirt registers them: to the kernel an ordinary process."""
        made = self._service("Slice=machine.slice")
        manager = ("org.freedesktop.machine1", "/org/freedesktop/machine1")
        name = unique("vm").replace("-", "")
        run(
            *("busctl", "call", *manager, "org.freedesktop.machine1.Manager"),
            *("RegisterMachine", "sayssus", name, "0", "libvirt-qemu", "vm", str(made.pid), ""),
        )
        return made

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


def _service_of_a_user(*properties: str) -> Made:
    unit = unique("unit")
    settings = [f"--property={text}" for text in properties]
    as_user("systemd-run", "--user", f"--unit={unit}", *settings, *bare.sleep())
    return _nameless(int(as_user("systemctl", "--user", "show", "-PMainPID", f"{unit}.service")))


def _main_pid(unit: str) -> int:
    return int(run("systemctl", "show", "-PMainPID", unit))


def _nameless(pid: int | None) -> Made:
    assert pid
    return Made(name="", engine="none", handle=unique("nameless"), pid=pid)
