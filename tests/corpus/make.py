"""Creates the containers of the scenarios on this machine, one after another, and captures each.

``python -m tests.corpus.make DIRECTORY [NAME …]`` as root, with ``DOCKER_HOST`` and a directory
that holds the root filesystems ``roots/debian`` and ``roots/tiny`` of the images. ``CORPUS_PREFIX``
keeps those of another kind of host apart, and ``CORPUS_PATIENCE`` waits longer on a slow one: see
guest.py.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError
from tests.corpus import blind, fresh, hard, images, products, told, zoo
from tests.corpus.capture import subjects
from tests.corpus.codec import Case, anonymous, dumps
from tests.corpus.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = Path(__file__).parent / "cases"
ALL = (
    *SCENARIOS,
    *blind.SCENARIOS,
    *zoo.SCENARIOS,
    *fresh.SCENARIOS,
    *images.SCENARIOS,
    *products.SCENARIOS,
    *told.SCENARIOS,
    *hard.SCENARIOS,
)
"""The scenarios of all rounds."""
_PATIENCE = float(os.environ.get("CORPUS_PATIENCE", "1"))
"""Factor by which all waits are lengthened, for a slow machine."""

_PURE_V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
"""Whether this is the guest, where systemd makes the cgroups and machined knows the machines."""

_PODMAN = ("podman", *(() if _PURE_V2 else ("--cgroup-manager", "cgroupfs", "--runtime", "runc")))
_PODMAN_LIMITS = ("--ulimit", "nofile=4096:8192", "--ulimit", "nproc=4096:8192")
_ON_A_ROOT = frozenset({"lxc", "lxc-openrc", "lxc-execute", "nspawn", "unshare", "bwrap", "runc"})
"""Engines that start from a copy of a Debian root filesystem."""
_CAPS = [
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_NET_BIND_SERVICE"),
    *("CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"),
]
_NSPAWN = ("systemd-nspawn", *(() if _PURE_V2 else ("--register=no", "--keep-unit")))


def run(*words: str) -> str:
    """Run a program; raises CalledProcessError."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def attempt(*words: str) -> None:
    """Run a program that may fail."""
    subprocess.run(words, check=False, capture_output=True)


@contextmanager
def made(scenario: Scenario, name: str, directory: Path) -> Iterator[int | None]:
    """Create a container; return the pid of its first process if no engine reports it."""
    root = directory / "roots" / "lxc"
    if scenario.engine in _ON_A_ROOT:
        of = "openrc" if scenario.engine == "lxc-openrc" else "debian"
        run("rm", "--recursive", "--force", "--one-file-system", str(root))
        run("cp", "--archive", f"{directory}/roots/{of}/.", str(root))
    match scenario.engine:
        case "docker" | "podman" | "scratch" | "sidecar":
            with _docker(scenario, name, directory):
                yield None
        case "lxc" | "lxc-tiny" | "lxc-openrc" | "lxc-execute":
            with _lxc(scenario, name, directory):
                yield None
        case "runc":
            with _runc(scenario, name, directory):
                yield None
        case "nspawn":
            with _child(
                *(*_NSPAWN, f"--machine={name}"),
                *("--console=pipe", f"--directory={root}", *scenario.command),
            ):
                yield None
        case "unshare":
            script = (
                f"cd {directory}/roots; mount --bind lxc lxc; cd lxc; mkdir -p old; "
                "mount -t proc proc proc; pivot_root . old; umount -l old; exec chroot . "
            )
            with _child(
                *("unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net"),
                *("--mount-proc", "sh", "-c", script + shlex.join(scenario.command)),
            ) as pid:
                yield pid
        case "bwrap":
            with _child(
                *("bwrap", "--unshare-all", "--bind", str(root), "/", "--proc", "/proc"),
                *("--dev", "/dev", *scenario.command),
            ) as pid:
                yield pid
        case other:
            raise ValueError(other)


@contextmanager
def _docker(scenario: Scenario, name: str, directory: Path) -> Iterator[None]:
    tool: tuple[str, ...] = ("docker",)
    image, options = scenario.image, list(scenario.options)
    socket = os.environ["DOCKER_HOST"].removeprefix("unix://")
    others = []
    if scenario.engine == "podman":
        tool, image = _PODMAN, "localhost/e-debian:lab"
        options += _PODMAN_LIMITS
    elif scenario.engine == "scratch":
        (directory / "scratch").mkdir(exist_ok=True)
        (directory / "app.c").write_text("#include <unistd.h>\nint main(void){for(;;)pause();}\n")
        run("gcc", "-static", "-o", f"{directory}/scratch/app", f"{directory}/app.c")
        image = "e-scratch:lab"
        run("sh", "-c", f"tar -C {directory}/scratch -c . | docker import - {image}")
    elif scenario.engine == "sidecar":
        others = [f"{name}-main"]
        run("docker", "run", "-d", "--name", others[0], "debian:lab", "nginx", "-g", "daemon off;")
        options += ["--network", f"container:{others[0]}", "--pid", f"container:{others[0]}"]
    attempt(*tool, "rm", "--force", name)
    if _PURE_V2:
        # On a pure v2 tree systemd needs its own part to be writable.
        options = ["--privileged" if "cgroup" in o else o for o in options if o != "-v"]
    options = [option.replace("$SOCKET", socket) for option in options]
    run(*tool, "run", "--detach", "--name", name, *options, image, *scenario.command)
    try:
        time.sleep(_PATIENCE * scenario.wait)
        for command in scenario.then:
            attempt("env", f"NAME={name}", "sh", "-c", command)
        time.sleep(2 * _PATIENCE if scenario.then else 0)
        yield
    finally:
        attempt(*tool, "rm", "--force", name, *others)


