"""LXC and systemd-nspawn: engines made for whole systems that can also run single programs."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness import roots
from tests.engines.harness.made import Made, child_running, unique
from tests.engines.harness.programs import (
    CommandError,
    Daemon,
    descendants,
    remove_cgroups,
    run,
    workplace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMMON = Path("/usr/share/lxc/config/common.conf")
_OUTER_ID = 100_000
_INIT = "/usr/lib/systemd/systemd"
"""The name under which nspawn starts an init."""


@contextmanager
def lxc(
    *command: str,
    unprivileged: bool = False,
    more: str = "",
    prepare: Callable[[Path], object] = lambda _: None,
) -> Iterator[Made]:
    """Return an LXC container in a private lxcpath; without a command it boots Debian.

    ``prepare`` is given the root filesystem before it starts.
    """
    name = unique("lxc")
    with workplace("lxc") as place:
        lines = lxc_config(name, place, *command, unprivileged=unprivileged)
        (place / name / "config").write_text("\n".join([*lines, more, ""]))
        prepare(place / name / "rootfs")
        where = (f"--lxcpath={place}", f"--name={name}")
        log = place / "log"
        try:
            run("lxc-start", *where, f"--logfile={log}", "--logpriority=info")
            pid = int(run("lxc-info", *where, "--pid", "--no-humanize"))
            yield Made(name=name, engine="lxc", handle=name, pid=pid, place=place)
        finally:
            with suppress(CommandError):
                run("lxc-stop", *where, "--kill")
            remove_cgroups(f"lxc.payload.{name}", f"lxc.monitor.{name}")


@contextmanager
def lxc_on_the_hosts_root(*command: str) -> Iterator[Made]:
    """Return an application container of LXC without a root filesystem of its own."""
    name = unique("lxcexec")
    with workplace("lxcexec") as place:
        config = place / "config"
        lines = ("lxc.console.path = none", "lxc.pty.max = 0", "lxc.tty.max = 0")
        config.write_text("\n".join([*lines, "lxc.autodev = 0", ""]))
        daemon = Daemon(
            *("lxc-execute", f"--lxcpath={place}", f"--name={name}", f"--rcfile={config}", "--"),
            *command,
            log=place / "log",
        )
        try:
            child_running(daemon.pid, *command)
            pid = int(
                run("lxc-info", f"--lxcpath={place}", f"--name={name}", "--pid", "--no-humanize")
            )
            yield Made(name=name, engine="lxc", handle=name, pid=pid, place=place)
        finally:
            with suppress(CommandError):
                run("lxc-stop", f"--lxcpath={place}", f"--name={name}", "--kill")
            daemon.stop()
            remove_cgroups(f"lxc.payload.{name}", f"lxc.monitor.{name}")


@contextmanager
def lxc_execute(*command: str, configured: bool = False) -> Iterator[Made]:
    """Return an application container of LXC; lxc-execute stays in the foreground.

    The command is in its configuration, as lxc-create writes that of an OCI image, or else it is
    typed.
    """
    name = unique("lxcexec")
    with workplace("lxcexec") as place:
        lines = lxc_config(name, place, "/bin/true")
        if configured:
            lines[-1] = f"lxc.execute.cmd = {' '.join(command)}"
        config = place / name / "config"
        config.write_text("\n".join([*lines, ""]))
        daemon = Daemon(
            *("lxc-execute", f"--lxcpath={place}", f"--name={name}", f"--rcfile={config}"),
            *(() if configured else ("--", *command)),
            log=place / "log",
        )
        try:
            child_running(daemon.pid, *command)
            pid = int(
                run("lxc-info", f"--lxcpath={place}", f"--name={name}", "--pid", "--no-humanize")
            )
            yield Made(name=name, engine="lxc", handle=name, pid=pid)
        finally:
            with suppress(CommandError):
                run("lxc-stop", f"--lxcpath={place}", f"--name={name}", "--kill")
            daemon.stop()
            remove_cgroups(f"lxc.payload.{name}", f"lxc.monitor.{name}")


def lxc_config(name: str, place: Path, *command: str, unprivileged: bool = False) -> list[str]:
    """Make a root filesystem for a container below an lxcpath; return the lines of its config."""
    here = place / name
    here.mkdir()
    lines = [
        f"lxc.uts.name = {name}",
        "lxc.net.0.type = empty",
        "lxc.apparmor.profile = unconfined",
    ]
    if command:
        root = roots.make_busybox(here / "rootfs")
        lines += [f"lxc.rootfs.path = dir:{root}", f"lxc.init.cmd = {' '.join(command)}"]
        if unprivileged:
            run("chown", "--recursive", f"{_OUTER_ID}:{_OUTER_ID}", root)
    else:
        (here / "delta").mkdir()
        lines += [f"lxc.rootfs.path = overlayfs:{roots.debian()}:{here}/delta"]
        lines += [f"lxc.include = {_COMMON}"] if _COMMON.exists() else []
    if unprivileged:
        _delegate_ids()
        lines += [f"lxc.idmap = {kind} 0 {_OUTER_ID} 65536" for kind in "ug"]
    return lines


def subordinate_ids(user: str) -> int:
    """Return the first of the ids that /etc/subuid lets a user map."""
    lines = Path("/etc/subuid").read_text().splitlines()
    return next(int(line.split(":")[1]) for line in lines if line.startswith(f"{user}:"))


def _delegate_ids() -> None:
    for name in ("/etc/subuid", "/etc/subgid"):
        path = Path(name)
        entry = f"root:{_OUTER_ID}:65536"
        have = path.read_text() if path.exists() else ""
        if entry not in have.splitlines():
            path.write_text(f"{have}{entry}\n")


@contextmanager
def nspawn(*command: str) -> Iterator[Made]:
    """Return a container of systemd-nspawn without machined; without a command it boots Debian."""
    name = unique("nspawn")
    with workplace("nspawn") as place:
        small = bool(command)
        root = roots.make_busybox(place / "root") if small else overlay(place, roots.debian())
        daemon = Daemon(
            *("systemd-nspawn", "--register=no", "--keep-unit", f"--machine={name}"),
            *(f"--directory={root}", "--console=pipe"),
            *(command or ("--boot",)),
            log=place / "log",
        )
        try:
            pid = child_running(daemon.pid, *(command or (_INIT,)))
            yield Made(name=name, engine="nspawn", handle=name, pid=pid)
        finally:
            # The container ends with its first process, and nspawn cleans up after it.
            for child in descendants(daemon.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            daemon.stop()


def overlay(place: Path, lower: Path) -> Path:
    """Mount a writable view of a root that must not change; ``workplace`` unmounts it."""
    for name in ("upper", "work", "root"):
        (place / name).mkdir()
    options = f"lowerdir={lower},upperdir={place}/upper,workdir={place}/work"
    run("mount", "-t", "overlay", "overlay", "-o", options, place / "root")
    return place / "root"
