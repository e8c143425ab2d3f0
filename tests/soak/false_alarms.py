"""``python -m tests.soak.false_alarms``: an hour of a healthy host, and which alerts fire.

A real Docker does what it does on a healthy host: servers with limits and health checks, jobs,
stops, starts, restarts, renames, Compose recreating a project, somebody's exec; at times the agent
or dockerd is updated, or the host reboots. One container is in a restart loop, and must be told. A
real Prometheus and a real Alertmanager run the shipped rules and the shipped example, with the
waits as they are. Every state of every alert is printed as it comes; the exit status is 1 if an
alert was told that is not about the restart loop, or the restart loop was not.

Only what looks back for hours (``offset 1h``, a container's first hour) looks back for ten minutes,
or it could not fire within the hour. Needs root, docker.io, docker-compose, busybox-static,
prometheus and prometheus-alertmanager.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tests.engines.harness.agent import running_agent
from tests.engines.harness.alertmanager import alertmanager
from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.made import unique
from tests.engines.harness.programs import MARK, Daemon, run, wait_until, workplace
from tests.engines.harness.prometheus import prometheus, shipped_rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.engines.harness.agent import Agent
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.prometheus import Prometheus

_STEP = 6.0
"""Seconds between two things that happen."""
_UPDATE_OF_AGENT, _UPDATE_OF_ENGINE, _REBOOT = 1400.0, 900.0, 1900.0
"""How often, in seconds: while no agent answers, what an alert waits for begins anew."""
_ATTEMPTS = 3
_SERVER = 'trap "exit 0" TERM; while :; do sleep 1; done'
_LOOP = "TallymanContainerRestarting"
_SOONER = (("offset 1h", "offset 10m"), ("> 3600", "> 600"))


class Host:
    """One Docker, its containers, and the agent that watches them."""

    def __init__(self, docker: Docker, agent: Agent, place: Path, seed: int) -> None:
        self.docker = docker
        self.agent = agent
        self._random = random.Random(seed)
        self._compose = place / "docker-compose.yml"
        self._project = unique("shop")
        self._servers = [unique("server") for _ in range(10)]
        self._turns = itertools.cycle(self._servers)
        """Who is restarted next: nobody restarts the same server all the time."""
        self._checked = unique("checked")
        self.loop = unique("loop")
        self._steps: dict[Callable[[], None], int] = {
            self.job: 8,
            self.job_by_hand: 4,
            self.stop_and_start: 1,
            self.restart: 1,
            self.replace: 2,
            self.rename: 2,
            self.recreate: 2,
            self.look_inside: 2,
            self.probe_fails_once: 2,
        }

    def begin(self) -> None:
        """Start what always runs."""
        image = self.docker.busybox()
        service = {
            "image": image,
            "command": ["sh", "-c", _SERVER.replace("$", "$$")],
            "restart": "unless-stopped",
            "network_mode": "none",
            "mem_limit": "64m",
            "cpus": 0.5,
        }
        services = {name: {**service} for name in ("web", "db", "cache")}
        self._compose.write_text(json.dumps({"version": "2.4", "services": services}))
        self.recreate()
        for name in self._servers:
            self._serve(name)
        check = ("--health-cmd=test ! -e /tmp/broken", "--health-interval=5s", "--health-retries=2")
        self._serve(self._checked, *check)
        self._docker_run(self.loop, "sleep 5; exit 1", "--detach", "--restart=always")

    def step(self) -> None:
        """Let one thing happen."""
        (one,) = self._random.choices(list(self._steps), list(self._steps.values()))
        one()

    def job(self) -> None:
        """Run a job to its end, and remove it."""
        work = self._random.choice(
            ("exit 0", "sleep 2", "busybox dd if=/dev/zero of=/x bs=1M count=8")
        )
        self._docker_run(unique("job"), work, "--rm")

    def job_by_hand(self) -> None:
        """Run a job, read its log, remove it a little later."""
        name = unique("job")
        self._docker_run(name, "echo done")
        self.docker.cli("logs", name)
        self.docker.cli("rm", name)

    def stop_and_start(self) -> None:
        """Stop a server, and start it."""
        name = next(self._turns)
        self.docker.cli("stop", name)
        self.docker.cli("start", name)

    def restart(self) -> None:
        """Restart a server; one that does not listen to signals is killed by that."""
        self.docker.cli("restart", "--time=1", next(self._turns))

    def replace(self) -> None:
        """Remove a server, and start another one of that name."""
        name = self._random.choice(self._servers)
        self.docker.cli("rm", "--force", name)
        self._serve(name)

    def rename(self) -> None:
        """Give a server another name, and its own back."""
        name = self._random.choice(self._servers)
        self.docker.cli("rename", name, f"{name}-old")
        self.docker.cli("rename", f"{name}-old", name)

    def recreate(self) -> None:
        """Have Compose recreate the project, as a deployment does."""
        self._compose_cli("up", "--detach", "--force-recreate", "--timeout=2")

    def look_inside(self) -> None:
        """Run a command in a server."""
        self.docker.cli("exec", self._random.choice(self._servers), "ps")

    def probe_fails_once(self) -> None:
        """Let a health check fail for less time than its retries."""
        self.docker.cli("exec", self._checked, "sh", "-c", ": > /tmp/broken")
        time.sleep(4)
        self.docker.cli("exec", self._checked, "busybox", "rm", "/tmp/broken")

    def update_agent(self) -> None:
        """Stop the agent, and start another one in its place."""
        self.agent.daemon.stop()
        self._start_agent()

    def update_engine(self) -> None:
        """Stop dockerd, whose containers go on running, and start it again."""
        assert self.docker.daemon
        self.docker.daemon.stop(grace=30)
        time.sleep(20)
        self._start_docker()

    def reboot(self) -> None:
        """Stop everything, and start it again a minute and a half later."""
        running = self.docker.cli("ps", "--quiet").split()
        self.docker.cli("kill", *running)
        self.agent.daemon.stop()
        self.docker.kill()
        time.sleep(90)
        self._start_docker()
        # What --restart= does at boot: it sees these as killed by hand.
        self.docker.cli("start", *running)
        self._start_agent()

    def end(self) -> None:
        """Remove what Compose made beside containers."""
        self._compose_cli("down", "--timeout=1")

    def _start_agent(self) -> None:
        old = self.agent.daemon
        self.agent.daemon = Daemon(*old.process.args, log=old.log)  # type: ignore[misc]

    def _start_docker(self) -> None:
        """Start dockerd; on a busy machine it may be late, or give up and be started again."""
        for _ in range(_ATTEMPTS):
            with suppress(AssertionError):
                self.docker.start()
            with suppress(AssertionError):
                wait_until(self._has_answered_or_ended, "dockerd's answer", 300)
            if self.docker.answers():
                return
        assert self.docker.daemon
        raise AssertionError(f"dockerd does not answer:\n{self.docker.daemon.output()}")

    def _has_answered_or_ended(self) -> bool:
        assert self.docker.daemon
        return self.docker.daemon.process.poll() is not None or self.docker.answers()

    def _serve(self, name: str, *options: str) -> None:
        signals = self._random.choice((_SERVER, "exec sleep 86400"))
        limits = ("--detach", "--restart=unless-stopped", "--memory=64m", "--cpus=0.5")
        self._docker_run(name, signals, *limits, *options)

    def _docker_run(self, name: str, script: str, *options: str) -> None:
        place = ("--name", name, "--network=none")
        self.docker.cli("run", *place, *options, self.docker.busybox(), "sh", "-c", script)

    def _compose_cli(self, *words: str) -> None:
        where = ("--project-name", self._project, "--file", self._compose)
        run("docker-compose", *where, *words, env={"DOCKER_HOST": self.docker.endpoint})


class Watch:
    """What Prometheus says of alerts, printed when it changes."""

    def __init__(self, server: Prometheus) -> None:
        self._server = server
        self._begin = time.monotonic()
        self._was: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Print a line with the time since the begin."""
        sys.stdout.write(f"{time.monotonic() - self._begin:7.0f}  {text}\n")
        sys.stdout.flush()

    def look(self) -> None:
        """Print what has changed since the last look."""
        found = {}
        for alert in self._server.api("/api/v1/alerts")["alerts"]:
            labels = {k: v for k, v in alert["labels"].items() if k not in _USUAL}
            found[json.dumps(labels, sort_keys=True)] = alert["state"]
        for key in sorted(found.keys() | self._was.keys()):
            state = found.get(key, "over")
            if state != self._was.get(key, "over"):
                self.say(f"{state:8} {key}")
        self._was = found


