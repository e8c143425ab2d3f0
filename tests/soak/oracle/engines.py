"""The engines that the oracle knows, and how each is started."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.managers import DAEMONS, instances
from tests.engines.harness.oci import containerd_alone
from tests.engines.harness.podman import podman, podman_of_a_user
from tests.engines.harness.programs import SYSTEMD, workplace
from tests.soak.oracle.drivers.containerd import ContainerdDriver
from tests.soak.oracle.drivers.docker import DockerDriver
from tests.soak.oracle.drivers.instances import InstancesDriver
from tests.soak.oracle.drivers.lxc import LxcDriver
from tests.soak.oracle.drivers.machined import MachinedDriver
from tests.soak.oracle.drivers.oci import CrunDriver, RuncDriver
from tests.soak.oracle.drivers.podman import PodmanDriver, RootlessDriver
from tests.soak.oracle.drivers.single import NspawnDriver, UnshareDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.soak.oracle.facts import Driver


@contextmanager
def _docker() -> Iterator[Driver]:
    with docker_daemon() as docker:
        yield DockerDriver(docker)


@contextmanager
def _podman() -> Iterator[Driver]:
    with podman() as engine:
        yield PodmanDriver(engine)


@contextmanager
def _rootless() -> Iterator[Driver]:
    with podman_of_a_user() as engine:
        yield RootlessDriver(engine)


@contextmanager
def _containerd() -> Iterator[Driver]:
    with containerd_alone() as engine:
        yield ContainerdDriver(engine)


@contextmanager
def _instances(engine: str, client: str) -> Iterator[Driver]:
    with instances(engine, client) as manager:
        driver = InstancesDriver(manager)
        try:
            yield driver
        finally:
            driver.close()


@contextmanager
def _in_a_folder(of: Callable[[Path], Driver]) -> Iterator[Driver]:
    with workplace("oracle") as place:
        driver = of(place)
        try:
            yield driver
        finally:
            driver.close()


ENGINES: dict[str, Callable[[], AbstractContextManager[Driver]]] = {
    "docker": _docker,
    "podman": _podman,
    "rootless": _rootless,
    "containerd": _containerd,
    "runc": lambda: _in_a_folder(RuncDriver),
    "crun": lambda: _in_a_folder(CrunDriver),
    "lxd": lambda: _instances("lxd", "lxc"),
    "incus": lambda: _instances("incus", "incus"),
    "lxc": lambda: _in_a_folder(LxcDriver),
    "nspawn": lambda: _in_a_folder(lambda _: NspawnDriver()),
    "machined": lambda: _in_a_folder(MachinedDriver),
    "unshare": lambda: _in_a_folder(UnshareDriver),
}
"""By the driver's name."""
NEEDS: dict[str, tuple[str, ...]] = {
    "docker": ("dockerd", "docker", "busybox", "ip"),
    "podman": ("podman", "runc", "busybox"),
    "rootless": ("podman", "runc", "newuidmap", "setpriv", "useradd", "busybox"),
    "containerd": ("containerd", "ctr", "busybox"),
    "runc": ("runc", "busybox"),
    "crun": ("crun", "runc", "busybox"),
    "lxc": ("lxc-start", "lxc-cgroup", "busybox"),
    "lxd": (DAEMONS["lxd"], "lxc", "busybox"),
    "incus": (DAEMONS["incus"], "incus", "busybox"),
    "nspawn": ("systemd-nspawn", "busybox"),
    "machined": ("systemd-nspawn", "machinectl", "busybox"),
    "unshare": ("unshare", "busybox"),
}
"""Programs that each needs."""
_UNDER_SYSTEMD = frozenset({"machined"})
"""Those that need a host which was booted by systemd."""


def installed() -> list[str]:
    """Return the engines that can be started on this host."""
    return [
        name
        for name, programs in NEEDS.items()
        if all(map(shutil.which, programs)) and (SYSTEMD or name not in _UNDER_SYSTEMD)
    ]
