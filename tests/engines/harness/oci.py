"""Containers of containerd, and of OCI runtimes without an engine."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness import roots
from tests.engines.harness.made import Made, unique
from tests.engines.harness.programs import (
    CommandError,
    Daemon,
    remove_cgroups,
    run,
    workplace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNIFIED = Path("/sys/fs/cgroup/unified")
# A systemd that booted in a container may have left the tmpfs of /sys/fs/cgroup read-only.
_HIDE = f"umount -l {_UNIFIED}; mount -o remount,rw {_UNIFIED.parent};"
CRUN = (
    ("unshare", "--mount", "sh", "-c", f'{_HIDE} exec "$@"', "sh", "crun")
    if _UNIFIED.exists()
    else ("crun",)
)
"""The command: crun refuses a hybrid hierarchy, and is given a v1 one."""


@contextmanager
def containerd(*command: str) -> Iterator[Made]:
    """Return a container of a private containerd, without Docker and without Kubernetes."""
    name = unique("ctr")
    with containerd_alone() as engine:
        yield engine.start(name, *command)


@dataclass(frozen=True, slots=True)
class Containerd:
    """A private containerd."""

    ctr: tuple[str, ...]
    """The command that asks it, in a namespace of its own."""
    slice: str
    """Its namespace, and so the cgroup in which all of its containers are."""
    root: Path
    """A root filesystem with busybox, which they all share."""

    def command(
        self, name: str, *flags: str, action: tuple[str, ...] = ("run",)
    ) -> tuple[str | Path, ...]:
        """Return the command that runs (or creates) a container, but for what is to run in it."""
        return (*self.ctr, *action, *flags, "--rootfs", self.root, name)

    def start(self, name: str, *command: str) -> Made:
        """Start a container in the background."""
        run(*self.command(name, "--detach"), *command)
        lines = run(*self.ctr, "task", "list").splitlines()
        pid = next(int(line.split()[1]) for line in lines if line.startswith(name))
        return Made(name=name, engine="containerd", handle=name, pid=pid)

    def kill_all(self) -> None:
        """Kill and delete every task."""
        for line in run(*self.ctr, "task", "list", "--quiet").splitlines():
            with suppress(CommandError):
                run(*self.ctr, "task", "kill", "--signal=SIGKILL", line)
            with suppress(CommandError):
                run(*self.ctr, "task", "delete", "--force", line)


@contextmanager
def containerd_alone() -> Iterator[Containerd]:
    """Return a private containerd, without Docker, Kubernetes and containers."""
    slice_name = unique("slice")
    with workplace("containerd") as place:
        socket = place / "containerd.sock"
        (place / "config.toml").write_text(
            f"""version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{socket}"
"""
        )
        daemon = Daemon("containerd", "--config", place / "config.toml", log=place / "log")
        ctr = ("ctr", "--address", str(socket), "--namespace", slice_name)
        try:
            daemon.wait_for(socket.exists, "containerd's socket")
            engine = Containerd(ctr, slice_name, roots.make_busybox(place / "busybox"))
            try:
                yield engine
            finally:
                with suppress(CommandError):
                    engine.kill_all()
        finally:
            daemon.stop()
            remove_cgroups(slice_name)


@contextmanager
def runc(
    *command: str,
    cgroup: str = "",
    in_slice: str = "",
    own_root: bool = False,
    action: str = "run",
) -> Iterator[Made]:
    """Return a container of bare runc, with its state where runc keeps it, or beside the bundle.

    With a slice, systemd makes a scope in it. With the action ``create`` the container waits to be
    started.
    """
    name = unique("runc")
    by_systemd = ("--systemd-cgroup",) if in_slice else ()
    place_of_it = f"{in_slice}:runc:{name}" if in_slice else cgroup or f"/{name}"
    with workplace("runc") as place:
        program = ("runc", f"--root={place}/state") if own_root else ("runc",)
        detach = ("--detach",) if action == "run" else ()
        bundle = make_bundle(place, *command, cgroup=place_of_it)
        pid_file = place / "pid"
        try:
            # The container inherits runc's output, so a pipe would never end.
            words = (action, *detach, "--bundle", bundle, "--pid-file", pid_file, name)
            _quietly(*program, *by_systemd, *words)
            yield Made(name=name, engine="runc", handle=name, pid=int(pid_file.read_text()))
        finally:
            with suppress(CommandError):
                run(*program, "delete", "--force", name)
            remove_cgroups((cgroup or name).strip("/").split("/")[0])


@contextmanager
def crun(*command: str) -> Iterator[Made]:
    """Return a container of bare crun."""
    name = unique("crun")
    with workplace("crun") as place:
        bundle = make_bundle(place, *command, cgroup=f"/{name}")
        pid_file = place / "pid"
        try:
            _quietly(*CRUN, "run", "--detach", "--bundle", bundle, "--pid-file", pid_file, name)
            yield Made(name=name, engine="crun", handle=name, pid=int(pid_file.read_text()))
        finally:
            with suppress(CommandError):
                run(*CRUN, "delete", "--force", name)
            remove_cgroups(name)


def make_bundle(place: Path, *command: str, cgroup: str, root: Path | None = None) -> Path:
    """Make an OCI bundle: what ``runc spec`` gives, with our command and cgroup."""
    bundle = place / "bundle"
    bundle.mkdir()
    if root is None:
        roots.make_busybox(bundle / "rootfs")
    run("runc", "spec", "--bundle", bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = list(command)
    config["process"]["terminal"] = False
    config["linux"]["cgroupsPath"] = cgroup
    if root is not None:
        config["root"]["path"] = str(root)
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def run_detached(
    bundle: Path, name: str, program: tuple[str, ...] = ("runc",), *, create: bool = False
) -> None:
    """Start a container of a bare runtime in the background, or only create it."""
    words = ("--bundle", bundle, "--pid-file", bundle.parent / "pid", name)
    _quietly(*program, *(["create"] if create else ["run", "--detach"]), *words)


def set_cgroup(bundle: Path, cgroup: str) -> None:
    """Give the next container of a bundle another cgroup."""
    config = json.loads((bundle / "config.json").read_text())
    config["linux"]["cgroupsPath"] = cgroup
    (bundle / "config.json").write_text(json.dumps(config))


def _quietly(*argv: str | Path) -> None:
    log = Path(argv[-2]).with_name("log")
    daemon = Daemon(*argv, log=log)
    status = daemon.process.wait(30)
    if status:
        raise CommandError(f"{argv}: exit status {status}\n{daemon.output()}")