_USUAL = frozenset({"severity", "job", "instance", "id"})


def main(minutes: float, seed: int) -> bool:
    """Run for this long; return whether only the restart loop was told."""
    with ExitStack() as stack:
        docker = stack.enter_context(docker_daemon("--live-restore", own_network=True))
        place = stack.enter_context(workplace("quiet"))
        only_ours = place / "tallyman.toml"
        # Other containers on the machine must not count.
        only_ours.write_text(f'[containers]\ninclude = [{{ name = "{MARK}*" }}]\n')
        agent = stack.enter_context(
            running_agent(
                f"--config.file={only_ours}", f"--collector.docker.host={docker.endpoint}"
            )
        )
        manager = stack.enter_context(alertmanager())
        often = {"scrape_interval": "15s", "evaluation_interval": "15s"}
        server = stack.enter_context(
            prometheus(
                f"127.0.0.1:{agent.port}",
                *shipped_rules(place, *_SOONER),
                more={"global": often, **manager.section()},
            )
        )
        host = Host(docker, agent, place, seed)
        host.begin()
        stack.callback(host.end)
        watch = Watch(server)
        begin = time.monotonic()
        seldom = {
            host.update_agent: (_UPDATE_OF_AGENT, begin + _UPDATE_OF_AGENT),
            host.update_engine: (_UPDATE_OF_ENGINE, begin + _UPDATE_OF_ENGINE),
            host.reboot: (_REBOOT, begin + _REBOOT),
        }
        count = 0
        while (now := time.monotonic()) < begin + minutes * 60:
            for one, (period, due) in seldom.items():
                if now >= due:
                    watch.say(one.__name__)
                    one()
                    seldom[one] = (period, time.monotonic() + period)
            host.step()
            count += 1
            watch.look()
            time.sleep(max(0.0, now + _STEP - time.monotonic()))
        watch.say(f"{count} steps")
        told = [a for a in manager.told if a.firing]
        loop = (_LOOP, host.loop)
        right = [a for a in told if (a.labels["alertname"], a.labels.get("name")) == loop]
        false = [a for a in told if a not in right]
        for alarm in false:
            watch.say(f"FALSE {alarm.labels} {alarm.text}")
        watch.say(f"told of the restart loop {len(right)} times, false alarms: {len(false)}")
        return bool(right) and not false


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak.false_alarms")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(0 if main(options.minutes, options.seed) else 1)
