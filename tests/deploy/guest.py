"""Runs in the guest: installs the package, runs the service through its life, purges it.

python3 -m tests.deploy.guest PLACE
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.engines.harness.programs import run, wait_until

ADDRESS = "http://127.0.0.1:10060"
SHOWN = "ActiveState,LoadState,UnitFileState,MainPID,NRestarts"
SLOW = 600
"""In seconds; long, because the guest's processor is emulated."""
_CLOCK_WAS_SET = "the clock was set by"


def main(place: Path) -> None:
    """Install PLACE/tallyman.deb, and write PLACE/report.json with the result of each step."""
    report: dict[str, Any] = {}
    run("docker", "run", "--detach", "--name=dock-app", "lab/busybox", "/bin/sleep", "86400")
    run("apt-get", "install", "--yes", place / "tallyman.deb", timeout=SLOW)
    report["installed"] = _unit()
    _wait_ready()
    report["page"] = _get("/metrics")
    report["capabilities"] = _capabilities()
    wait_until(lambda: "app" in _show("StatusText"), "a status", SLOW)
    report["status_text"] = _show("StatusText")

    before = _last_reload()
    run("systemctl", "reload", "tallyman", timeout=SLOW)
    wait_until(lambda: _last_reload() != before, "the reload", SLOW)
    report["reloads"] = [before, _last_reload()]
    report["reloaded"] = _unit()
    report["page_reloaded"] = _get("/metrics")

    # A shorter watchdog time than in production, to keep the test short.
    _drop_in("WatchdogSec=15\nSupplementaryGroups=docker\n")
    run("systemctl", "restart", "tallyman", timeout=SLOW)
    _wait_ready()
    asked = 'tallyman_collector_success{collector="docker"} 1\n'
    wait_until(lambda: asked in _get("/metrics"), "Docker's answer", SLOW)
    report["page_with_group"] = _get("/metrics")
    os.kill(int(_show("MainPID")), signal.SIGSTOP)
    wait_until(lambda: _show("NRestarts") == "1", "systemd to start it anew", SLOW)
    _wait_ready()
    report["after_stop"] = _unit()

    # Far enough to be noticed, but not so far that systemd's timers start apt.
    time.clock_settime(time.CLOCK_REALTIME, time.time() + 100)
    wait_until(lambda: _said(_CLOCK_WAS_SET), "the clock to be noticed", SLOW)
    report["journal"] = _journal()

    run("apt-get", "purge", "--yes", "tallyman", timeout=SLOW)
    report["purged"] = _unit()
    script = "find /etc /lib /usr /run /var/lib -xdev -path '*tallyman*' -not -path '*.service.d*'"
    report["left"] = run("sh", "-c", script).split()
    (place / "report.json").write_text(json.dumps(report))


def _show(field: str) -> str:
    return run("systemctl", "show", "tallyman", "--value", f"--property={field}").strip()


def _unit() -> dict[str, str]:
    shown = run("systemctl", "show", "tallyman", f"--property={SHOWN}")
    return dict(line.split("=", 1) for line in shown.split())


def _get(path: str) -> str:
    with urllib.request.urlopen(ADDRESS + path, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def _wait_ready() -> None:
    def ready() -> bool:
        try:
            return bool(_get("/-/ready"))
        except OSError:  # also 503
            return False

    wait_until(ready, "the service to be ready", SLOW)


def _last_reload() -> float:
    name = "tallyman_config_last_reload_success_timestamp_seconds "
    (line,) = (line for line in _get("/metrics").splitlines() if line.startswith(name))
    return float(line.split()[1])


def _capabilities() -> dict[str, int]:
    """Return the capabilities of each process of the service, by its role."""
    cgroup = _show("ControlGroup")
    pids = Path(f"/sys/fs/cgroup{cgroup}/cgroup.procs").read_text().split()
    found = {}
    for pid in pids:
        argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        status = Path(f"/proc/{pid}/status").read_text()
        held = next(line.split()[1] for line in status.splitlines() if line.startswith("CapPrm"))
        name = "scout" if "agent.scout" in argv else "launcher"
        found["serve" if pid == _show("MainPID") else name] = int(held, 16)
    return found


def _drop_in(settings: str) -> None:
    place = Path("/etc/systemd/system/tallyman.service.d")
    place.mkdir(parents=True)
    (place / "test.conf").write_text(f"[Service]\n{settings}")
    run("systemctl", "daemon-reload")


def _said(words: str) -> bool:
    return any(words in str(entry["MESSAGE"]) for entry in _journal())


def _journal() -> list[dict[str, Any]]:
    printed = subprocess.run(
        ["journalctl", "--unit=tallyman", "--output=json", "--no-pager"],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    wanted = ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER")
    entries = (json.loads(line) for line in printed.splitlines())
    return [{name: entry.get(name, "") for name in wanted} for entry in entries]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