@contextmanager
def _lxc(scenario: Scenario, name: str, directory: Path) -> Iterator[None]:
    home = directory / "lxc" / name
    home.mkdir(parents=True, exist_ok=True)
    root = directory / "roots" / ("tiny" if scenario.engine == "lxc-tiny" else "lxc")
    start = scenario.command[0]
    if scenario.command[1:] and scenario.engine != "lxc-execute":
        start = "/start"
        script = root / "start"
        script.write_text("#!/bin/sh\nexec " + shlex.join(scenario.command) + "\n")
        script.chmod(0o755)
    (home / "config").write_text(
        "lxc.include = /usr/share/lxc/config/common.conf\n"
        f"lxc.uts.name = {name}\nlxc.rootfs.path = dir:{root}\nlxc.init.cmd = {start}\n"
        "lxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\n"
    )
    where = ("-P", str(directory / "lxc"), "-n", name)
    if scenario.engine == "lxc-execute":
        run("lxc-execute", "--daemon", *where, "--", *scenario.command)
    else:
        run("lxc-start", *where)
    try:
        time.sleep(_PATIENCE * scenario.wait)
        yield
    finally:
        attempt("lxc-stop", *where, "--kill")


@contextmanager
def _runc(scenario: Scenario, name: str, directory: Path) -> Iterator[None]:
    bundle = directory / "bundle"
    bundle.mkdir(exist_ok=True)
    (bundle / "config.json").unlink(missing_ok=True)
    run("runc", "spec", "--bundle", str(bundle))
    spec = json.loads((bundle / "config.json").read_text())
    spec["root"] = {"path": str(directory / "roots" / "lxc")}
    spec["process"] |= {"terminal": False, "args": list(scenario.command), "rlimits": []}
    spec["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), _CAPS)
    (bundle / "config.json").write_text(json.dumps(spec))
    with subprocess.Popen(
        ["runc", "run", "--detach", "--bundle", str(bundle), name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as starting:
        if starting.wait():
            raise RuntimeError("runc did not start it")
    try:
        time.sleep(_PATIENCE * scenario.wait)
        yield
    finally:
        attempt("runc", "delete", "--force", name)


@contextmanager
def _child(*words: str) -> Iterator[int]:
    null = subprocess.DEVNULL
    with subprocess.Popen(words, stdin=null, stdout=null, stderr=null) as process:
        try:
            time.sleep(5 * _PATIENCE)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            inner = children.split()[0]
            try:
                yield int(inner)
            finally:
                attempt("kill", "-KILL", inner)
        finally:
            process.kill()


def capture(scenario: Scenario, directory: Path) -> Case:
    """Create one container, capture it and return the case."""
    name = f"e-{scenario.name}"
    with made(scenario, name, directory) as pid:
        found = subjects(
            lambda c: (
                c.name == name or (pid is not None and c.init is not None and c.init.pid == pid)
            )
        )
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} containers found")
    subject = anonymous(found[0])
    if not subject.processes and not scenario.name.startswith("stopped"):
        raise RuntimeError("it does not run")
    return Case(
        name=scenario.name,
        style=scenario.style,
        sure=scenario.sure,
        findings=scenario.findings,
        absent=scenario.absent,
        about=scenario.about,
        labelled=scenario.labelled,
        subject=subject,
    )


def main() -> None:
    """Capture the scenarios that are named, or all of them."""
    directory, wanted = Path(sys.argv[1]), sys.argv[2:]
    prefix = os.environ.get("CORPUS_PREFIX", "")
    for scenario in ALL:
        if wanted and scenario.name not in wanted:
            continue
        try:
            case = capture(scenario, directory)
        except (RuntimeError, subprocess.CalledProcessError, OSError, HostReadError) as error:
            why = getattr(error, "stderr", "")
            sys.stderr.write(f"{scenario.name}: {error} {why}\n")
            continue
        case = dataclasses.replace(case, name=prefix + scenario.name)
        (CASES / f"{case.name}.json").write_text(dumps(case).replace(str(directory), "/lab"))
        sys.stderr.write(f"{scenario.name}: {len(case.subject.processes)} processes\n")


if __name__ == "__main__":
    main()
