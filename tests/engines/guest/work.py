"""Does work of a known size in containers of the guest, and records what the agent measures.

python3 -m tests.engines.guest.work FILE
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.engines.guest.scene import LONG
from tests.engines.harness.agent import running_agent
from tests.engines.harness.programs import run, wait_until

AGENT = (sys.executable, "-m", "agent")
CGROUPS = Path("/sys/fs/cgroup")
HUGE = Path("/run/huge")
MB = 1_000_000
MIB = 1 << 20
FILES = (
    *("cpu.stat", "cpu.max", "memory.current", "memory.stat", "memory.events", "memory.max"),
    *("io.stat", "pids.current", "pids.max", "memory.low", "memory.high", "memory.swap.max"),
    "cpu.weight",
)
SLEEP = "exec sleep 86400"
SLICE = "limited.slice"
POD = ("podman", "pod", "create", "--network=none", "--infra-image=localhost/lab/busybox")
IN_PODMAN = ("in-a-unit", "in-a-pod")
PODMAN = ("podman", "run", "--detach", "--network=none")


def main(file: Path) -> None:
    """Write a JSON document: the page, and each container's cgroup files read beside it."""
    _offer_huge_pages()
    run("systemctl", "set-property", "--runtime", SLICE, "MemoryMax=100M", "CPUQuota=50%")
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]
        pids = {name: _start(name, *words) for name, words in _works(port).items()}
        sent = _receive(listener)
    _podman()
    wait_until(lambda: all(_comm(pid) == "sleep" for pid in pids.values()), "its end", 300)
    with running_agent("--collector.spec_detail", command=AGENT, start_seconds=300) as agent:
        agent.wait_ready(300)
        # The daemon is slow here, too: the first snapshot may lack its names.
        agent.wait_for(lambda p: all(p.row(name) for name in (*pids, *IN_PODMAN)), "the names", 300)
        scope = Path(f"/proc/{pids['slowed']}/cgroup").read_text().strip().rpartition("/")[2]
        run("systemctl", "set-property", "--runtime", scope, "MemoryHigh=200M")
        page = agent.wait_for(
            lambda p: p.value("container_spec_memory_limit_bytes", name="slowed"), "the limit", 300
        )
    report = {
        "page": page.text,
        "sent": sent,
        "files": {name: _files(pid) for name, pid in pids.items()},
    }
    file.write_text(json.dumps(report))


def _works(port: int) -> dict[str, tuple[str, ...]]:
    """Return options and script of each container; a shell becomes ``sleep`` when it is done."""
    gateway = "$(ip route | awk '/default/ {print $3}')"
    return {
        # The limit ends the loop after ten seconds of CPU time, however long they take.
        "burn": (
            "--cpus=0.8",
            f"(ulimit -t 10; while :; do :; done); {SLEEP}",
        ),
        # dd holds its whole block in memory, and waits for a reader.
        "touch": (
            "--memory=300m",
            f"dd if=/dev/zero bs={200 * MB} count=1 2>/dev/null | {{ read -n 1 x; {SLEEP}; }}",
        ),
        "oom": (
            "--memory=32m",
            f"dd if=/dev/zero of=/dev/null bs={200 * MB} count=1; {SLEEP}",
        ),
        "write": (
            "--memory=300m",
            f"dd if=/dev/zero of=/x bs=1M count=64 conv=fsync; {SLEEP}",
        ),
        "send": (
            "--memory=300m",
            f"dd if=/dev/zero bs={MB} count=10 | nc {gateway} {port}; {SLEEP}",
        ),
        # Two pages of 2 MB, taken by the container and charged to it.
        "huge": (
            f"--volume={HUGE}:/huge",
            f"fallocate -l {4 * MIB} /huge/file; {SLEEP}",
        ),
        "fork": (
            "--pids-limit=20",
            # The inner shell ends when it cannot fork, which frees one process.
            f"(i=0; while [ $i -lt 40 ]; do sleep 86400 & i=$((i+1)); done); sleep 86400 & {SLEEP}",
        ),
        "reserve": ("--memory-reservation=64m --cpu-shares=512 --cpuset-cpus=0", SLEEP),
        "no-swap": ("--memory=64m --memory-swap=64m", SLEEP),
        "below": (f"--cgroup-parent={SLICE}", SLEEP),
        "beside": (f"--cgroup-parent={SLICE} --memory=40m", SLEEP),
        "slowed": ("--pids-limit=0", SLEEP),
    }


def _podman() -> None:
    """Start containers that are limited by a unit, as Quadlet's, and by a pod."""
    unit = ("MemoryMax=120M", "Delegate=yes", "KillMode=mixed", "NotifyAccess=all", "Type=notify")
    run(
        *("systemd-run", "--unit=quadlet", *(f"--property={text}" for text in unit)),
        *(*PODMAN, "--cgroups=split", "--sdnotify=conmon", f"--name={IN_PODMAN[0]}"),
        *("lab/busybox", "sleep", "86400"),
        timeout=LONG,
    )
    limits = ("--memory=150m", "--cpus=0.6")
    run(*POD, "--name=pod", *limits, "--infra-command=/bin/sleep 86401", timeout=LONG)
    member = ("--pod=pod", f"--name={IN_PODMAN[1]}")
    run(*PODMAN, *member, "lab/busybox", "sleep", "86400", timeout=LONG)


def _offer_huge_pages() -> None:
    """Have the guest's kernel reserve some pages of 2 MB."""
    (Path("/sys/kernel/mm/hugepages/hugepages-2048kB") / "nr_hugepages").write_text("8")
    HUGE.mkdir()
    run("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", HUGE)


def _start(name: str, options: str, script: str) -> int:
    command = ("lab/busybox", "sh", "-c", script)
    run("docker", "run", "--detach", f"--name={name}", *options.split(), *command, timeout=LONG)
    return int(run("docker", "inspect", "--format={{.State.Pid}}", name))


def _receive(listener: socket.socket) -> int:
    listener.settimeout(120)
    connection, _ = listener.accept()
    arrived = 0
    with connection:
        while data := connection.recv(1 << 20):
            arrived += len(data)
    return arrived


def _comm(pid: int) -> str:
    # The pipeline's last part is a child of the shell.
    comms = [Path(f"/proc/{pid}/comm").read_text().strip()]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    comms += [Path(f"/proc/{child}/comm").read_text().strip() for child in children]
    return "sleep" if "sleep" in comms else comms[0]


def _files(pid: int) -> dict[str, str]:
    path = Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")
    return {name: (CGROUPS / path / name).read_text() for name in FILES}


if __name__ == "__main__":
    started = time.monotonic()
    main(Path(sys.argv[1]))
    sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
    sys.stdout.flush()
    subprocess.run(["sync"], check=True)
    # The VM is discarded, so nothing is cleaned up.
    os._exit(0)
