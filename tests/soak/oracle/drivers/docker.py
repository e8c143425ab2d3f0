"""Docker: a daemon of our own; ``docker inspect`` says what is true."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.engines.harness.programs import CommandError, wait_until
from tests.soak.oracle.drivers import kernel
from tests.soak.oracle.facts import (
    ALIVE,
    ANY_STATE,
    CREATED,
    EXITED,
    PAUSED,
    RESTLESS,
    RUNNING,
    Action,
    Driver,
    Truth,
    Way,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random
    from typing import Any

    from tests.engines.harness.dockerd import Docker
    from tests.soak.oracle.facts import Value

_CHECK = (
    "--health-cmd=test ! -e /sick",
    "--health-interval=1s",
    "--health-retries=1",
    "--health-start-period=0s",
)


class DockerDriver(Driver):
    """Containers of one Docker daemon."""

    engine = "docker"
    name = "docker"
    moves = True

    def __init__(self, docker: Docker) -> None:
        self.docker = docker
        self.flags = (f"--collector.docker.host={docker.endpoint}",)
        self._image = docker.busybox()
        self._kills: dict[str, int] = {}
        """Processes that the kernel killed for lack of memory, by container."""
        self._counted_by_api: set[str] = set()
        """Those of which the files say that there was a kill, but not that it was one more."""
        self._restless: set[str] = set()

    @property
    def ways(self) -> Mapping[str, Way]:
        return {
            "plain": Way(make=lambda name, _: self._run(name)),
            "limited": Way(
                make=lambda name, _: self._run(name, "--memory=32m", "--memory-swap=32m"), weight=3
            ),
            "checked": Way(make=lambda name, _: self._run(name, *_CHECK)),
            "created": Way(make=self._create, to=CREATED),
            "brief": Way(make=self._brief, to=EXITED, via=frozenset({CREATED, RUNNING}), weight=1),
            "restarting": Way(make=self._restarting, to=RESTLESS, weight=1),
            "starved": Way(make=self._starved, to=RESTLESS, weight=1),
        }

    @property
    def actions(self) -> Mapping[str, Action]:
        running, alive = frozenset({RUNNING}), ALIVE
        known = frozenset({"plain", "limited", "checked", "created", "brief"})
        return {
            "pause": Action(do=self._do("pause"), of=running, to=PAUSED),
            "unpause": Action(do=self._do("unpause"), of=frozenset({PAUSED}), to=RUNNING, weight=6),
            "stop": Action(do=self._do("stop", "-t5"), of=running, to=EXITED),
            "kill": Action(do=self._kill, of=running, to=EXITED),
            "die": Action(do=self._die, of=running, to=EXITED),
            "start": Action(
                do=self._do("start"),
                of=frozenset({CREATED, EXITED}),
                to=RUNNING,
                weight=4,
                only=known - {"brief"},
            ),
            "restart": Action(
                do=self._do("restart", "-t5"),
                of=running,
                to=RUNNING,
                via=frozenset({EXITED, "restarting"}),
            ),
            "rename": Action(do=self._rename, of=ANY_STATE | {RESTLESS}),
            "update": Action(do=self._update, of=alive, weight=3),
            "sicken": Action(do=self._sicken, of=running, only=frozenset({"checked"}), weight=4),
            "oom": Action(do=self._oom, of=running, only=frozenset({"limited"}), weight=4),
            "oom, fatally": Action(
                do=self._oom_fatally, of=running, to=EXITED, only=frozenset({"limited"})
            ),
            "remove": Action(
                do=self._do("rm", "--force"),
                of=ANY_STATE | {RESTLESS},
                removes=True,
                # A paused one is thawed to be killed.
                via=frozenset({RUNNING, EXITED, "removing", "dead"}),
            ),
        }

    def truths(self) -> Mapping[str, Truth]:
        for attempt in range(10):
            if not (ids := self.docker.cli("ps", "--all", "--quiet", "--no-trunc").split()):
                return {}
            # One that is removed in between fails the command.
            with suppress(CommandError):
                found = json.loads(self.docker.cli("inspect", "--type=container", *ids))
                return {one["Id"]: self._truth(one) for one in found}
            time.sleep(0.1 * attempt)
        raise CommandError("docker inspect fails")

    def _truth(self, told: dict[str, Any]) -> Truth:
        name = told["Name"].lstrip("/")
        state, config = told["State"], told["HostConfig"]
        status = state["Status"]
        alive = status in ALIVE
        quota = config["CpuQuota"] or config["NanoCpus"] * 100_000 // 1_000_000_000
        values: dict[str, Value] = {
            "memory": (config["Memory"] or None) if alive else None,
            "quota": (quota or None) if alive else None,
            "threads": (config["PidsLimit"] or None) if alive else None,
            "exit code": state["ExitCode"] if status == EXITED else None,
            "restarts": told["RestartCount"],
            "OOM kills": self._kills.get(told["Id"], 0),
        }
        health = state.get("Health", {}).get("Status", "none")
        values["health"] = health if alive and health != "none" else None
        return Truth(
            name=name,
            state=status,
            values=values,
            moves=told["Id"] in self._restless,
            only_by_api=frozenset({"OOM kills"} if told["Id"] in self._counted_by_api else ()),
        )

    def _do(self, *words: str) -> Callable[[str, Random], None]:
        def do(name: str, _: Random) -> None:
            self.docker.cli(*words, name)

        return do

    def _run(self, name: str, *options: str) -> None:
        self.docker.cli("run", "--detach", f"--name={name}", *options, self._image, *_command())

    def _create(self, name: str, _: Random) -> None:
        self.docker.cli("create", f"--name={name}", self._image, *_command())

    def _brief(self, name: str, dice: Random) -> None:
        code = dice.randrange(4)
        words = ("sh", "-c", f"exit {code}")
        self.docker.cli("run", "--detach", f"--name={name}", self._image, *words)
        self.docker.cli("wait", name)

    def _restarting(self, name: str, dice: Random) -> None:
        self._go_round(name, ("--restart=always",), f"sleep {dice.randrange(4)}; exit 3")

    def _starved(self, name: str, dice: Random) -> None:
        options = ("--restart=always", "--memory=12m", "--memory-swap=12m")
        self._go_round(name, options, f"sleep {2 + dice.randrange(3)}; exec tail /dev/zero")

    def _go_round(self, name: str, options: tuple[str, ...], script: str) -> None:
        words = (f"--name={name}", *options, self._image, "sh", "-c", script)
        key = self.docker.cli("create", *words)
        self._restless.add(key)
        self.docker.cli("start", name)

    def _kill(self, name: str, _: Random) -> None:
        self.docker.cli("kill", name)
        self._wait_for(name, "exited")

    def _die(self, name: str, _: Random) -> None:
        """Let its first process end by itself."""
        # Init ignores what it does not handle, from inside too, so the signal is its own.
        self.docker.cli("exec", name, "sh", "-c", "kill -TERM 1")
        self._wait_for(name, "exited")

    def _rename(self, name: str, _: Random) -> str:
        self.docker.cli("rename", name, renamed(name))
        return renamed(name)

    def _update(self, name: str, dice: Random) -> None:
        memory = dice.choice((32, 40, 48, 64))
        cpus = dice.choice((".25", ".5", "1"))
        pids = dice.choice((50, 99, 500))
        words = (f"--memory={memory}m", f"--memory-swap={memory}m", f"--cpus={cpus}")
        self.docker.cli("update", *words, f"--pids-limit={pids}", name)

    def _sicken(self, name: str, _: Random) -> None:
        """Make a healthy one sick, and a sick one healthy."""
        before = self._health(name)
        sick = before == "unhealthy"
        self.docker.cli("exec", name, "sh", "-c", "rm -f /sick" if sick else "echo > /sick")
        after = "healthy" if sick else "unhealthy"
        wait_until(lambda: self._health(name) == after, f"{name} to be {after}", 90)

    def _health(self, name: str) -> str:
        return str(self.docker.inspect(name)["State"]["Health"]["Status"])

    def _oom(self, name: str, _: Random) -> None:
        """Let a process that was put into it need more memory than it may have."""
        told = self.docker.inspect(name)
        pid = told["State"]["Pid"]
        before = kernel.oom_kills(pid)
        with suppress(CommandError, subprocess.TimeoutExpired):
            self.docker.cli("exec", name, "tail", "/dev/zero")
        count = kernel.oom_kills(pid) - before
        self._kills[told["Id"]] = self._kills.get(told["Id"], 0) + count

    def _oom_fatally(self, name: str, _: Random) -> None:
        """Let its first process need more memory than it may have."""
        told = self.docker.inspect(name)
        if kernel.oom_kills(told["State"]["Pid"]):
            self._counted_by_api.add(told["Id"])
        self.docker.cli("exec", "--detach", name, "sh", "-c", "kill -USR1 1")
        self._wait_for(name, "exited")
        self._kills[told["Id"]] = self._kills.get(told["Id"], 0) + 1

    def _wait_for(self, name: str, status: str) -> None:
        wait_until(
            lambda: self.docker.inspect(name)["State"]["Status"] == status,
            f"{name} to be {status}",
            90,
        )


def _command() -> tuple[str, ...]:
    """Return a program that ends at once on SIGTERM and needs too much memory on SIGUSR1."""
    script = "trap 'exit 7' TERM; trap 'exec tail /dev/zero' USR1; sleep 86400 & wait $!"
    return ("sh", "-c", script)


def renamed(name: str) -> str:
    """Return the other of the two names that a container has in turn."""
    return name.removesuffix("-b") if name.endswith("-b") else f"{name}-b"
