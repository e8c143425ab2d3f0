"""The engines that the oracle knows, and how each is started."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.programs import workplace
from tests.soak.oracle.drivers.docker import DockerDriver
from tests.soak.oracle.drivers.runc import RuncDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.soak.oracle.facts import Driver


@contextmanager
def _docker() -> Iterator[Driver]:
    with docker_daemon() as docker:
        yield DockerDriver(docker)


@contextmanager
def _runc() -> Iterator[Driver]:
    with workplace("oci") as place:
        driver = RuncDriver(place)
        try:
            yield driver
        finally:
            driver.close()


ENGINES: dict[str, Callable[[], AbstractContextManager[Driver]]] = {
    "docker": _docker,
    "runc": _runc,
}
NEEDS: dict[str, tuple[str, ...]] = {
    "docker": ("dockerd", "docker", "busybox", "ip"),
    "runc": ("runc", "busybox"),
}
"""Programs that each needs."""
