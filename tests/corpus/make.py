"""Makes the containers of the scenarios on this machine, one after another, and captures each.

``python -m tests.corpus.make DIRECTORY [NAME …]`` as root, with ``DOCKER_HOST`` and a directory
that holds the root filesystems ``roots/debian`` and ``roots/tiny`` of the images.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.facts import ImageFacts, ProcessId, Sighting, State
from collectors.hostfs import HostReadError
from tests.corpus.capture import subjects
from tests.corpus.codec import Case, anonymous, dumps
from tests.corpus.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = Path(__file__).parent / "cases"


def run(*words: str) -> str:
    """Run a program; raises CalledProcessError."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def made(scenario: Scenario, place: Path) -> Iterator[tuple[str, Sighting | None, int | None]]:
    """Make a container; give its name, what its engine says, and its first process."""
    name = f"e-{scenario.name}"
    if scenario.engine in ("lxc", "nspawn", "unshare", "bwrap"):
        run("rm", "--recursive", "--force", "--one-file-system", f"{place}/roots/lxc")
        run("cp", "--archive", f"{place}/roots/debian/.", f"{place}/roots/lxc")
    match scenario.engine:
        case "docker" | "podman" | "scratch" | "sidecar":
            with _docker(scenario, name, place) as tool:
                yield name, _inspected(tool, name), None
        case "lxc" | "lxc-tiny":
            with _lxc(scenario, name, place) as pid:
                yield name, _plain("lxc", name, pid, boots=None), pid
        case "nspawn":
            boots = scenario.command[0] == "--boot"
            words = ["systemd-nspawn", "--register=no", "--keep-unit", f"--machine={name}"]
            words += ["--console=pipe", f"--directory={place}/roots/lxc", *scenario.command]
            with _child(words) as pid:
                inner = _first_child(pid)
                yield name, _plain("nspawn", name, inner, boots=boots), inner
        case "unshare":
            words = [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--uts",
                "--ipc",
                "--net",
                "--mount-proc",
            ]
            script = (
                f"cd {place}/roots; mount --bind lxc lxc; cd lxc; mkdir -p old; "
                "mount -t proc proc proc; pivot_root . old; umount -l old; exec chroot . "
            )
            with _child([*words, "sh", "-c", script + shlex.join(scenario.command)]) as pid:
                yield name, None, _first_child(pid)
        case "bwrap":
            words = [
                "bwrap",
                "--unshare-all",
                "--bind",
                f"{place}/roots/lxc",
                "/",
                "--proc",
                "/proc",
            ]
            words += ["--dev", "/dev", *scenario.command]
            with _child(words) as pid:
                inner = _first_child(pid)
                yield name, _plain("bubblewrap", name, inner, boots=None), inner
        case other:
            raise ValueError(other)


@contextmanager
def _docker(scenario: Scenario, name: str, place: Path) -> Iterator[tuple[str, ...]]:
    tool: tuple[str, ...] = ("docker",)
    image, options = (
        scenario.image,
        [o.replace("$SOCKET", os.environ["DOCKER_HOST"][7:]) for o in scenario.options],
    )
    if scenario.engine == "podman":
        tool = ("podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc")
        image = "localhost/e-debian:lab"
        options += ["--ulimit", "nofile=4096:8192", "--ulimit", "nproc=4096:8192"]
    elif scenario.engine == "scratch":
        (place / "scratch").mkdir(exist_ok=True)
        (place / "app.c").write_text("#include <unistd.h>\nint main(void){for(;;)pause();}\n")
        run("gcc", "-static", "-o", f"{place}/scratch/app", f"{place}/app.c")
        run("sh", "-c", f"tar -C {place}/scratch -c . | docker import - e-scratch:lab")
        image = "e-scratch:lab"
    elif scenario.engine == "sidecar":
        run(
            "docker",
            "run",
            "-d",
            "--name",
            f"{name}-main",
            "debian:lab",
            "nginx",
            "-g",
            "daemon off;",
        )
        options += ["--network", f"container:{name}-main", "--pid", f"container:{name}-main"]
    subprocess.run([*tool, "rm", "-f", name], capture_output=True, check=False)
    run(*tool, "run", "-d", "--name", name, *options, image, *scenario.command)
    try:
        time.sleep(scenario.wait)
        for command in scenario.then:
            subprocess.run(
                command,
                shell=True,
                check=False,
                env={**os.environ, "NAME": name},
                capture_output=True,
            )
        if scenario.then:
            time.sleep(2)
        yield tool
    finally:
        subprocess.run(
            [*tool, "rm", "-f", name, *([f"{name}-main"] if scenario.engine == "sidecar" else [])],
            check=False,
            capture_output=True,
        )


