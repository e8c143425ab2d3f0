"""Docker daemons for the tests: private data, socket, containerd and network."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil

from tests.engines.harness import roots
from tests.engines.harness.made import Made, unique
from tests.engines.harness.programs import CommandError, Daemon, run, wait_until, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYSTEMD = (
    "--stop-signal=SIGRTMIN+3",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--tmpfs=/tmp",
    # Never writable: systemd would remount the host's own hierarchy.
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:ro",
)
"""What systemd as pid 1 needs of ``docker run``."""

FREE = (
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
)
"""As much of --privileged as works on a machine without CAP_SYS_RESOURCE."""


_NUMBERS = itertools.count()


class Docker:
    """One daemon and its containers."""

    def __init__(
        self, place: Path, *flags: str, own_network: bool = False, shared_mounts: bool = False
    ) -> None:
        self.place = place
        self.socket = place / "docker.sock"
        self.endpoint = f"unix://{self.socket}"
        self._flags = flags
        # Two daemons in one network namespace would fight over docker0.
        self._prefix: tuple[str, ...] = ("unshare", "--net") if own_network else ()
        if shared_mounts:
            # Shared, as under systemd, so that a container can see later mounts (rslave).
            self._prefix += ("unshare", "--mount", "--propagation=shared")
        number = next(_NUMBERS)
        self._bridge = "" if own_network else f"tm{os.getpid()}-{number}"
        # Another for each test run: several may be on one machine.
        self._address = f"10.{100 + os.getpid() % 100}.{77 + number}.1/24"
        self._images: set[str] = set()
        self.daemon: Daemon | None = None

    def start(self) -> None:
        """Start or restart the daemon, and wait until it answers."""
        if self._bridge and self.daemon is None:
            run("ip", "link", "add", self._bridge, "type", "bridge")
            run("ip", "addr", "add", self._address, "dev", self._bridge)
            run("ip", "link", "set", self._bridge, "up")
        self.daemon = Daemon(
            *self._prefix,
            "dockerd",
            f"--data-root={self.place}/data",
            f"--exec-root={self.place}/exec",
            f"--host={self.endpoint}",
            f"--pidfile={self.place}/pid",
            "--iptables=false",
            "--ip6tables=false",
            *([f"--bridge={self._bridge}"] if self._bridge else []),
            *self._flags,
            log=self.place / "dockerd.log",
        )
        self.daemon.wait_for(self.answers, "dockerd's answer", 60)

    def kill(self) -> None:
        """Kill the daemon, and wait for its containerd to end.

        A new daemon that finds the dying containerd would connect to it, and fail.
        """
        assert self.daemon
        self.daemon.stop(signal.SIGKILL)
        wait_until(lambda: not self._containerds(), "its containerd to die with it")
        # If it is not reaped, a new daemon takes the dead one for alive and waits for its socket.
        (self.place / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def _containerds(self) -> list[int]:
        config = f"{self.place}/exec/containerd/containerd.toml"
        return [
            process.pid
            for process in psutil.process_iter(["cmdline", "status"])
            if config in (process.info["cmdline"] or ())
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]

    def answers(self) -> bool:
        """Return whether the daemon answers now."""
        return self.succeeds("version")

    def close(self) -> None:
        """Remove every container, stop the daemon, remove the bridge."""
        with suppress(CommandError, subprocess.TimeoutExpired):
            self.remove_all()
        if self.daemon:
            self.daemon.stop(grace=20)
        if self._bridge:
            with suppress(CommandError):
                run("ip", "link", "delete", self._bridge)

    def cli(self, *words: str | Path, timeout: float = 120) -> str:
        """Run the docker command against this daemon."""
        return run("docker", "--host", self.endpoint, *words, timeout=timeout).strip()

    def succeeds(self, *words: str) -> bool:
        """Return whether a docker command succeeds soon."""
        try:
            self.cli(*words, timeout=5)
        except (CommandError, subprocess.TimeoutExpired):
            return False
        return True

    def image(self, name: str, root: Path) -> str:
        """Import a root filesystem as an image, once."""
        if name not in self._images:
            with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
                subprocess.run(
                    ["docker", "--host", self.endpoint, "import", "-", name],
                    stdin=tar.stdout,
                    check=True,
                    capture_output=True,
                )
            self._images.add(name)
        return name

    def busybox(self) -> str:
        """Return the small image."""
        root = self.place / "busybox"
        if not root.exists():
            roots.make_busybox(root)
        return self.image("tallyman/busybox:1", root)

    def debian(self) -> str:
        """Return the image with systemd, sshd, cron, rsyslog and services."""
        return self.image("tallyman/debian:12", roots.debian())

    def run(self, image: str, *command: str, name: str = "", options: tuple[str, ...] = ()) -> Made:
        """Start a container in the background."""
        name = name or unique("docker")
        handle = self.cli("run", "--detach", "--name", name, *options, image, *command)
        return self.made(name, handle)

    def made(self, name: str, handle: str = "") -> Made:
        """Return the facts of a container of this daemon as they are now."""
        facts = self.inspect(name)
        pid = int(facts["State"]["Pid"]) or None
        return Made(name=name, engine="docker", handle=handle or facts["Id"], pid=pid)

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what ``docker inspect`` shows of a container."""
        found: dict[str, Any] = json.loads(self.cli("inspect", "--type=container", name))[0]
        return found

    def remove_all(self) -> None:
        """Remove every container of this daemon."""
        if names := self.cli("ps", "--all", "--quiet").split():
            self.cli("rm", "--force", "--volumes", *names)


@contextmanager
def docker_daemon(
    *flags: str, own_network: bool = False, shared_mounts: bool = False
) -> Iterator[Docker]:
    """Return a running daemon; afterwards it is removed with everything that it made."""
    with workplace("docker") as place:
        docker = Docker(place, *flags, own_network=own_network, shared_mounts=shared_mounts)
        try:
            docker.start()
            yield docker
        finally:
            docker.close()
