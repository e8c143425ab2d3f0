"""The engines that the oracle knows, and how each is started."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.oci import containerd_alone
from tests.engines.harness.podman import podman
from tests.engines.harness.programs import workplace
from tests.soak.oracle.drivers.containerd import ContainerdDriver
from tests.soak.oracle.drivers.docker import DockerDriver
from tests.soak.oracle.drivers.lxc import LxcDriver
from tests.soak.oracle.drivers.podman import PodmanDriver
from tests.soak.oracle.drivers.runc import RuncDriver
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
def _containerd() -> Iterator[Driver]:
    with containerd_alone() as engine:
        yield ContainerdDriver(engine)


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
    "containerd": _containerd,
    "runc": lambda: _in_a_folder(RuncDriver),
    "lxc": lambda: _in_a_folder(LxcDriver),
    "nspawn": lambda: _in_a_folder(lambda _: NspawnDriver()),
    "unshare": lambda: _in_a_folder(UnshareDriver),
}
NEEDS: dict[str, tuple[str, ...]] = {
    "docker": ("dockerd", "docker", "busybox", "ip"),
    "podman": ("podman", "runc", "busybox"),
    "containerd": ("containerd", "ctr", "busybox"),
    "runc": ("runc", "busybox"),
    "lxc": ("lxc-start", "lxc-cgroup", "busybox"),
    "nspawn": ("systemd-nspawn", "busybox"),
    "unshare": ("unshare", "busybox"),
}
"""Programs that each needs."""