@contextmanager
def _lxc(scenario: Scenario, name: str, place: Path) -> Iterator[int]:
    home = place / "lxc" / name
    home.mkdir(parents=True, exist_ok=True)
    root = place / "roots" / ("lxc" if scenario.engine == "lxc" else "tiny")
    common = Path("/usr/share/lxc/config/common.conf")
    (home / "start").write_text(shlex.join(scenario.command))
    script = root / "start"
    script.write_text("#!/bin/sh\nexec " + shlex.join(scenario.command) + "\n")
    script.chmod(0o755)
    (home / "config").write_text(
        f"lxc.include = {common}\nlxc.uts.name = {name}\nlxc.rootfs.path = dir:{root}\n"
        f"lxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\nlxc.init.cmd = /start\n"
    )
    where = ("-P", str(place / "lxc"), "-n", name)
    run("lxc-start", *where)
    try:
        time.sleep(scenario.wait)
        yield int(run("lxc-info", *where, "-p", "-H"))
    finally:
        subprocess.run(["lxc-stop", *where, "-k"], check=False, capture_output=True)


@contextmanager
def _child(words: list[str]) -> Iterator[int]:
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(5)
        yield process.pid
    finally:
        inner = _first_child(process.pid)
        subprocess.run(["kill", "-9", str(inner)], check=False)
        process.kill()
        process.wait()


def _first_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])


def _plain(engine: str, name: str, pid: int, *, boots: bool | None) -> Sighting:
    return Sighting(
        collector=engine,
        engine=engine,
        engine_id=name,
        name=name,
        state=State.RUNNING,
        init=_process_id(pid),
        boots=boots,
        created=time.time() - 60,
        started=time.time() - 30,
    )


def _process_id(pid: int) -> ProcessId:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return ProcessId(pid, int(stat[19]))


def _inspected(tool: tuple[str, ...], name: str) -> Sighting:
    facts: dict[str, Any] = json.loads(run(*tool, "inspect", name))[0]
    config, state, host = facts["Config"], facts["State"], facts["HostConfig"]
    image: dict[str, Any] = json.loads(run(*tool, "image", "inspect", facts["Image"]))[0]
    command = config.get("Entrypoint") or []
    command = [command] if isinstance(command, str) else command
    return Sighting(
        collector=tool[0],
        engine=tool[0],
        engine_id=facts["Id"],
        name=name,
        state=State(state["Status"]),
        image=config["Image"],
        init=_process_id(state["Pid"]) if state["Pid"] else None,
        hostname=config.get("Hostname", ""),
        created=_when(facts["Created"]),
        started=_when(state["StartedAt"]),
        finished=_when(state["FinishedAt"]),
        labels=config.get("Labels") or {},
        command=(*command, *(config.get("Cmd") or [])),
        image_facts=ImageFacts(
            reference=config["Image"],
            id=facts["Image"],
            created=_when(image["Created"]),
            size_bytes=image["Size"],
            layers=len(image["RootFS"]["Layers"]),
        ),
        network_mode=host.get("NetworkMode", ""),
        privileged=host.get("Privileged"),
        tty=config.get("Tty"),
        auto_remove=host.get("AutoRemove"),
        restart_policy=(host.get("RestartPolicy") or {}).get("Name", ""),
    )


def _when(text: str) -> float | None:
    if text.startswith("0001"):
        return None
    head, _, tail = text.partition(".")
    zone = tail.lstrip("0123456789") or "Z" if tail else ""
    return datetime.fromisoformat(
        head.removesuffix("Z") + (zone.replace("Z", "+00:00") or "+00:00")
    ).timestamp()


def capture(scenario: Scenario, place: Path) -> Case:
    """Make one container, look at it, and give the case."""
    with made(scenario, place) as (name, sighting, pid):
        found = subjects(
            [sighting] if sighting else [],
            lambda c: (
                c.name == name or (pid is not None and c.init is not None and c.init.pid == pid)
            ),
        )
    if len(found) != 1:
        raise RuntimeError(f"{scenario.name}: {len(found)} containers found")
    subject = anonymous(found[0])
    if not subject.processes and not scenario.name.startswith("stopped"):
        raise RuntimeError(f"{scenario.name}: it does not run")
    return Case(
        name=scenario.name,
        style=scenario.style,
        sure=scenario.sure,
        findings=scenario.findings,
        about=scenario.about,
        subject=subject,
    )


def main() -> None:
    """Capture the scenarios that are named, or all of them."""
    place, wanted = Path(sys.argv[1]), sys.argv[2:]
    for scenario in SCENARIOS:
        if wanted and scenario.name not in wanted:
            continue
        try:
            case = capture(scenario, place)
        except (
            RuntimeError,
            subprocess.CalledProcessError,
            OSError,
            IndexError,
            HostReadError,
        ) as error:
            why = getattr(error, "stderr", "")
            sys.stderr.write(f"{scenario.name}: {error} {why}\n")
            continue
        (CASES / f"{scenario.name}.json").write_text(dumps(case).replace(str(place), "/lab"))
        sys.stderr.write(f"{scenario.name}: {len(case.subject.processes)} processes\n")


if __name__ == "__main__":
    main()
