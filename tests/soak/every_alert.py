"""``python -m tests.soak.every_alert``: makes what each alert is for, and prints what was told.

Real containers, engines and agents are brought into the state that each alert of
deploy/prometheus/alerts.yml reports, and a real Prometheus and a real Alertmanager run the shipped
rules and the shipped example. Printed is the table of docs/runbooks.md: the cause, how long it took
until the condition held for Prometheus (``pending``), what ``for:`` adds to that, and the text as
the receiver got it. The exit status is 1 if an alert was not told.

It takes forty minutes, as every ``for:`` is waited out. Only what looks back for an hour looks back
for a quarter of it. With ``--hurry`` minutes of waiting are seconds; no range of a rate is shorter.
OpenVZ needs its own kernel: there it is a real agent on the files of a node that was captured, with
numbers changed as its kernel would change them. Needs root, docker.io, busybox-static, mmdebstrap,
mkfs.ext4, setpriv, prometheus and prometheus-alertmanager, and a Python that nobody may execute.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.dashboards.queries import ROOT, alerts
from tests.engines.harness.agent import Agent, running_agent
from tests.engines.harness.alertmanager import alertmanager
from tests.engines.harness.dockerd import FREE, SYSTEMD, docker_daemon
from tests.engines.harness.made import unique
from tests.engines.harness.programs import run, workplace
from tests.engines.harness.prometheus import prometheus, shipped_rules
from tests.engines.harness.roots import make_busybox
from tests.support.openvz_node import (
    BOOT_TIME,
    NOW,
    WEB,
    FakeVzlist,
    containers_of,
    make_node,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.alertmanager import Alertmanager, Told
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.prometheus import Prometheus

_MIB = 1 << 20
_SLEEP = ("sleep", "86400")
_WAITED = (("offset 1h", "offset 15m"), ("[30m:1m]", "[4m:1m]"), ("> 3600", "> 300"))
"""What is new is new for longer than its ``for:`` of ten minutes."""
_HURRIED = (
    *((f"for: {n}m\n", f"for: {n}s\n") for n in (1, 2, 5, 10, 15, 30)),
    ("offset 1h", "offset 1m"),
    ("[30m:1m]", "[10s:1s]"),
    ("> 3600", "> 20"),
    ("seconds > 600", "seconds > 20"),
)


class Causes:
    """What was done for each alert, and when."""

    def __init__(self) -> None:
        self.done: dict[str, tuple[str, float, dict[str, str]]] = {}

    def note(self, alert: str, what: str, **labels: str) -> None:
        """Say that something was done now that should fire the alert, with these labels."""
        self.done[alert] = (what, time.time(), labels)


class Openvz:
    """The files of a node, and a vzlist that prints what is on it."""

    def __init__(self, top: Path) -> None:
        self._path = make_node(top / "node", 7)
        (self._path / "proc/uptime").write_text(f"{NOW - BOOT_TIME:.2f} 0.00\n")
        self._containers = containers_of("7.0.254")
        self._vzlist = FakeVzlist(top, 7, self._containers)
        self.flags = (
            f"--path.procfs={self._path}/proc",
            f"--path.sysfs={self._path}/sys",
            f"--path.rootfs={self._path}",
            f"--collector.openvz.vzlist-command={self._vzlist.path}",
        )

    def refuse(self, times: int) -> None:
        """Let the container have 950 of 1000 processes, and be refused more so many times."""
        path = self._path / "proc/bc/resources"
        before, owner, after = path.read_text().partition(f"{WEB}:")
        line = f"numproc 950 950 1000 1000 {times}"
        path.write_text(before + owner + re.sub(r"numproc( +\d+){5}", line, after, count=1))

    def fill(self) -> None:
        """Let the container have used most of its disk and inodes, and have a high load."""
        full = {"usage": 95, "softlimit": 100, "hardlimit": 100}
        self._change(diskinodes=full, laverage=[20.0, 20.0, 20.0], cpus=2)

    def _change(self, **new: Any) -> None:
        for one in self._containers:
            if one["ctid"] == WEB:
                one.update(new)
        self._vzlist.install(containers=self._containers)


@contextmanager
def _disk() -> Iterator[Path]:
    """Return a mounted filesystem of 64 MiB with a busybox root."""
    with workplace("disk") as place:
        image, target = place / "image", place / "mounted"
        target.mkdir()
        with image.open("wb") as file:
            file.truncate(64 * _MIB)
        run("mkfs.ext4", "-q", image)
        run("mount", "-o", "loop", image, target)
        try:
            yield make_busybox(target)
        finally:
            run("umount", target)


class Scene:
    """The agents, the engines, and what is done to them."""

    def __init__(self, stack: ExitStack, place: Path, causes: Causes) -> None:
        self._causes = causes
        self._place = place
        self._stack = stack
        self._docker: Docker = stack.enter_context(
            docker_daemon("--live-restore", own_network=True)
        )
        self._second: Docker = stack.enter_context(
            docker_daemon("--live-restore", own_network=True)
        )
        self._vanishing = unique("vanishing")
        only = place / "tallyman.toml"
        only.write_text(f'[containers]\ninclude = [{{ name = "{self._vanishing}*" }}]\n')
        self._openvz = Openvz(place)
        self.host = self._agent(f"--collector.docker.host={self._docker.endpoint}")
        self.emptied = self._agent(
            f"--config.file={only}",
            f"--collector.docker.host={self._second.endpoint}",
            "--containers.max=1",
        )
        self.node = self._agent(*self._openvz.flags)
        self.stale = self._agent()
        self.blind = self._agent(
            f"--collector.docker.host=unix://{place}/nobody.sock",
            command=(*_AS_NOBODY, _tallyman()),
        )
        self.down = self._agent()
        for number in range(2):
            name = f"{self._vanishing}{number}"
            self._second.run(self._second.busybox(), *_SLEEP, name=name)
        # Before its time begins: what an image is made of is imported.
        self._docker.busybox()
        self._docker.debian()
        self._turns = self._run("turns", "sh", "-c", _WAITS, debian=True, options=SYSTEMD)

    @property
    def agents(self) -> tuple[Agent, ...]:
        """All agents, to scrape them."""
        return (self.host, self.emptied, self.node, self.stale, self.blind, self.down)

    def begin(self) -> None:
        """Do what needs no history."""
        note, busy = self._causes.note, ("sh", "-c", "while :; do :; done")
        limit = ("--memory=64m", "--shm-size=64m")
        # It is scraped once before: else nobody knows its limit.
        words = "sleep 40; exec tail /dev/zero"
        name = self._run("greedy", "sh", "-c", words, options=("--memory=12m",))
        what = "`docker run --memory=12m … 'sleep 40; tail /dev/zero'`"
        note("TallymanContainerOomKilled", what, name=name)
        fill = "busybox dd if=/dev/zero of=/dev/shm/x bs=1M count=61; exec sleep 86400"
        name = self._run("fills", "sh", "-c", fill, options=limit)
        what = "61 MiB in /dev/shm of a container with `--memory=64m`"
        note("TallymanContainerMemoryNearLimit", what, name=name)
        name = self._run("busy", *busy, options=("--cpus=0.1",))
        note("TallymanContainerThrottled", "an endless loop with `--cpus=0.1`", name=name)
        again = ("--restart=always",)
        name = self._run("again", "sh", "-c", "sleep 5; exit 1", options=again)
        note("TallymanContainerRestarting", "`--restart=always … 'sleep 5; exit 1'`", name=name)
        name = self._run("fails", "sh", "-c", "exit 3")
        note("TallymanContainerFailed", "`docker run … sh -c 'exit 3'`", name=name)
        check = ("--health-cmd=false", "--health-interval=1s", "--health-retries=1")
        name = self._run("sick", *_SLEEP, options=check)
        note("TallymanContainerUnhealthy", "`--health-cmd=false`", name=name)
        name = self._run("person", *_SLEEP)
        self._docker.cli("exec", "--detach", "--tty", name, "sh")
        note("TallymanContainerLoggedInto", "`docker exec -it … sh`, left open", name=name)
        memory = psutil.virtual_memory().total * 2 // _MIB
        self._run("promised", *_SLEEP, options=(f"--memory={memory}m",))
        what = "a container with a memory limit of twice the host's memory"
        note("TallymanHostOverCommitted", what, instance=_address(self.host))
        self._fill_disk()
        self._openvz.fill()
        where = {"instance": _address(self.node)}
        note("TallymanInodeQuotaNearlyFull", "OpenVZ: 95 of 100 inodes used", **where)
        note("TallymanLoadHigh", "OpenVZ: a load of 20 on 2 CPUs", **where)
        self._openvz.refuse(1)
        what = "OpenVZ: `numproc` 950 of 1000"
        note("TallymanBeancounterNearBarrier", what, resource="numproc", **where)
        self.down.daemon.stop()
        note("TallymanAgentDown", "`systemctl stop tallyman`", instance=_address(self.down))
        what = "a `docker.hosts` socket on which nobody listens"
        note("TallymanCollectorFailing", what, instance=_address(self.blind), collector="docker")
        note("TallymanAgentBlind", "the agent runs as nobody", instance=_address(self.blind))
        what = "two containers and `--containers.max=1`"
        note("TallymanContainersLeftOut", what, instance=_address(self.emptied))
        what = "the agent's scout is killed every second"
        note("TallymanInventoryStale", what, instance=_address(self.stale))

    def change(self) -> None:
        """Do what is news to an agent that has been there for a while."""
        note = self._causes.note
        self._openvz.refuse(8)
        what = "OpenVZ: `failcnt` of `numproc` grows by 7"
        note("TallymanBeancounterFailures", what, instance=_address(self.node))
        name = self._run("server", "/sbin/init", debian=True, options=SYSTEMD)
        note("TallymanNewMismatch", "systemd, sshd, cron in a Docker container", name=name)
        name = self._run("free", *_SLEEP, options=FREE)
        note("TallymanNewPrivilegedContainer", "every capability, no seccomp filter", name=name)
        self._docker.cli("exec", self._turns, "sh", "-c", "echo now > /ready")
        what = "a container's entrypoint becomes systemd with services"
        note("TallymanVerdictTurned", what, name=self._turns)
        self._second.cli("stop", "--time=0", *self._second.cli("ps", "--quiet").split())
        where = {"instance": _address(self.emptied)}
        note("TallymanContainersVanished", "`docker stop` of all containers", **where)
        self._second.kill()
        socket = {"engine_instance": str(self._second.socket)}
        note("TallymanEngineGone", "`kill -9` of dockerd", **where, **socket)

    def keep_stale(self) -> None:
        """Let no scout of the stale agent live."""
        with suppress(psutil.Error):
            for process in psutil.Process(self.stale.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if "agent.scout" in process.cmdline():
                        process.kill()

    def _fill_disk(self) -> None:
        disk = self._stack.enter_context(_disk())
        with (disk / "file").open("wb") as file, suppress(OSError):
            for _ in range(64):
                file.write(b"x" * _MIB)
                file.flush()
        words = ("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={disk}", "sleep")
        sleeper = subprocess.Popen([*words, "86400"])
        self._stack.callback(sleeper.wait)
        self._stack.callback(sleeper.kill)
        what = "a container whose disk of 64 MiB is full"
        where = {"instance": _address(self.host)}
        self._causes.note("TallymanDiskQuotaNearlyFull", what, **where)

    def _agent(self, *flags: str, **more: Any) -> Agent:
        agent = running_agent(*flags, **more, start_seconds=180)
        return self._stack.enter_context(agent)

    def _run(
        self, word: str, *command: str, debian: bool = False, options: tuple[str, ...] = ()
    ) -> str:
        name = unique(word)
        image = self._docker.debian() if debian else self._docker.busybox()
        self._docker.run(image, *command, name=name, options=("--network=none", *options))
        return name


_AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
_WAITS = "mkfifo /ready; read x < /ready; exec /sbin/init"


def _tallyman() -> str:
    return str(Path(sys.executable).with_name("tallyman"))


def _address(agent: Agent) -> str:
    return f"127.0.0.1:{agent.port}"


_STRANGE = re.compile(r"\btm\d+-([a-z]+)\d*")
"""A name of the harness, of which the word is what matters."""


class Table:
    """How long it took until Prometheus saw what each alert is about, and until it fired."""

    def __init__(self, causes: Causes, server: Prometheus, manager: Alertmanager) -> None:
        self._causes, self._server, self._manager = causes, server, manager
        self._fired: dict[str, float] = {}

    def look(self) -> bool:
        """Note what fires; return whether all has, and was told."""
        for found in self._server.api("/api/v1/alerts")["alerts"]:
            alert = found["labels"]["alertname"]
            if alert in self._fired or alert not in self._causes.done or found["state"] != "firing":
                continue
            _, since, wanted = self._causes.done[alert]
            if wanted.items() <= found["labels"].items():
                # To the second at least: nanoseconds are more than datetime knows.
                active = datetime.fromisoformat(f"{found['activeAt'][:19]}+00:00").timestamp()
                self._fired[alert] = max(0.0, active - since)
                told = f"{self._fired[alert]:6.0f} {time.time() - since:6.0f} s {alert}"
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()
        return all(alert in self._fired and self._told(alert) for alert in alerts())

    def text(self) -> str:
        """Return the table."""
        lines = ["| alert | cause | seconds | text |", "| --- | --- | --- | --- |"]
        for alert, rule in alerts().items():
            what = self._causes.done.get(alert, ("nothing", 0, {}))[0]
            seconds = f"{self._fired[alert]:.0f}" if alert in self._fired else "never"
            told = self._told(alert)
            text = told.text if told else "not told"
            text = _STRANGE.sub(r"\1", text).replace("127.0.0.1:", "h:")
            text = text.replace(tempfile.gettempdir(), "…")
            wait = f" + {rule['for']}" if "for" in rule else ""
            lines.append(f"| {alert} | {what} | {seconds}{wait} | {text} |")
        return "\n".join(lines) + "\n"

    def missing(self) -> list[str]:
        """Return the alerts that did not fire, or were not told."""
        return [alert for alert in alerts() if alert not in self._fired or not self._told(alert)]

    def _told(self, alert: str) -> Told | None:
        wanted = self._causes.done.get(alert, ("", 0, {}))[2]
        return next(
            (t for t in self._manager.of(alert) if wanted.items() <= t.labels.items()), None
        )


RUNBOOKS = ROOT / "docs/runbooks.md"
_HEADING = "## Each alert, made to fire"
_INTRODUCTION = """\
What `python -m tests.soak.every_alert%s` did on a real host, the seconds until Prometheus saw the
condition, what `for` adds to that%s, and the text as Alertmanager's receiver got it. OpenVZ is the
captured files of a node, in which numbers were changed.
"""
_HURRY = (" --hurry", " (in that run its minutes were seconds)")


def main(minutes: float, *, hurry: bool, write: bool) -> bool:
    """Fire every alert; return whether all were told."""
    # setpriv itself still has root's rights to find a program; what it has started has not.
    run(*_AS_NOBODY, "sh", "-c", f"exec {sys.executable} -c ''")
    causes = Causes()
    with ExitStack() as stack:
        place = stack.enter_context(workplace("every"))
        scene = Scene(stack, place, causes)
        soon = {"group_wait": "1s", "group_interval": "5s"} if hurry else {}
        manager = stack.enter_context(alertmanager(soon))
        # A machine that is busy needs more than a second for a page.
        step = "5s" if hurry else "30s"
        targets = {"static_configs": [{"targets": [_address(agent) for agent in scene.agents]}]}
        server = stack.enter_context(
            prometheus(
                "",
                *shipped_rules(place, *(_HURRIED if hurry else _WAITED)),
                scrape=targets,
                more={
                    "global": {"scrape_interval": step, "evaluation_interval": step},
                    **manager.section(),
                },
            )
        )
        server.wait_for("up == 1", lambda series: len(series) == len(scene.agents), 180)
        server.wait_for("tallyman_inventory_complete == 1", lambda s: len(s) >= 5, 180)
        table = Table(causes, server, manager)
        scene.begin()
        begin = time.monotonic()
        later = 80 if hurry else 960
        changed = False
        while time.monotonic() < begin + minutes * 60:
            scene.keep_stale()
            if not changed and time.monotonic() > begin + later:
                scene.change()
                changed = True
            if table.look():
                break
            time.sleep(1)
        table.look()
        sys.stdout.write(table.text())
        if write and not table.missing():
            page = RUNBOOKS.read_text().partition(f"\n{_HEADING}\n")[0]
            introduction = _INTRODUCTION % (_HURRY if hurry else ("", ""))
            RUNBOOKS.write_text(f"{page}\n{_HEADING}\n{introduction}\n{table.text()}")
        for alert in table.missing():
            sys.stdout.write(f"MISSING {alert}\n")
        return not table.missing()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak.every_alert")
    parser.add_argument("--minutes", type=float, default=50, help="to wait for the last one")
    parser.add_argument("--hurry", action="store_true", help="make minutes seconds")
    parser.add_argument("--write", action="store_true", help="put the table into docs/runbooks.md")
    options = parser.parse_args()
    sys.exit(0 if main(options.minutes, hurry=options.hurry, write=options.write) else 1)
