"""Captures some of the scenarios in the cgroup v2 guest: ``python -m tests.corpus.guest [NAME …]``.

As root, with what the guest needs (tests/engines/harness/guest.py). The cases are called ``v2-…``.
Without a name it is those that need no more than the Debian of tests/engines has.
"""

from __future__ import annotations

import shutil
import sys

from tests.corpus.make import CASES
from tests.engines.harness import roots
from tests.engines.harness.guest import run_in_guest
from tests.engines.harness.programs import run, workplace

NAMES = (
    *("nginx", "redis", "sshd-alone", "cron-alone", "sleep", "shell", "init-nginx"),
    *("tini-python", "script-nginx", "supervisord-one", "exec-shell", "paused", "host-network"),
    *("two-loose", "tiny-httpd", "forged-argv", "stopped-nginx", "podman-nginx"),
    *("systemd-nginx", "systemd-full", "systemd-barest", "systemd-ssh-cron", "systemd-ssh-nginx"),
    *("script-server", "dummy-sleep-server", "runit-server", "supervisord-server"),
    *("busybox-init-server", "podman-server", "unshare-nginx", "unshare-server"),
    *("lxc-boot", "lxc-one", "lxc-systemd-one", "lxc-busybox", "lxc-sleep"),
    *("nspawn-boot", "nspawn-one"),
)

_LAB = "/srv/lab"
_IMAGES = " && ".join(
    f"tar -C {_LAB}/roots/{root} -c . | {engine} import - {image}"
    for engine, root, image in (
        ("docker", "debian", "debian:lab"),
        ("docker", "tiny", "busybox:lab"),
        ("podman", "debian", "localhost/e-debian:lab"),
    )
)


def main() -> None:
    """Capture the scenarios that are named, or those of the list."""
    names = sys.argv[1:] or NAMES
    with workplace("corpus") as place:
        (place / "cases").mkdir()
        roots.make_busybox(place / "tiny")
        run("tar", "-C", roots.debian(), "--one-file-system", "-cf", place / "debian.tar", ".")
        said = run_in_guest(
            place,
            f"mkdir -p {_LAB}/roots/debian tests/corpus/cases",
            f"tar -C {_LAB}/roots/debian -xf {place}/debian.tar",
            f"cp -a {place}/tiny {_LAB}/roots/tiny",
            _IMAGES,
            "export DOCKER_HOST=unix:///run/docker.sock CORPUS_PREFIX=v2- CORPUS_PATIENCE=3",
            f"python3 -m tests.corpus.make {_LAB} {' '.join(names)} 2>&1",
            f"cp tests/corpus/cases/v2-*.json {place}/cases",
        )
        sys.stdout.write(said)
        for case in sorted((place / "cases").iterdir()):
            shutil.copy(case, CASES)


if __name__ == "__main__":
    main()
