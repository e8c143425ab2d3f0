"""Starts containers worth capturing inside the guest, and captures the host.

python3 -m tests.engines.guest.capture FILE
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.engines.guest.look_alikes import LookAlikes
from tests.engines.guest.scene import SMALL, Scene
from tests.tools.capture_host import Capture


def main(file: Path) -> None:
    """Make part of the scene, and write the archive."""
    _images()
    stack = ExitStack()
    scene, others = Scene(stack), LookAlikes(stack)
    scene.docker_app()
    scene.docker_stopped()
    scene.docker_system()
    scene.podman_app()
    scene.lxc_system()
    scene.lxc_stopped()
    scene.nspawn_of_machined()
    scene.unshare_in_a_service()
    others.service_with_private_mounts()
    others.scope_with_dockers_name_and_a_host_process()
    others.empty_cgroup_with_dockers_name()
    file.write_text(Capture().run().dump())


def _images() -> None:
    """Import the small image; a freshly booted guest has none."""
    for engine in ("docker", "podman"):
        with subprocess.Popen(["tar", "-C", SMALL, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run([engine, "import", "-", "lab/busybox"], stdin=tar.stdout, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
